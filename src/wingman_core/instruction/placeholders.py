"""Whether what stands where a secret would stand is one: placeholders and prose are not.

Guarantees: what names where a secret comes from (``${DB_PASSWORD}``, ``$(pass show db)``, ``<your token>``,
``{{ vault.db }}``, ``/run/secrets/db``) and what says of itself that it is to be replaced (``changeme``,
``xxxx``, ``your-api-key``) is none: this check keeps secrets out of records, and such words reveal nothing.
``password=password`` is a secret, since somebody's is.
"""

import re
from typing import Final

from wingman_core.instruction.vocabulary import words

LONGEST: Final = 256
"""Characters of a value that are looked at."""
_EDGE: Final = " \t\"'`.,;:!?)]}>#"
_REFERENCE: Final = re.compile(
    r"\$\{.*|\$\(.*|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%|\{\{.*|\{[A-Za-z_][\w.-]*\}|<[^<>]+>?|\[[A-Za-z _-]+\]?|@[./].*"
    r"|!(?:Ref|Sub|GetAtt|ImportValue|vault|secret|env)\b.*"
    r"|(?:/run/secrets/|/etc/|/var/|/home/|\./|~/|file:|vault:|arn:|op://|ssm:|env[:.]|os\.|process\.|secrets\.|vars\.).*"
    r"|[A-Za-z_.]+[(\[].*",
    re.DOTALL,
)
_REPLACED: Final = re.compile(
    r"(?:change|replace|fill|insert|put|enter)[_ -]?(?:me|this|it|in|here|your)(?:[_ -].*)?"
    r"|(?:your|example|sample|dummy|fake|placeholder|redacted|hidden|masked|removed|todo|tbd|fixme)(?:[_ -].*)?"
    r"|[^ ]*[_-](?:here|placeholder|example)"
    r"|[x*.\u2022_#?-]{2,}|(.)\1{5,}",
    re.IGNORECASE | re.DOTALL,
)
_DOCUMENTED: Final = "EXAMPLE"
"""Stands in the keys of vendors' manuals."""
_SETTINGS: Final = words(
    "none null nil n/a no yes true false on off required optional unset empty disabled enabled basic bearer oauth "
    "oauth2 jwt oidc saml ldap tls mtls default flag flags option options argument parameter stdin file env and or is "
    "the to for"
)
"""What people write behind "token=" or "--token" that is none."""
_LONG_FOR_A_WORD: Final = 7
"""So that "24h" and "OAuth2" stay words."""
_SIGNS: Final = re.compile(r"[A-Za-z0-9][!@#$%^&*]+[A-Za-z0-9]")
_STATEMENTS: Final = words(
    "none null nil n/a na no not yes true false required needed optional unchanged rotated disabled enabled unset "
    "empty same see use read from via in is are was has and or the to by with for as on at of it all any every each "
    "only never always must should may can be managed stored kept injected provided handled verified valid invalid "
    "expired revoked present absent missing missed correct incorrect wrong file files env environment vault variable "
    "variables generated generate rotate check checked verify tested pass passes passed fail fails failed ok done "
    "basic bearer oauth oauth2 jwt oidc saml ldap tls mtls ssl random unknown default external internal"
)
"""What people write behind "password:" when they say something about it."""


def is_placeholder(value: str) -> bool:
    """Tell whether ``value`` stands for a secret instead of being one."""
    plain = value[:LONGEST].strip().strip("\"'`")
    bare = plain.rstrip(_EDGE)
    if not bare or _DOCUMENTED in plain:
        return True
    return bool(_REFERENCE.fullmatch(plain) or _REFERENCE.fullmatch(bare) or _REPLACED.fullmatch(bare))


def is_setting(value: str) -> bool:
    """Tell whether ``value`` behind an equals sign or a flag switches something, and is no secret."""
    return value.strip(_EDGE).lower() in _SETTINGS


def is_statement(value: str) -> bool:
    """Tell whether an unquoted ``value`` behind a colon is about a secret: several words, or a known one."""
    said = value[:LONGEST].split()
    first = said[0].strip(_EDGE + "([{<") if said else ""
    if first.lower() in _STATEMENTS or not first:
        return True
    return len(said) > 1 and not looks_made(first)


def looks_made(word: str) -> bool:
    """Tell whether ``word`` is no word of a language: letters with digits, or signs inside."""
    has_letter, has_digit = any(map(str.isalpha, word)), any(map(str.isdigit, word))
    return (has_letter and has_digit and len(word) >= _LONG_FOR_A_WORD) or bool(_SIGNS.search(word))
