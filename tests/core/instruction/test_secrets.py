"""Secrets by telling names, URLs, command lines and formats; placeholders and talk of secrets are none.

Secrets are put together here, so that no scanner takes them for leaks.
"""

import pytest

from wingman_core.instruction.findings import Check
from wingman_core.instruction.placeholders import is_placeholder, is_setting, is_statement, looks_made
from wingman_core.instruction.report import check
from wingman_core.instruction.secrets import OVERLAP, PIECE

LETTERS = "Ab1" * 20
DASHES = "-" * 5
ASSIGNED, URL, FORMAT, ARGUMENT, TOLD = (
    "secret-assignment",
    "secret-url",
    "secret-format",
    "secret-argument",
    "secret-told",
)
SECRETS = {
    "DB_PASSWORD=hunter2": ASSIGNED,
    "password: hunter2": ASSIGNED,
    "password: swordfish": ASSIGNED,
    "password: password": ASSIGNED,
    "password: hunter22 is wrong": ASSIGNED,
    'password = "correct horse"': ASSIGNED,
    "password='correct horse'": ASSIGNED,
    '{"password": "x1y2"}': ASSIGNED,
    "-e DB_PASSWORD=hunter2 -e X=1": ASSIGNED,
    "PASSWORD=12345": ASSIGNED,
    "--password hunter2": ASSIGNED,
    "--api-key=hunter2": ASSIGNED,
    "login \\\n --password hunter2": ASSIGNED,
    f"Authorization: Bearer {LETTERS}": ASSIGNED,
    "Authorization: Basic dXNlcjpwYXNz": ASSIGNED,
    f"Cookie: session={LETTERS}": ASSIGNED,
    "connection_string=abcdef": ASSIGNED,
    "token: <your token> password=hunter2": ASSIGNED,
    "API_KEY=${API_KEY} DB_PASSWORD=hunter2": ASSIGNED,
    "\N{LEFT DOUBLE QUOTATION MARK}password=hunter2\N{RIGHT DOUBLE QUOTATION MARK}": ASSIGNED,
    "postgres://app:hunter2@db/shop": URL,
    "redis://:hunter2@cache": URL,
    f"https://{LETTERS}@host/x": URL,
    "AK" + "IA" + "A1" * 8: FORMAT,
    "gh" + f"p_{LETTERS[:36]}": FORMAT,
    "xox" + "b-1234567890": FORMAT,
    "w" + f"m_k1_{LETTERS}": FORMAT,
    "dckr" + f"_pat_{LETTERS[:27]}": FORMAT,
    "hv" + f"s.{LETTERS[:24]}": FORMAT,
    "gl" + f"sa_{LETTERS[:32]}": FORMAT,
    "shp" + f"at_{'ab12' * 8}": FORMAT,
    "AT" + f"ATT3x{LETTERS}": FORMAT,
    "lin" + f"_api_{LETTERS}": FORMAT,
    "ts" + "key-auth-abcdefABCDEF1234": FORMAT,
    "AGE-SECRET" + f"-KEY-1{'AB12' * 8}": FORMAT,
    "NR" + f"AK-{'AB12' * 6}": FORMAT,
    "da" + f"pi{'ab12' * 8}": FORMAT,
    "dp" + f".pt.{LETTERS}": FORMAT,
    f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}\nabc": "private-key",
    "curl -u admin:hunter2 http://x": ARGUMENT,
    "curl --user=admin:hunter2 http://x": ARGUMENT,
    "sshpass -p hunter2 ssh x": ARGUMENT,
    "docker login -u x -p hunter2": ARGUMENT,
    "mysql -uroot -phunter2 shop": ARGUMENT,
    "redis-cli -a hunter2 ping": ARGUMENT,
    f"with Bearer {LETTERS}": ARGUMENT,
    f"https://x.blob/y?sig={LETTERS}": ARGUMENT,
    "the password is hunter22.": TOLD,
    "with the password Summer2024!": TOLD,
    "the secret is abc123def": TOLD,
    "# pw: hunter22": TOLD,
    "pass = hunter22": TOLD,
}
NONE = [
    "",
    "password",
    "password:",
    "PASSWORD=",
    'PASSWORD=""',
    "password=abc",
    "password=${DB_PASSWORD}",
    "password=$DB_PASSWORD",
    "password: $(cat x)",
    "password=<password>",
    "password={{ vault.db }}",
    "password={password}",
    "password=%PASSWORD%",
    "password=[your password]",
    "password=@/run/secrets/db",
    "password: !vault x",
    "password: /run/secrets/db",
    "password: ./pw.txt",
    "password = os.environ['X']",
    "password = get_password()",
    "password=changeme",
    "password=change-me-please",
    "password=your-password",
    "password=xxxxxx",
    "password=********",
    "password=aaaaaaaa",
    "password=insert_password_here",
    "AK" + "IAIOSFODNN7EXAMPLE",
    "postgres://app:${PW}@db",
    "postgres://app:changeme@db",
    "curl -u admin:$PASSWORD http://x",
    "curl -u admin:<password> http://x",
    "Authorization: Bearer <token>",
    "Authorization: approvers only",
    "password: required",
    "password: from the vault",
    "token: 24h lifetime",
    "auth: OAuth2 with PKCE",
    "token=true",
    "token_type: bearer",
    "token_ttl=3600",
    "max_tokens=4096",
    "secret_name=db-credentials",
    "password_file: hunter22",
    "--password-stdin registry",
    "--token --verbose",
    "--secret id=npm,src=.npmrc",
    "--token flag",
    "the password comes from the vault",
    "the password is required",
    "the token is written down nowhere",
    "the key is 42",
    "http://localhost:8080/a",
    "ops@example.com http://x",
    "sha256:" + "ab12" * 16,
    "commit " + "ab12" * 10,
    f"{DASHES}BEGIN PUBLIC KEY{DASHES}",
    "pass: 12, fail: 0",
    "strategy: rolling",
    "keyboard=us",
]


