"""Checkpoints: one that Go's checksum database published, ours, and what is not quite one."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wingman_core.checkpoint import MAX_SIZE, Checkpoint, environment_of, open_checkpoint, origin_of, sign_checkpoint
from wingman_core.errors import Code, LogCorrupt
from wingman_core.notes import parse_verifier_key, sign_note, verifier_key_of

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "signed_notes.json").read_text())["checkpoint"]
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
ORIGIN = origin_of("test", "log1")
KEY = verifier_key_of(ORIGIN, PRIVATE)
ROOT = base64.b64encode(bytes(32)).decode()


def test_a_published_checkpoint_opens():
    note = f"{VECTOR['origin']}\n{VECTOR['size']}\n{VECTOR['root_base64']}\n\n{VECTOR['signature']}"
    opened = open_checkpoint(note, [parse_verifier_key(VECTOR["verifier_key"])])
    assert opened == Checkpoint(VECTOR["origin"], VECTOR["size"], base64.b64decode(VECTOR["root_base64"]))


@pytest.mark.parametrize(("environment", "log_id"), [("test", "log1"), ("prd", "a/b"), ("test", "é")])
def test_an_origin_tells_its_environment(environment: str, log_id: str):
    assert environment_of(origin_of(environment, log_id)) == environment


@pytest.mark.parametrize("size", [0, 1, 10, MAX_SIZE])
def test_what_is_signed_opens(size: int):
    checkpoint = Checkpoint(ORIGIN, size, bytes(range(32)))
    note = sign_checkpoint(checkpoint, ORIGIN, PRIVATE)
    assert note.startswith(
        f"wingman/test/log1\n{size}\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— wingman/test/log1 "
    )
    assert open_checkpoint(note, [KEY]) == checkpoint


BAD_TEXTS = {
    "two lines": f"{ORIGIN}\n1\n",
    "an extension line": f"{ORIGIN}\n1\n{ROOT}\nmore\n",
    "no origin": f"\n1\n{ROOT}\n",
    "an origin past any use": f"{'o' * 256}\n1\n{ROOT}\n",
    "a leading zero": f"{ORIGIN}\n01\n{ROOT}\n",
    "a sign": f"{ORIGIN}\n+1\n{ROOT}\n",
    "digits of another script": f"{ORIGIN}\n\N{ARABIC-INDIC DIGIT ONE}\n{ROOT}\n",
    "no size": f"{ORIGIN}\n\n{ROOT}\n",
    "a size past 63 bits": f"{ORIGIN}\n{MAX_SIZE + 1}\n{ROOT}\n",
    "a size of 20 digits": f"{ORIGIN}\n{10**19}\n{ROOT}\n",
    "a root of 31 bytes": f"{ORIGIN}\n1\n{base64.b64encode(bytes(31)).decode()}\n",
    "a root of 32 bytes with spare bits": f"{ORIGIN}\n1\n{ROOT[:-2]}B=\n",
    "a root in base64url": f"{ORIGIN}\n1\n{'-' * 43}=\n",
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_what_is_not_quite_a_checkpoint_is_refused_though_signed(name: str):
    with pytest.raises(LogCorrupt) as refusal:
        open_checkpoint(sign_note(BAD_TEXTS[name], ORIGIN, PRIVATE), [KEY])
    assert refusal.value.code is Code.CHECKPOINT_INVALID


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [("", 0, bytes(32)), ("a\nb", 0, bytes(32)), ("a", -1, bytes(32)), ("a", MAX_SIZE + 1, bytes(32)), ("a", 0, b"")],
)
def test_what_the_format_cannot_carry_is_no_checkpoint(origin: str, size: int, root: bytes):
    with pytest.raises(LogCorrupt, match="a checkpoint has"):
        Checkpoint(origin, size, root)


def test_a_checkpoint_of_another_key_is_refused():
    note = sign_checkpoint(
        Checkpoint(ORIGIN, 0, bytes(32)), ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
    )
    with pytest.raises(LogCorrupt, match="no known key"):
        open_checkpoint(note, [KEY])
