"""The detect-secrets library as a scanner for the instruction gate, in this process and without its file scanning.

Guarantees: a plugin's own patterns decide, on the whole text at once, after a cheap look for what each of them
cannot do without; time is linear. Left out, with reasons in ``docs/instruction-gate.md``: plugins whose patterns
take quadratic time on hostile text and whose formats ``wingman_core.secret_forms`` knows (JWT, npm, OpenAI,
keywords), and those that look for no secret (public IP addresses) or take every digest for one (hex strings).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.cloudant import CloudantDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString
from detect_secrets.plugins.ibm_cloud_iam import IbmCloudIamDetector
from detect_secrets.plugins.ibm_cos_hmac import IbmCosHmacDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.softlayer import SoftlayerDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from wingman_core.instruction.commands import Script
from wingman_core.instruction.needles import Needles
from wingman_core.instruction.placeholders import is_placeholder
from wingman_core.instruction.secrets import Hit

LONG: Final = 24
"""Characters; no secret of the plugins without needles has fewer in a row."""
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"
_RUNS: Final = bytes(ord("x") if code in _LETTERS else ord(" ") for code in range(256))
"""Makes every character of a token an x, so that a run of them is found at once."""
_RUN: Final = b"x" * LONG
_SPACES: Final = re.compile(r"[ ]{9,}")
"""More of them in a row cost some plugins cubic time; each counts as a line's end here."""
_ID: Final = re.compile(r"(?i)(?:^|_)ids?[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class _Detector:
    """One plugin's patterns and what a text must hold for them to be worth a search."""

    rule: str
    title: str
    patterns: tuple[re.Pattern[str], ...]
    needles: tuple[str, ...]
    """Any of them; none where a long run of a token's characters is enough."""


def _detector(plugin: RegexBasedDetector, *needles: str) -> _Detector:
    title = str(plugin.secret_type)
    rule = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return _Detector(rule, title, tuple(plugin.denylist), needles)


_DETECTORS: Final = (
    _detector(ArtifactoryDetector(), "AKC", *(f"AP{digit}" for digit in "0123456789ABCDEF")),
    _detector(AWSKeyDetector(), "A3T", "ABIA", "ACCA", "AKIA", "ASIA", "aws", "AWS", "Aws"),
    _detector(AzureStorageKeyDetector(), "AccountKey="),
    _detector(GitHubTokenDetector(), "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _detector(
        GitLabTokenDetector(),
        *("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "GR1348941"),
        *("glcbt-", "glimt-", "glptt-", "glagent-", "gloas-"),
    ),
    _detector(MailchimpDetector(), "-us"),
    _detector(PrivateKeyDetector(), "PRIVATE KEY", "PuTTY-User-Key-File-2"),
    _detector(PypiTokenDetector(), "pypi-AgE"),
    _detector(SendGridDetector(), "SG."),
    _detector(SlackDetector(), "xox", "XOX", "hooks.slack.com"),
    _detector(SquareOAuthDetector(), "sq0csp-"),
    _detector(StripeDetector(), "k_live_"),
)
_NEEDLES: Final = Needles({number: detector.needles for number, detector in enumerate(_DETECTORS)})
_WITHOUT_NEEDLES: Final = (
    _detector(CloudantDetector()),
    _detector(DiscordBotTokenDetector()),
    _detector(IbmCloudIamDetector()),
    _detector(IbmCosHmacDetector()),
    _detector(SoftlayerDetector()),
    _detector(TelegramBotTokenDetector()),
    _detector(TwilioKeyDetector()),
)
_ENTROPY: Final = Base64HighEntropyString()


def scan(script: Script) -> Iterator[Hit]:
    """Yield what the plugins find in a text, placeholders left out."""
    text = script.text
    for number, places in _NEEDLES.find(text).items():
        if places:
            yield from _found(_DETECTORS[number], text)
    if _RUN in text.encode("utf-8", "surrogatepass").translate(_RUNS):
        for detector in _WITHOUT_NEEDLES:
            yield from _found(detector, text)
        yield from _random(text)


def _found(detector: _Detector, text: str) -> Iterator[Hit]:
    for pattern in detector.patterns:
        for start, end in _stretches(text):
            for match in pattern.finditer(text, start, end):
                group = match.lastindex or 0
                if not is_placeholder(match[group]):
                    yield Hit(match.start(group), detector.rule, f"detect-secrets: {detector.title}")


def _stretches(text: str) -> Sequence[tuple[int, int]]:
    """Return the parts of a text between long runs of spaces."""
    if " " * 9 not in text:
        return ((0, len(text)),)
    ends = [0]
    for run in _SPACES.finditer(text):
        ends += [run.start(), run.end()]
    return list(zip(ends[::2], [*ends[1::2], len(text)], strict=True))


def _random(text: str) -> Iterator[Hit]:
    """Yield quoted strings that look random: neither an id by its name nor below the plugin's own limit."""
    for match in _ENTROPY.regex.finditer(text):
        value = match[2]
        if len(value) < LONG or is_placeholder(value):
            continue
        before = text[max(text.rfind("\n", 0, match.start()) + 1, match.start() - 64) : match.start()]
        if _ENTROPY.calculate_shannon_entropy(value) > _ENTROPY.entropy_limit and not _ID.search(before):
            yield Hit(match.start(2), "base64-high-entropy-string", "detect-secrets: Base64 High Entropy String")
