"""Records: golden bytes, one encoding, and nothing else read back."""

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.audit_columns import well_formed
from wingman_core.audit_record import (
    COLUMNS,
    MAX_INTEGER,
    AuditRecord,
    RecordKind,
    excerpt_of,
    from_bytes,
    identities,
)
from wingman_core.canonical import canonical_bytes
from wingman_core.claims import Decider
from wingman_core.errors import CanonicalError, Code
from wingman_core.target import Reference, Target

AT = "2025-06-01T12:00:00.000001Z"
TARGET = Target(Reference("container", "web"), id="f" * 64, image_digest="sha256:" + "e" * 64, state="running")
RECORD = AuditRecord(
    kind=RecordKind.INTENT,
    environment="test",
    created_at=AT,
    execution_id="exe_1",
    approval_id="apr_1.0",
    jti="jti-1",
    worker="deploy-bot",
    command="docker restart web",
    operation_digest="a" * 64,
    targets=identities([TARGET]),
    target_digest="b" * 64,
    decision_digest="c" * 64,
    deciders=(Decider("Ada", 1_750_000_000, "cli"),),
    token_hash="d" * 64,
    client="spiffe://wingman/test/api",
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
DIGEST = st.sampled_from(["", "0" * 64, "9a" * 32])
NUMBER = st.none() | st.integers(-MAX_INTEGER, MAX_INTEGER)
RECORDS = st.builds(
    AuditRecord,
    kind=st.sampled_from(RecordKind),
    environment=TEXT,
    created_at=st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "Z"),
    execution_id=TEXT,
    worker=TEXT,
    command=TEXT,
    operation_digest=DIGEST,
    targets=st.lists(TEXT, max_size=3).map(tuple),
    deciders=st.lists(st.builds(Decider, st.just("Ada"), st.integers(1, 2**31), st.just("cli")), max_size=2).map(tuple),
    outcome=st.sampled_from(["", "SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN"]),
    exit_code=st.none() | st.integers(-(1 << 31), (1 << 31) - 1),
    duration_ms=NUMBER,
    output_excerpt=TEXT,
    evidence=TEXT,
)


def test_the_bytes_of_version_1_are_for_good():
    target = (
        '{\\"id\\":\\"' + "f" * 64 + '\\",\\"image_digest\\":\\"sha256:' + "e" * 64 + '\\",\\"kind\\":\\"container\\",'
        '\\"reference\\":\\"web\\",\\"role\\":\\"object\\"}'
    )
    expected = (
        '{"approval_id":"apr_1.0","client":"spiffe://wingman/test/api","command":"docker restart web",'
        f'"created_at":"{AT}","deciders":[{{"at":1750000000,"name":"Ada","via":"cli"}}],'
        f'"decision_digest":"{"c" * 64}","duration_ms":null,"environment":"test","evidence":"",'
        '"execution_id":"exe_1","exit_code":null,"jti":"jti-1","kind":"INTENT",'
        f'"operation_digest":"{"a" * 64}","outcome":"","output_digest":"","output_excerpt":"","reason":"",'
        f'"target_digest":"{"b" * 64}","targets":["{target}"],"token_hash":"{"d" * 64}","version":1,'
        '"worker":"deploy-bot"}'
    )
    assert RECORD.to_bytes().decode() == expected
    assert RECORD.leaf_hash() == hashlib.sha256(b"\0" + expected.encode()).digest()


@given(RECORDS)
def test_what_is_written_is_read_again(record: AuditRecord):
    assert from_bytes(record.to_bytes()) == record


@given(RECORDS)
def test_the_columns_are_the_fields_as_a_table_holds_them(record: AuditRecord):
    columns = record.columns()._asdict()
    assert tuple(columns) == COLUMNS == tuple(field.name for field in fields(AuditRecord))
    for name in set(COLUMNS) - {"targets", "deciders"}:
        assert columns[name] == getattr(record, name)
    assert json.loads(str(columns["targets"])) == list(record.targets)
    assert json.loads(str(columns["deciders"])) == json.loads(record.to_bytes())["deciders"]
    assert all(value is None or type(value) in {str, int} for value in columns.values())


def test_an_outcome_keeps_what_was_approved():
    result = RECORD.concluded(
        RecordKind.RESULT,
        "FAILED",
        "2025-06-01T12:00:01.000000Z",
        reason="ENGINE_REFUSED",
        exit_code=1,
        duration_ms=1000,
        output_excerpt="no",
        output_digest="0" * 64,
        evidence="{}",
    )
    assert (result.kind, result.outcome, result.exit_code, result.reason) == ("RESULT", "FAILED", 1, "ENGINE_REFUSED")
    blank = {"reason": "", "exit_code": None, "duration_ms": None, "output_excerpt": "", "output_digest": ""}
    assert (
        replace(result, kind=RecordKind.INTENT, outcome="", created_at=AT, evidence="", **blank)  # type: ignore[arg-type]
        == RECORD
    )


@given(RECORDS)
def test_the_bytes_are_those_of_rfc_8785(record: AuditRecord):
    plain = {field.name: getattr(record, field.name) for field in fields(record)}
    deciders = [{"name": person.name, "at": person.at, "via": person.via} for person in record.deciders]
    value = {**plain, "kind": record.kind.value, "targets": list(record.targets), "deciders": deciders}
    assert record.to_bytes() == rfc8785.dumps(value)


