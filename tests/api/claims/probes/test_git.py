"""Claims about git work trees: as git itself would say, or unknown; nothing runs, nothing outside is read."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.api.claims.probes.conftest import Places, as_nobody
from tests.api.conftest import eventually
from wingman_api.claims.probes import comparison, git, repository
from wingman_api.claims.probes.git import look_at_git
from wingman_api.claims.probes.repository import NotUnderstood, open_repository, read_head
from wingman_api.claims.probes.roots import MOST_DEPTH, Absent, NotAllowed, Root, Roots
from wingman_api.claims.probes.threads import Threads
from wingman_api.claims.probes.work_tree import Job, look_at_work_tree
from wingman_core.assertions import GitBranch, GitClean, GitCommit

GIT = shutil.which("git")
pytestmark = pytest.mark.skipif(GIT is None, reason="needs git to make repositories with")


@dataclass(frozen=True)
class Work:
    """A work tree, the git that made it, and whether it is clean by this code and by git's own word."""

    places: Places
    path: Path

    def git(self, *arguments: str, at: Path | None = None) -> str:
        environ = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "HOME": "/none"}
        options = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
        command = [GIT or "git", "-C", str(at or self.path), *options, *arguments]
        done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", "x", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    @property
    def clean(self) -> str:
        return look_at_work_tree(self.places.roots, str(self.path)).outcome

    @property
    def git_says(self) -> str:
        return "contradicted" if self.git("status", "--porcelain") else "confirmed"


@pytest.fixture
def work(places: Places) -> Work:
    """One commit on the branch main of five files."""
    made = Work(places, places.inside / "work")
    made.path.mkdir()
    made.git("init", "-q", "-b", "main")
    for name in ("a", "b.txt", "b/c", "b/d/e", "b-f"):
        made.write(name, name)
    made.commit()
    return made


async def _outcome(threads: Threads, work: Work, kind: type, **claim: str) -> str:
    path = claim.pop("path", str(work.path))
    return (await look_at_git(work.places.roots, threads, kind(path=path, **claim))).outcome


async def test_branch_and_commit(threads: Threads, work: Work):
    head = work.git("rev-parse", "HEAD")
    assert await _outcome(threads, work, GitBranch, branch="main") == "confirmed"
    assert await _outcome(threads, work, GitBranch, branch="mai") == "contradicted"
    for commit in (head, head[:7], head[:20]):
        assert await _outcome(threads, work, GitCommit, commit=commit) == "confirmed"
    assert await _outcome(threads, work, GitCommit, commit="0" * 40) == "contradicted"
    assert await _outcome(threads, work, GitCommit, commit=f"{head}00") == "contradicted"
    work.git("checkout", "-qb", "feature/one")
    assert await _outcome(threads, work, GitBranch, branch="feature/one") == "confirmed"
    work.git("checkout", "-q", "--detach")
    assert await _outcome(threads, work, GitBranch, branch="feature/one") == "contradicted"
    assert await _outcome(threads, work, GitCommit, commit=head) == "confirmed"


async def test_packed_references_and_packed_objects(threads: Threads, work: Work):
    for number in range(30):  # so that packing makes deltas
        work.write("a", "long line\n" * 200 + str(number))
        head = work.commit()
    work.git("gc", "-q", "--aggressive")
    assert not (work.path / ".git" / "refs" / "heads" / "main").exists()
    assert await _outcome(threads, work, GitCommit, commit=head) == "confirmed"
    assert await _outcome(threads, work, GitClean) == "confirmed"
    work.write("a", "other")
    assert await _outcome(threads, work, GitClean) == "contradicted"
    # Several packs, and a commit in each.
    work.commit()
    work.git("repack", "-qd")
    assert len(_packs(work)) == 2
    assert work.clean == "confirmed"
    work.git("reset", "-q", "--hard", "HEAD~1")
    assert work.clean == "confirmed"


