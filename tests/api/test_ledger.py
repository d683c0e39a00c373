"""The ledger: whole lines, on disk, whoever else writes, moves the file away or fills the disk."""

import asyncio
import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import eventually
from wingman_api.claims import ledger as module
from wingman_api.claims.ledger import Entry, Ledger, append_lines
from wingman_core.errors import Code, Unavailable

AT = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
HOSTILE = 'a\nb\r\n\u2028\u2029\x0b\x0c\x1c\x85\x00\ud800 "\\ ü 🎉'


def entry(claim: str = "Done", n: int = 0) -> Entry:
    return Entry(f"clm_{n}", AT, "agent-7", claim, "logged")


def lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "claims_audit.jsonl"


async def test_an_entry_is_one_line_of_json_that_nothing_splits(path: Path):
    ledger = Ledger(path)
    there = Entry("clm_1", AT.astimezone(timezone(timedelta(hours=5))), "agent-7", HOSTILE, "logged")
    await ledger.append(there)
    await ledger.append(entry())
    first, second = lines(path)
    assert first == {
        "id": "clm_1",
        "timestamp": "2026-01-02T12:00:00Z",
        "worker_id": "agent-7",
        "claim": HOSTILE,
        "status": "logged",
    }
    assert second["claim"] == "Done"
    assert len(path.read_text("ascii").splitlines()) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_waits_together_is_synced_together_in_order(path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    real = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    ledger = Ledger(path)
    await asyncio.gather(*(ledger.append(entry(n=n)) for n in range(200)))
    assert [line["id"] for line in lines(path)] == [f"clm_{n}" for n in range(200)]
    assert synced[-1] == path.stat().st_size, "all of it was synced before anybody heard of it"
    assert len(synced) < 20
    await ledger.close()


async def test_a_file_that_is_moved_away_is_made_anew_and_no_line_is_lost(path: Path):
    ledger, stop = Ledger(path), asyncio.Event()

    async def write() -> int:
        n = 0
        while not stop.is_set():
            await ledger.append(entry(n=n))
            n += 1
        return n

    async def filled() -> bool | None:
        return True if path.exists() and path.stat().st_size else None

    writing = asyncio.create_task(write())
    moved = [path.with_suffix(f".{n}") for n in range(5)]
    for place in moved:
        await eventually(filled)
        path.rename(place)
    await eventually(filled)
    stop.set()
    count = await writing
    found = [line["id"] for place in (*moved, path) for line in lines(place)]
    assert found == [f"clm_{n}" for n in range(count)]


async def test_a_file_that_is_moved_while_its_lock_is_waited_for_is_not_written(path: Path):
    path.write_bytes(b"{}\n")
    held = os.open(path, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    ledger = Ledger(path)
    writing = asyncio.create_task(ledger.append(entry()))
    file = path.stat()
    await eventually(lambda: both_open(file))
    path.rename(path.with_suffix(".1"))
    os.close(held)
    await writing
    assert path.with_suffix(".1").read_bytes() == b"{}\n"
    assert [line["claim"] for line in lines(path)] == ["Done"]


async def both_open(file: os.stat_result) -> bool | None:
    """Whether the writer has the file open too, and so waits for its lock."""
    return True if times_open(file) > 1 else None


def times_open(file: os.stat_result) -> int:
    """How many descriptors of this process are this file."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += os.path.samestat(descriptor.stat(), file)
    return count


@pytest.mark.parametrize("torn", [b'{"id": "clm_0", "cla', b"{}\n{"])
async def test_a_torn_line_is_ended_before_the_next(path: Path, torn: bytes):
    path.write_bytes(torn)
    await Ledger(path).append(entry())
    assert path.read_bytes().startswith(torn + b"\n{")
    assert json.loads(path.read_bytes().split(b"\n")[-2])["claim"] == "Done"


async def test_a_file_that_was_emptied_in_place_goes_on(path: Path):
    ledger = Ledger(path)
    await ledger.append(entry("before"))
    os.truncate(path, 0)
    await ledger.append(entry("after"))
    assert [line["claim"] for line in lines(path)] == ["after"]


async def test_where_it_cannot_be_written_it_says_so_and_recovers(path: Path, tmp_path: Path):
    missing = Ledger(tmp_path / "missing" / "claims.jsonl")
    with pytest.raises(Unavailable) as refused:
        await missing.append(entry())
    assert refused.value.code is Code.LEDGER_UNAVAILABLE
    assert "no such file or directory" in refused.value.message
    assert "WINGMAN_CLAIMS_LEDGER" in refused.value.hint
    (tmp_path / "missing").mkdir()
    await missing.append(entry())

    for n, make in enumerate((Path.mkdir, os.mkfifo)):
        place = tmp_path / f"odd{n}"
        make(place)
        with pytest.raises(Unavailable, match="ledger did not take the entry"):
            await Ledger(place).append(entry())


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """A disk that is full at ``size`` bytes, as far as this process can tell."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))  # Python ignores SIGXFSZ
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_whole_lines_and_refuses_the_rest(path: Path):
    whole, cut = entry("whole").line(), entry("cut").line()
    with no_file_over(len(whole) + 10):
        failures = append_lines(path, [whole, cut, whole])
    assert failures == [None, "the disk is full", "the disk is full"]
    assert path.read_bytes() == whole
    with no_file_over(len(whole)):
        assert append_lines(path, [cut]) == ["file too large"]
    assert append_lines(path, [cut]) == [None]
    assert path.read_bytes() == whole + cut


def test_a_torn_line_that_cannot_be_ended_refuses_all(path: Path):
    path.write_bytes(b"{")
    with no_file_over(1):
        assert append_lines(path, [b"{}\n", b"{}\n"]) == ["file too large"] * 2
    assert path.read_bytes() == b"{"


def test_a_lock_that_another_process_keeps_is_waited_for_so_long(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.05)
    path.write_bytes(b"")
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert append_lines(path, [b"{}\n"]) == ["another process holds its lock"]
    assert append_lines(path, [b"{}\n"]) == [None]


def test_a_file_that_is_moved_whenever_it_is_opened_is_opened_anew_for_so_long(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    lock, moves = fcntl.flock, [path.with_suffix(f".{n}") for n in range(100)]

    def moved_first(descriptor: int, how: int) -> None:
        if moves:
            path.rename(moves.pop())
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", moved_first)
    assert append_lines(path, [b"{}\n"]) == [None]
    assert not moves
    assert path.read_bytes() == b"{}\n"

    moves = [path.with_suffix(".last")]
    monkeypatch.setattr(module, "LOCK_SECONDS", -1)
    assert append_lines(path, [b"{}\n"]) == ["it is moved away again and again"]


async def test_too_many_at_once_and_too_slow_a_disk_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    monkeypatch.setattr(module, "APPEND_SECONDS", 0.1)
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ledger = Ledger(path)
        waiting = [asyncio.create_task(ledger.append(entry(n=n))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too many entries wait"):
            await ledger.append(entry())
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert ["in time" in str(outcome) for outcome in outcomes] == [True] * 3
    await ledger.close()
    assert len(lines(path)) == 3, "they came late, and whole"


async def test_a_caller_that_goes_away_takes_nothing_from_the_others(path: Path):
    ledger = Ledger(path)
    tasks = [asyncio.create_task(ledger.append(entry(n=n))) for n in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [task.cancelled() for task in tasks] == [False, True, False, False]
    assert {"clm_0", "clm_2", "clm_3"} <= {line["id"] for line in lines(path)}


WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from wingman_api.claims.ledger import Entry, Ledger

async def main():
    ledger, who = Ledger(Path(sys.argv[1])), sys.argv[2]
    sys.stdin.read(1)
    for n in range(25):
        entries = [Entry(f"{who}-{n}-{k}", datetime.now(UTC), who, "x" * 5000, "logged") for k in range(4)]
        await asyncio.gather(*(ledger.append(entry) for entry in entries))

asyncio.run(main())
"""


def test_several_processes_share_a_file_that_is_moved_under_them(path: Path):
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(who)], stdin=subprocess.PIPE) for who in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"!")
        process.stdin.flush()
    moved = 0
    while any(process.poll() is None for process in processes):
        if moved < 20 and path.exists():
            path.rename(path.with_suffix(f".{moved}"))
            moved += 1
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    files = sorted(path.parent.glob("claims_audit*"))
    found = [line["id"] for file in files if file.stat().st_size for line in lines(file)]
    assert sorted(found) == sorted(f"{who}-{n}-{k}" for who in range(4) for n in range(25) for k in range(4))
