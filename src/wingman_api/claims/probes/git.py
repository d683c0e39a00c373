"""Claims about git work trees: branch, commit, clean.

Guarantees: looks beneath the allowed roots alone; no git binary runs, so neither hooks nor monitors nor filters of a
hostile repository do. Branch and commit are two small files; whether all is clean is found out by another process
(``work_tree``), which is killed when its time is over.
"""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import asdict
from typing import Final, assert_never

from wingman_api.claims.probes.repository import Head, NotUnderstood, open_repository, read_head
from wingman_api.claims.probes.roots import Absent, NotAllowed, Roots, Unreadable
from wingman_api.claims.probes.seen import Seen, contradicted, judged, unknown
from wingman_api.claims.probes.threads import Threads
from wingman_api.claims.probes.work_tree import Job
from wingman_core.assertions import GitBranch, GitClean, GitCommit

LOOKER: Final = ("-I", "-m", "wingman_api.claims.probes.work_tree")
BROKE: Final = "The work tree could not be compared."


async def look_at_git(roots: Roots, threads: Threads, assertion: GitBranch | GitCommit | GitClean) -> Seen:
    """Look once; the caller holds the limit."""
    try:
        head = await threads.run(lambda _: read_head(roots, open_repository(roots, assertion.path)))
    except (NotAllowed, Unreadable, NotUnderstood) as error:
        return unknown(str(error))
    except Absent:
        return contradicted(f"There is nothing at {assertion.path!a}.")
    match assertion:
        case GitBranch():
            return _branch(head, assertion.branch)
        case GitCommit():
            words = f"HEAD is {head.commit}." if head.commit else "HEAD has no commit yet."
            return judged(holds=bool(head.commit) and head.commit.startswith(assertion.commit), words=words)
        case GitClean():
            return await _clean(Job.of(roots, assertion.path))
        case _:
            assert_never(assertion)


def _branch(head: Head, branch: str) -> Seen:
    words = f"The work tree is on {head.branch!a}." if head.branch else "HEAD is on no branch."
    return judged(holds=head.branch == branch, words=words)


async def _clean(job: Job) -> Seen:
    """Let another process look: without this one's environment, and no longer than this is waited for."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *LOOKER, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, cwd="/", start_new_session=True
    )
    try:
        answer, _ = await process.communicate(json.dumps(asdict(job)).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        return unknown(BROKE)
    said = json.loads(answer)
    return Seen(said["outcome"], said["words"])