def written(**changes: Any) -> bytes:  # noqa: ANN401
    return canonical_bytes({**json.loads(RECORD.to_bytes()), **changes})


BAD_VALUES: list[tuple[str, Any]] = [
    ("version", 2),
    ("version", True),
    ("version", "1"),
    ("kind", "OTHER"),
    ("kind", "intent"),
    ("kind", ["INTENT"]),
    *(("created_at", value) for value in ("", AT[:-1], AT + "\n", "2025-06-01T12:00:00Z", AT.replace("T", " "), 1)),
    ("created_at", "\N{ARABIC-INDIC DIGIT TWO}" + AT[1:]),
    *(("operation_digest", value) for value in ("0", "A" * 64, "0" * 65, "0" * 64 + "\n", None)),
    *((name, "g" * 64) for name in ("target_digest", "decision_digest", "output_digest", "token_hash")),
    *(("outcome", value) for value in ("RUNNING", "succeeded", None)),
    *((name, value) for name in ("exit_code", "duration_ms") for value in ("1", True, 1.5, [])),
    *((name, value) for name in ("worker", "command", "evidence") for value in (None, 1, [], "a\0b")),
    ("targets", "web"),
    ("targets", [1]),
    ("targets", [{"id": "f"}]),
    ("deciders", {}),
    ("deciders", ["Ada"]),
    ("deciders", [{"name": "Ada", "at": 1}]),
    ("deciders", [{"name": "Ada", "at": 1, "via": "cli", "role": "x"}]),
    ("deciders", [{"name": "", "at": 1, "via": "cli"}]),
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES, ids=lambda value: ascii(value)[:30])
def test_a_value_that_no_row_can_hold_is_refused(name: str, value: Any):  # noqa: ANN401
    with pytest.raises(CanonicalError) as refusal:
        from_bytes(written(**{name: value}))
    assert refusal.value.code is Code.CANONICAL_INVALID
    assert refusal.value.details == {"field": name}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no",
        b"[]",
        b"{}",
        b"\xff",
        RECORD.to_bytes() + b"\n",
        b" " + RECORD.to_bytes(),
        RECORD.to_bytes().replace(b'"jti"', b'"jti" '),
        RECORD.to_bytes().replace(b'"worker":', b'"worker":"else","worker":'),
        RECORD.to_bytes().replace(b'"version":1', b'"version":1.0'),
        RECORD.to_bytes().replace(b"docker", b"\\u0064ocker"),
        RECORD.to_bytes().decode().encode("utf-16"),
        json.dumps(json.loads(RECORD.to_bytes())).encode(),
        written(extra=1),
        canonical_bytes({name: value for name, value in json.loads(RECORD.to_bytes()).items() if name != "jti"}),
        b"[" * 200_000,
    ],
    ids=lambda data: ascii(data)[:30],
)
def test_other_bytes_of_a_record_are_refused(data: bytes):
    with pytest.raises(CanonicalError):
        from_bytes(data)


def test_numbers_past_what_json_can_say_are_refused():
    for number in (MAX_INTEGER + 1, -MAX_INTEGER - 1):
        with pytest.raises(CanonicalError, match="number"):
            replace(RECORD, duration_ms=number)


@pytest.mark.parametrize("kind", RecordKind)
def test_a_record_of_every_kind_is_read_at_a_glance(kind: RecordKind):
    assert well_formed(replace(RECORD, kind=kind).columns())


def test_an_exit_code_is_one_that_its_column_holds():
    assert well_formed(replace(RECORD, exit_code=-(1 << 31)).columns())
    for number in (1 << 31, -(1 << 31) - 1):
        with pytest.raises(CanonicalError, match="number"):
            replace(RECORD, exit_code=number)
        assert not well_formed(RECORD.columns()._replace(exit_code=number))


def test_text_that_is_not_unicode_has_no_bytes():
    with pytest.raises(CanonicalError, match="canonical form"):
        replace(RECORD, command="\ud800").to_bytes()


@pytest.mark.parametrize(
    ("output", "limit", "text"),
    [
        (b"", 5, ""),
        (b"a\tb\n", 5, "a\tb\n"),
        (b"abcdef", 5, "abcde"),
        ("ééé".encode(), 2, "éé"),
        ("\U0001f600\U0001f600".encode(), 1, "\U0001f600"),
        ("a\U0001f600\U0001f600".encode(), 2, "a\U0001f600"),
        (b"\xff", 5, "\ufffd"),
        (b"\x1b[31m\0\r", 9, "\ufffd[31m\ufffd\ufffd"),
        ("\u202e\u2028\u200b\ufeff\x85\xa0".encode(), 9, "\ufffd" * 6),
    ],
)
def test_an_excerpt_is_fit_for_a_column_and_a_terminal(output: bytes, limit: int, text: str):
    assert excerpt_of(output, limit) == text
    assert replace(RECORD, output_excerpt=text).to_bytes()


@given(st.binary(max_size=200), st.integers(0, 50))
def test_every_output_has_an_excerpt(output: bytes, limit: int):
    text = excerpt_of(output, limit)
    assert len(text) <= limit
    assert from_bytes(replace(RECORD, output_excerpt=text).to_bytes()).output_excerpt == text