async def test_a_branch_without_a_commit(threads: Threads, work: Work):
    empty = Work(work.places, work.places.inside / "empty")
    empty.path.mkdir()
    empty.git("init", "-q", "-b", "trunk")
    assert await _outcome(threads, empty, GitBranch, branch="trunk") == "confirmed"
    assert await _outcome(threads, empty, GitCommit, commit="0" * 7) == "contradicted"
    assert await _outcome(threads, empty, GitClean) == "confirmed"
    empty.write("new", "x")
    assert await _outcome(threads, empty, GitClean) == "contradicted"
    empty.git("add", "new")
    assert empty.clean == "contradicted"


async def test_a_linked_work_tree(threads: Threads, work: Work):
    other = Work(work.places, work.places.inside / "other")
    work.git("worktree", "add", "-q", "-b", "side", str(other.path))
    assert await _outcome(threads, other, GitBranch, branch="side") == "confirmed"
    assert await _outcome(threads, other, GitClean) == "confirmed"
    other.write("a", "changed")
    assert await _outcome(threads, other, GitClean) == "contradicted"
    assert await _outcome(threads, work, GitClean) == "confirmed"


CHANGES: dict[str, Callable[[Work], object]] = {
    "nothing": lambda w: w.path,
    "touched": lambda w: os.utime(w.path / "a", (1, 1)),
    "rewritten alike": lambda w: w.write("a", "a"),
    "changed": lambda w: w.write("a", "A"),
    "longer": lambda w: w.write("b/d/e", "longer"),
    "gone": lambda w: (w.path / "b/c").unlink(),
    "a directory gone": lambda w: shutil.rmtree(w.path / "b"),
    "executable": lambda w: (w.path / "a").chmod(0o755),
    "a link instead": lambda w: ((w.path / "a").unlink(), (w.path / "a").symlink_to("b.txt")),
    "a directory instead": lambda w: ((w.path / "a").unlink(), (w.path / "a").mkdir()),
    "a directory linked": lambda w: ((w.path / "b").rename(w.path.parent / "b"), (w.path / "b").symlink_to("../b")),
    "untracked": lambda w: w.write("new", ""),
    "untracked below": lambda w: w.write("b/d/new", ""),
    "untracked in a new directory": lambda w: w.write("n/m/new", ""),
    "an untracked link": lambda w: (w.path / "link").symlink_to("/none"),
    "an empty directory": lambda w: (w.path / "n" / "m").mkdir(parents=True),
    "a pipe": lambda w: os.mkfifo(w.path / "pipe"),
    "staged": lambda w: (w.write("a", "A"), w.git("add", "a")),
    "staged and put back": lambda w: (w.write("a", "A"), w.git("add", "a"), w.write("a", "a")),
    "staged removal": lambda w: w.git("rm", "-q", "--cached", "a"),
    "staged addition": lambda w: (w.write("new", "x"), w.git("add", "new")),
    "meant to be added": lambda w: (w.write("new", "x"), w.git("add", "-N", "new")),
    "assumed unchanged": lambda w: (w.git("update-index", "--assume-unchanged", "a"), w.write("a", "A")),
    "left out of the work tree": lambda w: (w.git("update-index", "--skip-worktree", "a"), (w.path / "a").unlink()),
    "no file modes": lambda w: (w.git("config", "core.fileMode", "false"), (w.path / "a").chmod(0o755)),
    "index version 4": lambda w: (w.git("update-index", "--index-version", "4"), w.write("new", "")),
    "index version 4, clean": lambda w: w.git("update-index", "--index-version", "4"),
    "an ignore file that is a directory": lambda w: (w.path / ".gitignore").mkdir(),
    "an ignore file that is a link": lambda w: (
        w.write(".git/info/exclude", ".gitignore\n"),
        w.write("b/c", "C"),
        (w.path / ".gitignore").symlink_to("b/c"),
    ),
    "no index": lambda w: (w.path / ".git" / "index").unlink(),
    "ignored": lambda w: (
        w.write(".git/info/exclude", "*.log\nbuild/\n"),
        w.write("x.log", ""),
        w.write("build/x", ""),
    ),
    "ignored by name of a file": lambda w: (w.write(".git/info/exclude", "build/\n"), w.write("build", "")),
    "not ignored": lambda w: (w.write(".git/info/exclude", "*.log\n!keep.log\n"), w.write("keep.log", "")),
    "ignored beside tracked": lambda w: (
        w.write(".git/info/exclude", "b\n"),
        w.write("b/new", ""),
        w.write("b/d/n", ""),
    ),
    "changed beneath ignored": lambda w: (w.write(".git/info/exclude", "b\n"), w.write("b/c", "C")),
}
PATTERNS: dict[str, tuple[str, str]] = {
    "anchored": ("/x\n", "b/x"),
    "anchored at the top": ("/x\n", "x"),
    "a path": ("b/x\n", "b/x"),
    "a path elsewhere": ("b/x\n", "n/b/x"),
    "stars": ("**/d/x\n", "b/d/x"),
    "stars at the end": ("n/**\n", "n/m/x"),
    "a re-included file of an ignored directory": ("n/\n!n/x\n", "n/x"),
    "a re-included file of ignored contents": ("n/*\n!n/x\n", "n/x"),
    "a comment": ("#x\n", "#x"),
    "an escaped hash": ("\\#x\n", "#x"),
    "trailing space": ("x \n", "x"),
    "a class": ("[xy]\n", "y"),
    "a question": ("?\n", "x"),
    "no newline": ("x", "x"),
    "a carriage return": ("x\r\n", "x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_it_says_what_git_says(work: Work, change: Callable[[Work], object]):
    change(work)
    expected = work.git_says if "no index" not in str(change) else "contradicted"
    assert work.clean == expected


@pytest.mark.parametrize(("patterns", "name"), PATTERNS.values(), ids=PATTERNS.keys())
@pytest.mark.parametrize("where", [".gitignore", "b/.gitignore", "n/.gitignore"])
def test_patterns_mean_what_they_mean_to_git(work: Work, patterns: str, name: str, where: str):
    work.write(where, patterns)
    work.git("add", "-f", where)
    work.commit()
    work.write(name, "")
    assert work.clean == work.git_says


def test_an_open_merge_is_a_change(work: Work):
    work.git("checkout", "-qb", "side")
    work.write("a", "one")
    work.commit()
    work.git("checkout", "-q", "main")
    work.write("a", "two")
    work.commit()
    with pytest.raises(subprocess.CalledProcessError):
        work.git("merge", "-q", "side")
    assert work.clean == "contradicted"


def test_a_write_in_the_very_moment_of_the_index_is_seen(work: Work):
    file = work.path / "a"
    before = file.stat()
    file.write_text("A")  # as long as before, and made as old
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(work.path / ".git" / "index", ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert work.clean == "contradicted"


UNKNOWN: dict[str, Callable[[Work], object]] = {
    "a submodule": lambda w: (w.git("submodule", "add", "-q", str(w.path), "sub"), w.commit()),
    "a repository within": lambda w: w.git("init", "-q", str(w.path / "n")),
    "a sparse index": lambda w: (
        w.git("sparse-checkout", "set", "--cone", "--sparse-index"),
        w.git("sparse-checkout", "reapply"),
    ),
    "a split index": lambda w: w.git("update-index", "--split-index"),
    "a work tree elsewhere": lambda w: w.git("config", "core.worktree", "/"),
    "converted line endings": lambda w: (w.git("config", "core.autocrlf", "true"), w.write("a", "a\r\n")),
    "attributes": lambda w: (w.write(".gitattributes", "* text\n"), w.commit(), w.write("a", "A")),
    "other objects": lambda w: (
        (w.path / ".git" / "objects").rename(w.path.parent / "objects"),
        (w.path / ".git" / "objects" / "info").mkdir(parents=True),
        w.write(".git/objects/info/alternates", str(w.path.parent / "objects")),
    ),
    "no repository": lambda w: (shutil.rmtree(w.path / ".git"), w.write(".git", "nonsense\n")),
    "HEAD of a tree in a pack": lambda w: (w.write(".git/HEAD", w.git("rev-parse", "HEAD^{tree}")), w.git("gc", "-q")),
    "no packs and no commit": lambda w: shutil.rmtree(w.path / ".git/objects"),
    "a huge ignore file": lambda w: w.write(".gitignore", "x\n" * comparison.MOST_PATTERNS),
    "a huge list of what is excluded": lambda w: (w.path / ".git/info/exclude").write_text("x" * (1 << 21)),
    "references of another kind": lambda w: w.write(".git/HEAD", "ref: refs/heads/.invalid\n"),
    "HEAD that is none": lambda w: w.write(".git/HEAD", "nonsense"),
    "HEAD that goes round": lambda w: w.write(".git/refs/heads/main", "ref: refs/heads/main\n"),
    "HEAD of a tree": lambda w: w.write(".git/HEAD", w.git("rev-parse", "HEAD^{tree}")),
    "HEAD that is large": lambda w: w.write(".git/HEAD", "x" * 10_000),
    "HEAD that climbs": lambda w: w.write(".git/HEAD", "ref: refs/heads/../../config"),
    "a commit that is not there": lambda w: w.write(".git/HEAD", "0" * 40),
    "a commit that is damaged": lambda w: _damage(w, b"nonsense"),
    "another commit in its place": lambda w: _damage(w, zlib.compress(b"commit 5\0tree x")),
    "packs that are damaged": lambda w: (w.git("gc", "-q"), *(_spoil(each) for each in _packs(w))),
    "indexes of packs that are damaged": lambda w: (w.git("gc", "-q"), *(_spoil(each) for each in _packs(w, ".idx"))),
}


def _packs(work: Work, ending: str = ".pack") -> list[Path]:
    return list((work.path / ".git" / "objects" / "pack").glob(f"*{ending}"))


def _spoil(file: Path) -> None:
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:8] + b"\xff" * 2000)


def _damage(work: Work, content: bytes) -> None:
    head = work.git("rev-parse", "HEAD")
    file = work.path / ".git" / "objects" / head[:2] / head[2:]
    file.chmod(0o644)
    file.write_bytes(content)


@pytest.mark.parametrize("change", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_cannot_be_compared_is_unknown(work: Work, change: Callable[[Work], object]):
    change(work)
    outcome = "unknown"
    with suppress(NotUnderstood):
        outcome = work.clean
    assert outcome == "unknown"


def test_a_sha256_repository_tells_its_branch_and_no_more(work: Work):
    other = Work(work.places, work.places.inside / "other")
    other.path.mkdir()
    other.git("init", "-q", "-b", "main", "--object-format=sha256")
    head = other.commit()
    roots = work.places.roots
    assert read_head(roots, open_repository(roots, str(other.path))).commit == head
    with pytest.raises(NotUnderstood):
        look_at_work_tree(roots, str(other.path))


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("work/b", "unknown"),
        ("missing", "contradicted"),
        ("work/a", "unknown"),
        ("../outside", "unknown"),
        ("/etc", "unknown"),
        ("linked", "confirmed"),
        ("linked-out", "unknown"),
    ],
)
async def test_where_it_looks(threads: Threads, work: Work, path: str, outcome: str):
    (work.places.inside / "linked").symlink_to("work")
    (work.places.inside / "linked-out").symlink_to(work.places.outside)
    for kind, claim in ((GitBranch, {"branch": "main"}), (GitClean, {})):
        assert await _outcome(threads, work, kind, path=path, **claim) == outcome


