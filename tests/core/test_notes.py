"""Signed notes against Go's public example, and everything that is not quite one."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.errors import Code, LogCorrupt
from wingman_core.notes import (
    MAX_NOTE_BYTES,
    VerifierKey,
    decode_base64,
    open_note,
    parse_verifier_key,
    sign_note,
    verifier_key_of,
)

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "signed_notes.json").read_text())["note"]
NOTE = f"{VECTOR['text']}\n{VECTOR['signature']}"
KEY = parse_verifier_key(VECTOR["verifier_key"])
PRIVATE = Ed25519PrivateKey.from_private_bytes(base64.b64decode(VECTOR["seed_base64"]))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def line_of(name: str, data: bytes) -> str:
    return f"— {name} {base64.b64encode(data).decode()}\n"


def test_the_public_example_opens_and_is_signed_to_the_same_bytes():
    assert open_note(NOTE, [KEY]) == VECTOR["text"]
    assert sign_note(VECTOR["text"], "PeterNeumann", PRIVATE) == NOTE
    assert verifier_key_of("PeterNeumann", PRIVATE) == KEY
    assert KEY.encode() == VECTOR["verifier_key"]


def test_signatures_of_unknown_keys_are_ignored():
    witness = sign_note(VECTOR["text"], "witness", OTHER).removeprefix(VECTOR["text"] + "\n")
    same_name = line_of("PeterNeumann", b"\0\0\0\0" + bytes(64))
    same_id = line_of("Somebody", KEY.key_id + bytes(64))
    for signatures in (witness + VECTOR["signature"], VECTOR["signature"] + witness, same_name + VECTOR["signature"]):
        assert open_note(f"{VECTOR['text']}\n{signatures}", [KEY]) == VECTOR["text"]
    assert open_note(NOTE + same_id + VECTOR["signature"], [KEY]) == VECTOR["text"]
    assert open_note(NOTE + witness, [KEY, verifier_key_of("witness", OTHER)]) == VECTOR["text"]


def test_a_text_may_hold_empty_lines():
    text = "one\n\ntwo\n"
    assert open_note(sign_note(text, "k", OTHER), [verifier_key_of("k", OTHER)]) == text


BAD_NOTES = {
    "nothing": "",
    "no signature": VECTOR["text"],
    "an empty block of signatures": VECTOR["text"] + "\n",
    "no newline at the end": NOTE[:-1],
    "an empty line at the end": NOTE + "\n",
    "another character for the last newline": NOTE[:-1] + "x",
    "a signature line alone": sign_note("\n", "PeterNeumann", PRIVATE).removeprefix("\n\n"),
    "a changed text": NOTE.replace("answer", "Answer"),
    "carriage returns": NOTE.replace("\n", "\r\n"),
    "a tab": NOTE.replace("answer to", "answer\tto"),
    "NUL": "\0" + NOTE,
    "a lone surrogate": "\ud800" + NOTE,
    "a hyphen for the dash": NOTE.replace("—", "-"),
    "two spaces": NOTE.replace("— ", "—  "),
    "a plus sign in the name": NOTE.replace("— PeterNeumann", "— Peter+Neumann"),
    "another name": NOTE.replace("— PeterNeumann", "— PaulNeumann"),
    "base64 without padding": NOTE.replace("JnAM=", "JnAM"),
    "base64 with spare bits": NOTE.replace("JnAM=", "JnAN="),
    "a signature cut short": VECTOR["text"] + "\n" + line_of("PeterNeumann", KEY.key_id),
    "a failing signature of a known key": NOTE + line_of("PeterNeumann", KEY.key_id + bytes(64)),
}


@pytest.mark.parametrize("name", BAD_NOTES)
def test_what_is_not_quite_a_note_is_refused(name: str):
    with pytest.raises(LogCorrupt) as refusal:
        open_note(BAD_NOTES[name], [KEY])
    assert refusal.value.code is Code.CHECKPOINT_INVALID


def test_a_note_is_limited_to_the_byte():
    room = MAX_NOTE_BYTES - len(sign_note("\n", "k", OTHER))
    for letters, fits in ((room, True), (room + 1, False)):
        text = "x" * letters + "\n"
        note = sign_note(text, "k", OTHER)
        if fits:
            assert open_note(note, [verifier_key_of("k", OTHER)]) == text
        else:
            with pytest.raises(LogCorrupt, match="at most"):
                open_note(note, [verifier_key_of("k", OTHER)])


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size: int):
    with pytest.raises(LogCorrupt, match="32 bytes"):
        VerifierKey("k", bytes(size))


def test_a_note_of_nobody_known_is_refused():
    with pytest.raises(LogCorrupt, match="no known key"):
        open_note(NOTE, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        VECTOR["verifier_key"] + "\n",
        VECTOR["verifier_key"].replace("c74f20a3", "c74f20a4"),
        VECTOR["verifier_key"].replace("c74f20a3", "C74F20A3"),
        VECTOR["verifier_key"].replace("PeterNeumann", "Peter Neumann"),
        VECTOR["verifier_key"].replace("PeterNeumann", "PaulNeumann"),
        VECTOR["verifier_key"].replace("+ARpc", "+Ahpc"),
        VECTOR["verifier_key"].replace("10TW", "10T="),
        "k+00000000+" + base64.b64encode(b"\x01" + bytes(31)).decode(),
        "k+00000000+AQ==",
        "k+00000000+!!!!",
    ],
)
def test_what_is_not_quite_a_verifier_key_is_refused(text: str):
    with pytest.raises(LogCorrupt) as refusal:
        parse_verifier_key(text)
    assert refusal.value.code is Code.CHECKPOINT_INVALID


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\0", "\ud800"])
def test_a_name_that_no_note_can_carry_is_refused(name: str):
    with pytest.raises(LogCorrupt, match="name"):
        VerifierKey(name, bytes(32))
    with pytest.raises(LogCorrupt, match="name"):
        sign_note("text\n", name, OTHER)


@pytest.mark.parametrize("text", ["", "no newline", "a tab\t\n", "\ud800\n"])
def test_a_text_that_no_note_can_carry_is_not_signed(text: str):
    with pytest.raises(LogCorrupt, match="newline"):
        sign_note(text, "k", OTHER)


@pytest.mark.parametrize("text", ["é", "=", "A", "AA=A", "AB==", "A A="])
def test_base64_has_one_encoding(text: str):
    with pytest.raises(LogCorrupt, match="base64"):
        decode_base64(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])).map(lambda text: text + "\n"))
def test_what_is_signed_opens(text: str):
    assert open_note(sign_note(text, "log", OTHER), [verifier_key_of("log", OTHER)]) == text


@given(st.integers(0, len(NOTE) - 1), st.characters(exclude_categories=["Cs"]))
def test_no_changed_character_opens_to_another_text(position: int, character: str):
    changed = NOTE[:position] + character + NOTE[position + 1 :]
    try:
        text = open_note(changed, [KEY])
    except LogCorrupt:
        assert changed != NOTE
    else:
        assert text == VECTOR["text"]