def rules(text: str) -> set[str]:
    return {finding.rule for finding in check(text).findings if finding.check is Check.NO_HARDCODED_SECRETS}


@pytest.mark.parametrize("text", SECRETS)
def test_what_is_a_secret(text: str):
    assert SECRETS[text] in rules(text)


@pytest.mark.parametrize("text", NONE)
def test_what_is_none(text: str):
    assert rules(text) == set()


def test_the_lines():
    text = "a\npassword=hunter2 token=hunter3\n\nx \\\n --password hunter2\n"
    findings = [finding for finding in check(text).findings if finding.check is Check.NO_HARDCODED_SECRETS]
    assert [(finding.line, finding.rule) for finding in findings] == [(2, ASSIGNED), (5, ASSIGNED)]


@pytest.mark.parametrize("before", [0, PIECE - 8, PIECE - OVERLAP, PIECE, 3 * PIECE - 5])
def test_a_secret_anywhere_in_a_long_line(before: int):
    assert rules(f"{'x ' * (before // 2)}password=hunter22 {'y ' * PIECE}") == {ASSIGNED}


@pytest.mark.parametrize("value", ["", "  ", '""', "<x>", "${X", "CHANGE_ME", "your_key", "xx", "****", "p_here"])
def test_placeholders(value: str):
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["x", "hunter2", "password", "$1", "changed", "younger", "fakes", "her", "a<b>"])
def test_no_placeholders(value: str):
    assert not is_placeholder(value)


def test_settings_statements_and_made_words():
    assert is_setting("True,")
    assert not is_setting("hunter2")
    assert is_statement("")
    assert is_statement("# in the vault")
    assert is_statement("kept in the vault")
    assert not is_statement("swordfish")
    assert not is_statement("hunter22 and more")
    assert [word for word in ("24h", "OAuth2", "hunter22", "P@ssword", "swordfish!") if looks_made(word)] == [
        "hunter22",
        "P@ssword",
    ]