SECRET_COMMIT = "f" * 40
LEADING_OUT: dict[str, Callable[[Work, Path], object]] = {
    "HEAD": lambda w, out: ((w.path / ".git/HEAD").unlink(), (w.path / ".git/HEAD").symlink_to(out / "HEAD")),
    "the branch": lambda w, out: (
        (w.path / ".git/refs/heads/main").unlink(),
        (w.path / ".git/refs/heads/main").symlink_to(out / "HEAD"),
    ),
    "all of it": lambda w, out: (shutil.rmtree(w.path / ".git"), (w.path / ".git").symlink_to(out)),
    "a named directory": lambda w, out: (shutil.rmtree(w.path / ".git"), w.write(".git", f"gitdir: {out}\n")),
    "a relative directory": lambda w, _out: (
        shutil.rmtree(w.path / ".git"),
        w.write(".git", "gitdir: ../../outside\n"),
    ),
    "the common directory": lambda w, out: w.write(".git/commondir", f"{out}\n"),
    "packed references": lambda w, out: (
        (w.path / ".git/refs/heads/main").unlink(),
        (w.path / ".git/packed-refs").symlink_to(out / "packed-refs"),
    ),
}


@pytest.mark.parametrize("change", LEADING_OUT.values(), ids=LEADING_OUT.keys())
async def test_a_repository_that_leads_out_is_not_followed(
    threads: Threads, work: Work, change: Callable[[Work, Path], object]
):
    out = work.places.outside
    (out / "HEAD").write_text(f"{SECRET_COMMIT}\n")
    (out / "packed-refs").write_text(f"{SECRET_COMMIT} refs/heads/main\n")
    (out / "refs/heads").mkdir(parents=True)
    (out / "refs/heads/main").write_text(f"{SECRET_COMMIT}\n")
    change(work, out)
    for claim in (GitCommit(path=str(work.path), commit=SECRET_COMMIT), GitCommit(path=str(work.path), commit="0" * 7)):
        seen = await look_at_git(work.places.roots, threads, claim)
        assert seen.outcome == "unknown"
        assert SECRET_COMMIT not in seen.words


