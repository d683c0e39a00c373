"""The detect-secrets plugins in this process: what each finds, what is left alone, and that it stays fast.

Secrets are put together here, so that no scanner takes them for leaks.
"""

import pytest

from wingman_api.instructions.secret_scan import scan
from wingman_core.instruction.commands import Script

LETTERS = "Ab1" * 40
HEX = "0123456789abcdef" * 8
FOUND = {
    "AK" + "IA" + "A1" * 8: "aws-access-key",
    f"aws_secret_key = '{LETTERS[:40]}'": "aws-access-key",
    "x AK" + "C" + LETTERS[:20] + " y": "artifactory-credentials",
    "Account" + f"Key={LETTERS[:86]}==": "azure-storage-account-access-key",
    f"clou_apikey={HEX[:64]}": "cloudant-credentials",
    "M" + f"{LETTERS[:23]}.{LETTERS[:6]}.{LETTERS[:27]}": "discord-bot-token",
    "gh" + f"o_{LETTERS[:36]}": "github-token",
    "gl" + f"dt-{LETTERS[:20]}": "gitlab-token",
    f"ibm_cloud_iam_key: {LETTERS[:44]}": "ibm-cloud-iam-key",
    f"cos_secret_access_key = {HEX[:48]}": "ibm-cos-hmac-credentials",
    HEX[:32] + "-us" + "12": "mailchimp-access-key",
    "PuTTY-User" + "-Key-File-2": "private-key",
    "py" + f"pi-AgEIcHlwaS5vcmc{LETTERS[:80]}": "pypi-token",
    "S" + f"G.{LETTERS[:22]}.{LETTERS[:43]}": "sendgrid-api-key",
    "https://hooks.sl" + "ack.com/services/T1/B2/c3": "slack-token",
    f"sl_api_key={HEX[:64]}": "softlayer-credentials",
    "sq0" + f"csp-{LETTERS[:43]}": "square-oauth-secret",
    "rk" + f"_live_{LETTERS[:24]}": "stripe-access-key",
    "123456789" + f":{LETTERS[:35]}": "telegram-bot-token",
    "SK" + HEX[:32]: "twilio-api-key",
    'seed "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY"': "base64-high-entropy-string",
}
NOT_FOUND = [
    "",
    "an ordinary sentence about the API and the application",
    "AK" + "IAIOSFODNN7EXAMPLE",
    f'"{HEX[:64]}"',
    f"sha256:{HEX[:64]}",
    "/var/lib/docker/volumes/shop_data/_data",
    '"this-is-a-long-name-of-a-thing"',
    '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"',
    "build_id: 'aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY'",
    "clou_apikey" + " " * 12 + f"={HEX[:64]}",
]

HOSTILE = [
    *("aws key'", "AKIA", "clkey ", "key         ", "ibm_cloud_iam_api_key ", "sl_pass:", "glagent-", "SG.", "xoxb-1-"),
    *("-us", "MNO", "'aB3", "'\"", "aB3dE5fG7h", "://a:b@", "APA", "1:", "eyJ"),
]


def rules(text: str) -> set[str]:
    return {hit.rule for hit in scan(Script(text))}


@pytest.mark.parametrize("text", FOUND)
@pytest.mark.parametrize("around", ["{}", "first line\n{}\nlast line", "a         b\n{}\nc           d"])
def test_what_the_plugins_find(text: str, around: str):
    assert FOUND[text] in rules(around.format(text))


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_is_left_alone(text: str):
    assert rules(text) == set()


def test_a_hit_says_where_and_never_what():
    secret = "gh" + f"p_{LETTERS[:36]}"
    (hit,) = scan(Script(f"one\ntwo {secret}"))
    assert (hit.at, hit.rule, hit.message) == (4 + 4, "github-token", "detect-secrets: GitHub Token")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_texts_take_a_second_at_most(piece: str):
    longest = 256 * 1024
    list(scan(Script((piece * (longest // len(piece) + 1))[:longest])))
