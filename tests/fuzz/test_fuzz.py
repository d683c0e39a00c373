"""The parser and the token's verification under mutated input; ``make fuzz MINUTES=60`` runs long, the suite seconds.

Holds: nothing but the stated errors comes out; whatever is taken renders to a command that parses to the same; what
the table of escapes has is refused or forbidden however it is dressed up; no bent token is a capability.
"""

import base64
import os
import shlex
import time
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.test_escapes import FAMILIES, OBJECTS, written
from wingman_core.capability import Capability, Claims, audience_of, issuer_of, mint, verify
from wingman_core.command import Operation, facts, parse, references, render
from wingman_core.errors import CapabilityRefused, CommandRefused
from wingman_core.verdict import Forbidden
from wingman_gateway.policy import Policy
from wingman_gateway.resources import unresolved

SECONDS = float(os.environ.get("MINUTES", "0.1")) * 60 / 3
"""For each of the three."""
ROUND = 200
VECTORS = Path(__file__).parents[1] / "vectors"
DOCUMENTED = [
    command.replace("{", "").replace("}", "")
    for group in tomllib.loads((VECTORS / "documented.toml").read_text(encoding="utf-8"))["group"]
    for command in group["commands"]
]
ESCAPES = [command for family in FAMILIES for command in written(family)]
FORBIDDEN = [
    command
    for family in FAMILIES
    if "forbidden" in family and family.keys().isdisjoint(OBJECTS)
    for command in written(family)
]
PIECES = st.sampled_from(
    [*{word for command in (*DOCUMENTED, *ESCAPES) for word in command.split(" ")}, "", " ", "  ", "'", '"', "\\", "="]
) | st.text(max_size=4)
DRESSING = st.sampled_from(
    [
        *(["-e", "A=b"], ["--label=a=b"], ["--name", "dressed"], ["-m", "64m"], ["--rm"], ["--read-only"], ["-w/srv"]),
        *(["--cap-drop", "ALL"], ["--security-opt", "no-new-privileges"], ["--user", "1000"], ["--network", "shop"]),
        *(["--tmpfs", "/run"], ["-v", "data:/data"], ["--restart=no"], ["--init"], ["--pids-limit", "9"]),
    ]
)
KEY = ec.generate_private_key(ec.SECP256R1())
NOW = 1_800_000_000


def repeated(draw_and_hold: Callable[[], None]) -> None:
    """Run rounds of examples until the time is over; at least one."""
    deadline = time.monotonic() + SECONDS
    while True:
        draw_and_hold()
        if time.monotonic() >= deadline:
            return


def fuzzing(test: Callable[..., None]) -> Callable[..., None]:
    """A round's settings: other examples each time, and no limit on one."""
    return settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))(test)


def taken(text: str) -> Operation | None:
    """What the text means; None where it is refused as it should be."""
    try:
        return parse(text)
    except CommandRefused as refused:
        if not (refused.hint and str(refused).isascii()):
            pytest.fail(f"a refusal without a way out, or not fit for a terminal: {text!a}")
        return None


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A known command with pieces put in, taken out, doubled or swapped."""
    text = draw(st.sampled_from([*DOCUMENTED, *ESCAPES]))
    for _ in range(draw(st.integers(1, 5))):
        at, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        match draw(st.integers(0, 3)):
            case 0:
                text = text[:at] + draw(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[end:]
            case 2:
                text = text[:end] + text[at:]
            case _:
                words = text.split(" ")
                other = draw(st.integers(0, len(words) - 1))
                words[0], words[other] = words[other], words[0]
                text = " ".join(words)
    return text


def test_the_parser_says_what_it_takes_or_why_not() -> None:
    @fuzzing
    @given(mutated())
    def hold(text: str) -> None:
        op = taken(text)
        if op is not None:
            again = parse(render(op))
            assert again == op
            assert facts(again) == facts(op)
            assert references(again) == references(op)

    repeated(hold)


@st.composite
def dressed(draw: st.DrawFn) -> str:
    """A forbidden command with harmless flags before its own, each word quoted in some way."""
    words = shlex.split(draw(st.sampled_from(FORBIDDEN)))
    verbs = 2 if words[1] == "container" else 1
    if words[verbs] in {"run", "create"}:
        more = draw(st.lists(DRESSING, max_size=3))
        words[verbs + 1 : verbs + 1] = [word for flags in more for word in flags]
    quoted = [shlex.quote(word) for word in words]
    return " ".join(word if "'" in word or draw(st.booleans()) else f"'{word}'" for word in quoted)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(Path(str(resources.files("wingman_gateway") / "policies")), "test")


def test_an_escape_stays_one_however_it_is_dressed(policy: Policy) -> None:
    @fuzzing
    @given(dressed())
    def hold(text: str) -> None:
        op = taken(text)
        if op is not None:
            assert isinstance(policy.verdict(op, unresolved(op), "worker"), Forbidden), text

    repeated(hold)


def test_no_bent_token_is_a_capability() -> None:
    pem = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = Claims(
        iss=issuer_of("test"),
        aud=audience_of("test"),
        sub="agent",
        iat=NOW,
        nbf=NOW,
        exp=NOW + 60,
        jti="ab" * 16,
        apr=f"apr_{'a' * 26}.0",
        env="test",
        op="a" * 64,
        tgt="b" * 64,
        dec="c" * 64,
        by=(),
        thumbprint="d" * 64,
    )
    token = mint(claims, pem, "k1")
    parts = token.split(".")
    inner = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]

    def verified(text: str) -> Capability:
        return verify(
            text,
            keys={"k1": public.decode()},
            issuer=issuer_of("test"),
            audience=audience_of("test"),
            environment="test",
            thumbprint="d" * 64,
            now=NOW,
        )

    assert verified(token).claims == claims

    @st.composite
    def bent(draw: st.DrawFn) -> str:
        number = draw(st.integers(0, 2))
        if draw(st.booleans()):
            data = bytearray(inner[number])
            at = draw(st.integers(0, len(data)))
            data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
            part = base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")
            return ".".join([*parts[:number], part, *parts[number + 1 :]])
        at = draw(st.integers(0, len(token)))
        return token[:at] + draw(st.text(max_size=3)) + token[at + draw(st.integers(0, 3)) :]

    @fuzzing
    @given(bent() | st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
    def hold(text: str) -> None:
        try:
            accepted = verified(text)
        except CapabilityRefused:
            return
        assert (text, accepted.claims) == (token, claims)

    repeated(hold)