def test_nothing_that_the_repository_configures_runs(work: Work):
    trap, mark = work.places.inside / "trap", work.places.inside / "mark"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    trap.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "filter.x.clean",
        "filter.x.process",
        "diff.external",
        "core.hooksPath",
        "core.pager",
    ):
        work.git("config", key, str(trap))
    work.write(".git/info/attributes", "* filter=x\n")
    work.write("a", "other, and longer")
    assert look_at_work_tree(work.places.roots, str(work.path)).outcome == "unknown"
    assert not mark.exists()
    work.git("status", "--porcelain")
    assert mark.exists(), "the trap works"


def test_a_tracked_directory_that_is_a_link_to_a_copy_outside_is_not_read(work: Work):
    copy = work.places.outside / "b"
    shutil.copytree(work.path / "b", copy)
    shutil.rmtree(work.path / "b")
    (work.path / "b").symlink_to(copy)
    os.utime(copy / "c", (1, datetime.now(UTC).timestamp()))
    assert work.clean == "contradicted"
    assert (copy / "c").stat().st_atime == 1


def test_what_is_hidden_unreadable_or_elsewhere_is_not_looked_into(work: Work):
    roots = work.places.roots
    (work.path / "kept").mkdir()
    work.write("kept/key", "x")
    hiding = Roots(roots.allowed, [str(work.path / "kept")])
    assert look_at_work_tree(hiding, str(work.path)).outcome == "unknown"
    work.write(".git/info/exclude", "kept\n")
    assert look_at_work_tree(hiding, str(work.path)).outcome == "confirmed"
    assert look_at_work_tree(Roots(roots.allowed, [str(work.path / "b")]), str(work.path)).outcome == "unknown"
    (work.path / "kept").chmod(0)
    (work.path / "b" / "d").chmod(0)
    os.utime(work.path / "a", (1, 1))
    (work.path / "a").chmod(0)
    work.git("config", "core.fileMode", "false")
    try:
        assert as_nobody(lambda: work.clean) == "unknown"
    finally:
        for name in ("kept", "b/d", "a"):
            (work.path / name).chmod(0o755)


