"""A whole log verifies; the same log with any one thing changed does not, and the place is named.

Long because every tampering starts from the one log that is built here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.audit_record import COLUMNS, AuditRecord, RecordKind
from wingman_core.audit_verify import LogVerifier, Row, StoredCheckpoint, Summary
from wingman_core.checkpoint import Checkpoint, origin_of, sign_checkpoint
from wingman_core.claims import Decider
from wingman_core.errors import Code, LogCorrupt
from wingman_core.notes import verifier_key_of
from wingman_core.translog import EMPTY_ROOT, Frontier, leaf_hash

ORIGIN = origin_of("test", "log1")
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
KEYS = [verifier_key_of(ORIGIN, PRIVATE)]


@dataclass(frozen=True)
class Log:
    """What a database holds."""

    rows: tuple[Row, ...]
    checkpoints: tuple[StoredCheckpoint, ...]

    def with_row(self, position: int, /, **changes: object) -> "Log":
        rows = list(self.rows)
        rows[position] = rows[position]._replace(**changes)
        return replace(self, rows=tuple(rows))

    def with_column(self, position: int, name: str, value: object) -> "Log":
        return self.with_row(position, columns=self.rows[position].columns._replace(**{name: value}))

    def with_checkpoint(self, number: int, **changes: object) -> "Log":
        checkpoints = list(self.checkpoints)
        checkpoints[number] = replace(checkpoints[number], **changes)  # type: ignore[arg-type]
        return replace(self, checkpoints=tuple(checkpoints))


def intent(number: int) -> AuditRecord:
    return AuditRecord(
        kind=RecordKind.INTENT,
        environment="test",
        created_at=f"2025-06-01T12:00:00.{number:06}Z",
        execution_id=f"exe_{number}",
        approval_id=f"apr_{number}.0",
        jti=f"jti-{number}",
        worker="deploy-bot",
        command="docker restart web",
        operation_digest="a" * 64,
        target_digest="b" * 64,
        decision_digest="d" * 64,
        deciders=(Decider("Ada", 1_750_000_000, "cli"),),
        token_hash="e" * 64,
        client="spiffe://wingman/test/api",
        evidence='{"gateway":"one"}',
    )


def result(of: AuditRecord, **changes: object) -> AuditRecord:
    concluded = of.concluded(RecordKind.RESULT, "SUCCEEDED", "2025-06-01T12:01:00.000000Z", exit_code=0, duration_ms=5)
    return replace(concluded, **changes)  # type: ignore[arg-type]


def refused(number: int, **changes: object) -> AuditRecord:
    refusal = AuditRecord(
        kind=RecordKind.REFUSED,
        environment="test",
        created_at=f"2025-06-01T12:00:00.{number:06}Z",
        command=f"docker rm {number}",
        reason="TOKEN_SPENT",
    )
    return replace(refusal, **changes)  # type: ignore[arg-type]


EVIDENCE = '{"said":"a read leaves no trace"}'


SETTLEMENT = '{"by":"spiffe://wingman/test/auditor/alice","note":"it ran","settles":1}'


def settled(of: AuditRecord, **changes: object) -> AuditRecord:
    """What a person says of an outcome that is UNKNOWN."""
    said = {"outcome": "SUCCEEDED", "evidence": SETTLEMENT, **changes}
    return replace(result(of), kind=RecordKind.SETTLED, **said)  # type: ignore[arg-type]


def reconciled(of: AuditRecord, evidence: str) -> AuditRecord:
    return replace(result(of), kind=RecordKind.RECONCILED, outcome="UNKNOWN", evidence=evidence)


BOUNDARY = AuditRecord(kind=RecordKind.BOUNDARY, environment="test", created_at="2025-06-01T12:00:00.000000Z")
STORY = [
    intent(0),
    intent(1),
    result(intent(1)),
    refused(3),
    result(intent(0), outcome="TIMED_OUT", exit_code=None),
    BOUNDARY,
    intent(6),
    reconciled(intent(6), EVIDENCE),
    refused(8),
    intent(9),
    refused(10),
]
BATCHES = (3, 4, 8, 11)


def head_of(frontier: Frontier, origin: str = ORIGIN, private: Ed25519PrivateKey = PRIVATE) -> StoredCheckpoint:
    root = frontier.root()
    return StoredCheckpoint(
        frontier.size, root, sign_checkpoint(Checkpoint(origin, frontier.size, root), ORIGIN, private)
    )


def written(records: Sequence[AuditRecord], batches: Sequence[int] = BATCHES) -> Log:
    """The log as a gateway writes it: a checkpoint at each size in ``batches``."""
    frontier, rows, checkpoints = Frontier(), [], []
    for position, record in enumerate(records):
        leaf = leaf_hash(record.to_bytes())
        frontier, nodes = frontier.append(leaf)
        rows.append(Row(position, record.columns(), record.to_bytes(), leaf, [node.hash for node in nodes]))
        if frontier.size in batches:
            checkpoints.append(head_of(frontier))
    return Log(tuple(rows), tuple(checkpoints))


def without_nodes(log: Log) -> Log:
    return replace(log, rows=tuple(row._replace(nodes=None) for row in log.rows))


def verified(log: Log, against: Checkpoint | None = None) -> Summary:
    """Read a log as the reader does: every checkpoint due so far follows each row."""
    verifier = LogVerifier(origin=ORIGIN, keys=KEYS, against=against)
    waiting = list(log.checkpoints)
    for row in log.rows:
        verifier.row(row)
        while waiting and waiting[0].size <= verifier.size:
            verifier.checkpoint(waiting.pop(0))
    for checkpoint in waiting:
        verifier.checkpoint(checkpoint)
    return verifier.finish()


def difference(log: Log, against: Checkpoint | None = None) -> tuple[int, str]:
    """Where a log differs, and in what."""
    with pytest.raises(LogCorrupt) as refusal:
        verified(log, against)
    assert refusal.value.code is Code.LOG_CORRUPT
    assert refusal.value.hint
    return int(refusal.value.details["position"]), refusal.value.details["what"]


LOG = written(STORY)
OLDER = Checkpoint(ORIGIN, 8, LOG.checkpoints[2].root)


def test_a_whole_log_verifies():
    summary = verified(LOG)
    assert (summary.size, summary.checkpoints, summary.root) == (11, 4, LOG.checkpoints[-1].root)
    assert summary.counts == {"INTENT": 4, "RESULT": 2, "REFUSED": 3, "RECONCILED": 1, "BOUNDARY": 1, "SETTLED": 0}
    assert summary.unfinished == ((9, "exe_9"),)
    assert summary.checkpoint == LOG.checkpoints[-1].note
    assert verified(LOG, OLDER) == summary
    assert verified(LOG, Checkpoint(ORIGIN, 11, summary.root)) == summary


def test_an_empty_log_is_whole():
    assert verified(Log((), ())) == Summary(0, EMPTY_ROOT, 0, dict.fromkeys(RecordKind, 0), (), "")
    assert verified(Log((), (head_of(Frontier()),))).checkpoints == 1
    assert verified(LOG, Checkpoint(ORIGIN, 0, EMPTY_ROOT)).size == 11


def test_nodes_are_compared_where_they_were_read():
    assert verified(without_nodes(LOG)) == verified(LOG)


@pytest.mark.parametrize("position", range(len(STORY)))
@pytest.mark.parametrize("name", COLUMNS)
def test_one_changed_column_is_found(position: int, name: str):
    value = getattr(LOG.rows[position].columns, name)
    changed = f"{value}x" if isinstance(value, str) else (value or 0) + 1
    assert difference(LOG.with_column(position, name, changed)) == (position, name)


def test_a_column_of_another_type_is_found():
    assert difference(LOG.with_column(2, "exit_code", False)) == (2, "exit_code")
    assert difference(LOG.with_column(2, "exit_code", None)) == (2, "exit_code")
    assert difference(LOG.with_column(0, "exit_code", 0)) == (0, "exit_code")
    assert difference(LOG.with_column(0, "version", True)) == (0, "version")


@given(st.integers(0, len(STORY) - 1), st.data())
def test_one_changed_byte_of_a_record_is_found(position: int, data: st.DataObject):
    record = bytearray(LOG.rows[position].record)
    record[data.draw(st.integers(0, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    found, what = difference(LOG.with_row(position, record=bytes(record)))
    assert found == position
    assert what in {"record", *COLUMNS}


@given(st.integers(0, len(STORY) - 1), st.integers(0, 255))
def test_one_changed_bit_of_a_leaf_hash_is_found(position: int, bit: int):
    changed = int.from_bytes(LOG.rows[position].leaf_hash) ^ 1 << bit
    assert difference(LOG.with_row(position, leaf_hash=changed.to_bytes(32))) == (position, "leaf_hash")


@pytest.mark.parametrize("number", [-1, 3, 5, 1 << 40])
def test_a_row_that_says_another_position_is_found(number: int):
    assert difference(LOG.with_row(4, position=number)) == (4, "position")


@given(st.integers(0, len(STORY) - 1))
def test_a_deleted_row_is_found(position: int):
    gone = replace(LOG, rows=LOG.rows[:position] + LOG.rows[position + 1 :])
    found, _ = difference(gone)
    assert found == position


@given(st.integers(0, len(STORY) - 2))
def test_a_deleted_row_is_found_though_the_rest_was_renumbered(position: int):
    rest = tuple(row._replace(position=row.position - 1) for row in LOG.rows[position + 1 :])
    assert difference(replace(LOG, rows=LOG.rows[:position] + rest))[1] != "leaf_hash"


@given(st.integers(0, len(STORY)))
def test_an_inserted_row_is_found(position: int):
    record = refused(99)
    row = Row(position, record.columns(), record.to_bytes(), record.leaf_hash())
    doubled = replace(LOG, rows=(*LOG.rows[:position], row, *LOG.rows[position:]))
    assert difference(doubled)[1] in {"root", "position", "checkpoint", "nodes"}
    shifted = tuple(later._replace(position=later.position + 1, nodes=None) for later in LOG.rows[position:])
    assert difference(replace(LOG, rows=(*LOG.rows[:position], row, *shifted)))[1] in {"root", "position", "checkpoint"}


@given(st.tuples(*[st.integers(0, len(STORY) - 1)] * 2).filter(lambda pair: pair[0] < pair[1]))
def test_two_swapped_rows_are_found(pair: tuple[int, int]):
    first, second = pair
    rows = list(without_nodes(LOG).rows)
    rows[first], rows[second] = rows[second]._replace(position=first), rows[first]._replace(position=second)
    assert difference(replace(LOG, rows=tuple(rows)))[0] <= second


def test_a_row_rewritten_with_its_hash_is_placed_by_the_checkpoint_before():
    changed = replace(STORY[10], command="docker rm other")
    row = {"columns": changed.columns(), "record": changed.to_bytes(), "leaf_hash": changed.leaf_hash()}
    assert difference(LOG.with_row(10, **row)) == (8, "root")


def test_a_row_rewritten_with_its_hash_is_placed_by_the_nodes_where_they_were_read():
    changed = replace(STORY[8], command="docker rm other")
    row = {"columns": changed.columns(), "record": changed.to_bytes(), "leaf_hash": changed.leaf_hash()}
    assert difference(LOG.with_row(8, **row)) == (9, "nodes")
    assert difference(without_nodes(LOG.with_row(8, **row))) == (8, "root")


@pytest.mark.parametrize("position", [1, 2, 3, 7, 9])
def test_a_changed_node_is_found(position: int):
    nodes = LOG.rows[position].nodes or []
    assert difference(LOG.with_row(position, nodes=[*nodes[:-1], bytes(32)])) == (position, "nodes")
    assert difference(LOG.with_row(position, nodes=[*nodes, bytes(32)])) == (position, "nodes")


def test_a_missing_node_is_found():
    assert difference(LOG.with_row(7, nodes=[])) == (7, "nodes")


def test_the_last_rows_cut_off_are_found_by_the_checkpoint_that_covered_them():
    assert difference(replace(LOG, rows=LOG.rows[:-1])) == (10, "position")


def test_rows_cut_off_with_their_checkpoints_are_found_by_an_older_one():
    cut = written(STORY[:4])
    assert verified(cut).size == 4
    assert difference(cut, OLDER) == (4, "against")
    assert difference(Log((), ()), OLDER) == (0, "against")


def test_a_log_rewritten_and_signed_again_is_found_by_an_older_checkpoint():
    rewritten = written([replace(STORY[0], worker="else"), STORY[1], *STORY[2:4]], (4,))
    assert verified(rewritten).size == 4
    assert difference(rewritten, Checkpoint(ORIGIN, 3, LOG.checkpoints[0].root)) == (0, "against")
    assert difference(LOG, Checkpoint(ORIGIN, 0, bytes(32))) == (0, "against")


def test_an_older_checkpoint_of_another_log_is_no_measure():
    with pytest.raises(LogCorrupt, match="another log") as refusal:
        LogVerifier(origin=ORIGIN, keys=KEYS, against=Checkpoint("wingman/prd/log1", 0, EMPTY_ROOT))
    assert refusal.value.code is Code.CHECKPOINT_INVALID


def test_rows_that_no_checkpoint_covers_are_found():
    assert difference(replace(LOG, checkpoints=LOG.checkpoints[:-1])) == (8, "checkpoint")
    assert difference(replace(LOG, checkpoints=())) == (0, "checkpoint")


def test_a_middle_checkpoint_may_be_gone_for_the_next_covers_its_rows():
    assert verified(replace(LOG, checkpoints=LOG.checkpoints[:1] + LOG.checkpoints[2:])).checkpoints == 3


def test_changed_checkpoints_are_found_at_the_first_row_they_cover():
    note = LOG.checkpoints[2].note
    foreign = head_of(frontier_at(8), private=STRANGER)
    elsewhere = head_of(frontier_at(8), origin="wingman/prd/log1")
    for changes in (
        {"note": ""},
        {"note": note.replace("\n8\n", "\n9\n")},
        {"note": LOG.checkpoints[3].note},
        {"note": foreign.note},
        {"note": elsewhere.note},
        {"root": bytes(32)},
    ):
        assert difference(LOG.with_checkpoint(2, **changes)) == (4, "checkpoint")


def test_a_checkpoint_moved_to_another_size_is_found():
    assert difference(LOG.with_checkpoint(2, size=9)) == (4, "checkpoint")
    assert difference(LOG.with_checkpoint(3, size=12)) == (11, "position")


def test_a_signed_checkpoint_of_another_tree_is_found():
    forked = head_of(frontier_of([*STORY[:7], refused(7)]))
    assert difference(LOG.with_checkpoint(2, root=forked.root, note=forked.note)) == (4, "root")


def frontier_of(records: Sequence[AuditRecord]) -> Frontier:
    frontier = Frontier()
    for record in records:
        frontier, _ = frontier.append(record.leaf_hash())
    return frontier


def frontier_at(size: int) -> Frontier:
    return frontier_of(STORY[:size])


STORIES: dict[str, tuple[Callable[[], list[AuditRecord]], tuple[int, str]]] = {
    "a result of nothing": (lambda: [result(intent(0))], (0, "execution_id")),
    "a result of another execution": (lambda: [intent(0), result(intent(1))], (1, "execution_id")),
    "two results": (lambda: [intent(0), result(intent(0)), result(intent(0))], (2, "execution_id")),
    "a reconciliation after a result": (
        lambda: [intent(0), result(intent(0)), reconciled(intent(0), EVIDENCE)],
        (2, "execution_id"),
    ),
    "a settlement of nothing": (lambda: [settled(intent(0))], (0, "execution_id")),
    "a settlement before the outcome": (lambda: [intent(0), settled(intent(0))], (1, "execution_id")),
    "a settlement of what is known": (lambda: [intent(0), result(intent(0)), settled(intent(0))], (2, "execution_id")),
    "a settlement twice": (
        lambda: [intent(0), reconciled(intent(0), EVIDENCE), settled(intent(0)), settled(intent(0))],
        (3, "execution_id"),
    ),
    "a settlement of another command": (
        lambda: [intent(0), reconciled(intent(0), EVIDENCE), settled(intent(0), command="docker rm web")],
        (2, "execution_id"),
    ),
    "a settlement as UNKNOWN": (
        lambda: [intent(0), reconciled(intent(0), EVIDENCE), settled(intent(0), outcome="UNKNOWN")],
        (2, "outcome"),
    ),
    **{
        f"a settlement with {evidence!r} for evidence": (
            lambda evidence=evidence: [
                intent(0),
                reconciled(intent(0), EVIDENCE),
                settled(intent(0), evidence=evidence),
            ],
            (2, "evidence"),
        )
        for evidence in ("", "x", "[]", '{"by":"alice"}', '{"note":"it ran"}', '{"by":"","note":"x"}')
    },
    "a result without an outcome": (lambda: [intent(0), result(intent(0), outcome="")], (1, "outcome")),
    "an intent with an outcome": (lambda: [replace(intent(0), outcome="FAILED")], (0, "outcome")),
    "an intent without an execution": (lambda: [replace(intent(0), execution_id="")], (0, "execution_id")),
    "an intent without an approval": (lambda: [replace(intent(0), approval_id="")], (0, "approval_id")),
    "an intent without a token": (lambda: [replace(intent(0), jti="")], (0, "jti")),
    **{
        f"an intent without {name}": (lambda name=name: [replace(intent(0), **{name: ""})], (0, name))
        for name in (
            *("worker", "command", "operation_digest", "target_digest", "decision_digest", "token_hash", "client"),
        )
    },
    **{
        f"an intent with {name}": (lambda name=name, value=value: [replace(intent(0), **{name: value})], (0, name))
        for name, value in {
            "reason": "INTERNAL",
            "exit_code": 0,
            "duration_ms": 0,
            "output_excerpt": "done",
            "output_digest": "a" * 64,
        }.items()
    },
    **{
        f"a reconciliation with {evidence!r} for evidence": (
            lambda evidence=evidence: [intent(0), reconciled(intent(0), evidence)],
            (1, "evidence"),
        )
        for evidence in ("", "{}", "said so", "null", '["said"]', "NaN", "[" * 100_000)
    },
    **{
        f"a result of {duration} ms": (
            lambda duration=duration: [intent(0), result(intent(0), duration_ms=duration)],
            (1, "duration_ms"),
        )
        for duration in (-1, -(2**40))
    },
    **{
        f"a refusal at {moment}": (lambda moment=moment: [refused(0, created_at=moment)], (0, "created_at"))
        for moment in (
            *("2025-13-01T12:00:00.000000Z", "2025-02-29T12:00:00.000000Z", "0000-01-01T00:00:00.000000Z"),
            *("2025-06-01T24:00:00.000000Z", "2025-06-01T12:60:00.000000Z", "2025-06-01T12:00:60.000000Z"),
        )
    },
    **{
        f"{name} of another environment": (
            lambda record=record: [replace(record, environment="prd")],
            (0, "environment"),
        )
        for name, record in {"an intent": intent(0), "a refusal": refused(0), "a boundary proof": BOUNDARY}.items()
    },
    "a result of another environment": (
        lambda: [intent(0), result(intent(0), environment="prd")],
        (1, "environment"),
    ),
    "an execution id twice": (
        lambda: [intent(0), result(intent(0)), replace(intent(1), execution_id="exe_0")],
        (2, "execution_id"),
    ),
    "an approval twice": (lambda: [intent(0), replace(intent(1), approval_id="apr_0.0")], (1, "approval_id")),
    "a token twice": (lambda: [intent(0), replace(intent(1), jti="jti-0")], (1, "jti")),
    "a refusal without a reason": (lambda: [refused(0, reason="")], (0, "reason")),
    "a refusal with an outcome": (lambda: [refused(0, outcome="FAILED")], (0, "reason")),
    "a boundary proof in an execution": (lambda: [replace(BOUNDARY, execution_id="exe_0")], (0, "execution_id")),
    **{
        f"a result of another {name}": (
            lambda name=name, value=value: [intent(0), result(intent(0), **{name: value})],
            (1, "execution_id"),
        )
        for name, value in {
            "worker": "else",
            "approval_id": "apr_1.0",
            "jti": "jti-1",
            "command": "docker rm web",
            "operation_digest": "c" * 64,
            "targets": ("{}",),
            "target_digest": "c" * 64,
            "decision_digest": "c" * 64,
            "deciders": (),
            "token_hash": "c" * 64,
            "client": "spiffe://wingman/test/tool",
        }.items()
    },
}


def test_a_person_may_settle_what_nobody_could_tell():
    summary = verified(written([intent(0), reconciled(intent(0), EVIDENCE), settled(intent(0))], range(4)))
    assert (summary.counts["SETTLED"], summary.unfinished) == (1, ())


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_cannot_be_is_found_though_hashed_and_signed(name: str):
    records, where = STORIES[name]
    assert difference(written(records(), range(5))) == where


@pytest.mark.parametrize("origin", ["", "wingman", "wingman/test", "wingman//log1", "other/test/log1", "wingman/test/"])
def test_an_origin_of_no_environment_is_refused(origin: str):
    with pytest.raises(LogCorrupt, match="origin") as refusal:
        LogVerifier(origin=origin, keys=KEYS)
    assert refusal.value.code is Code.CHECKPOINT_INVALID


def test_a_token_and_an_approval_of_one_name_are_two_things():
    twins = [replace(intent(0), jti="same", approval_id="other"), replace(intent(1), jti="other", approval_id="same")]
    assert verified(written(twins, (2,))).size == 2