def test_there_are_limits(work: Work, monkeypatch: pytest.MonkeyPatch):
    os.utime(work.path / "a", (1, 1))
    monkeypatch.setattr(comparison, "MOST_HASHED", 0)
    assert work.clean == "unknown"
    monkeypatch.setattr(comparison, "MOST_ENTRIES", 3)
    with pytest.raises(NotUnderstood):
        look_at_work_tree(work.places.roots, str(work.path))
    monkeypatch.undo()
    (work.path / "/".join("d" * (MOST_DEPTH + 1))).mkdir(parents=True)
    assert work.clean == "unknown"


@pytest.mark.parametrize("fails", [False, True])
def test_files_that_change_under_the_look_are_unknown(work: Work, monkeypatch: pytest.MonkeyPatch, *, fails: bool):
    os.utime(work.path / "a", (1, 1))
    read = os.read

    def changing(descriptor: int, size: int) -> bytes:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name != "a":
            return read(descriptor, size)
        if fails:
            raise OSError(5, "Input/output error")
        return b""

    monkeypatch.setattr(comparison.os, "read", changing)
    assert work.clean == "unknown"


def test_the_other_process_answers_in_json(work: Work):
    def run(path: str) -> str:
        wish = json.dumps(asdict(Job.of(work.places.roots, path)))
        command = [sys.executable, "-m", "wingman_api.claims.probes.work_tree"]
        done = subprocess.run(command, input=wish, capture_output=True, text=True, check=True)
        outcome: str = json.loads(done.stdout)["outcome"]
        return outcome

    assert run(str(work.path)) == "confirmed"
    assert run(str(work.path / "b")) == "unknown"


async def test_another_process_that_breaks_is_no_harm(threads: Threads, work: Work):
    (work.path / ".git" / "index").write_bytes(b"DIRC" + b"\xff" * 100)
    assert await _outcome(threads, work, GitClean) == "unknown"


async def test_another_process_that_nobody_waits_for_is_killed(
    threads: Threads, work: Work, monkeypatch: pytest.MonkeyPatch
):
    mark = work.places.inside / "pid"
    script = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
    monkeypatch.setattr(git, "LOOKER", ("-I", "-c", script))
    look = asyncio.create_task(_outcome(threads, work, GitClean))
    await eventually(lambda: _pid(mark))
    look.cancel()
    await asyncio.gather(look, return_exceptions=True)
    assert not Path("/proc", mark.read_text()).exists()


async def _pid(mark: Path) -> str | None:
    return mark.read_text() if mark.exists() and mark.read_text() else None


async def test_the_other_process_gets_no_environment(threads: Threads, work: Work, monkeypatch: pytest.MonkeyPatch):
    shown = work.places.inside / "shown"
    script = work.places.inside / "script.py"
    script.write_text(f"import os; open({str(shown)!r}, 'w').write(repr(dict(os.environ))); raise SystemExit(1)")
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    monkeypatch.setattr(git, "LOOKER", ("-I", str(script)))
    assert await _outcome(threads, work, GitClean) == "unknown"
    assert "hunter2" not in shown.read_text()


def test_refusals_of_a_repositorys_files(work: Work):
    roots = work.places.roots
    with pytest.raises(Absent):
        repository.read_small(roots, os.fsencode(work.path / "none"))
    with pytest.raises(NotUnderstood):
        repository.read_small(roots, os.fsencode(work.path / "b"))
    with pytest.raises(NotAllowed):
        repository.read_small(roots, b"/etc/passwd")
    assert Root.at(str(work.path)).real == os.fsencode(work.path)
