"""What is said of processes, ports, addresses, work trees and packages of this host."""

from collections.abc import Sequence
from typing import Final

from wingman_core.assertions import (
    Assertion,
    GitBranch,
    GitClean,
    GitCommit,
    HttpAnswer,
    PackageInstalled,
    PortClosed,
    PortListening,
    ProcessGone,
    ProcessRunning,
)
from wingman_core.sentences.form import Captured
from wingman_core.sentences.pattern import Pattern, one
from wingman_core.sentences.words import LISTENING, RUNNING

_PROCESS: Final = "process|processes|daemon|daemons [named|called]"
_HERE: Final = "[on] [this] [host|machine|localhost|127.0.0.1|server] [locally]"
_PORT: Final = "[tcp] port|ports"
_REPO: Final = "[git] [work|working|source] repository|repo|checkout|tree|worktree|clone [at|in|of|under]"
_TREE: Final = "[git] [work|working|source] [repository|repo|checkout|tree|worktree|clone|directory] [at|in|of|under]"
_PACKAGE: Final = "[python|pip|pypi|debian|apt|system|deb] package|packages"


def _running(captured: Captured) -> Sequence[Assertion]:
    return [ProcessRunning(name=name) for name in captured["processes"]]


def _daemon(captured: Captured) -> Sequence[Assertion]:
    return [ProcessRunning(name=one(captured, "daemon"))]


def _gone(captured: Captured) -> Sequence[Assertion]:
    return [ProcessGone(name=name) for name in captured["processes"]]


def _running_inside(captured: Captured) -> Sequence[Assertion]:
    return [ProcessRunning(name=name, container=one(captured, "container")) for name in captured["processes"]]


def _gone_inside(captured: Captured) -> Sequence[Assertion]:
    return [ProcessGone(name=name, container=one(captured, "container")) for name in captured["processes"]]


def _listening(captured: Captured) -> Sequence[Assertion]:
    return [PortListening(port=int(port)) for port in captured["ports"]]


def _running_on(captured: Captured) -> Sequence[Assertion]:
    return [*_running(captured), *_listening(captured)]


def _closed(captured: Captured) -> Sequence[Assertion]:
    return [PortClosed(port=int(port)) for port in captured["ports"]]


def _answers(captured: Captured) -> Sequence[Assertion]:
    status, text = captured.get("status"), captured.get("text")
    return [
        HttpAnswer(
            url=one(captured, "url"), status=int(status[0]) if status else None, contains=text[0] if text else None
        )
    ]


def _branch(captured: Captured) -> Sequence[Assertion]:
    return [GitBranch(path=one(captured, "place"), branch=one(captured, "branch"))]


def _commit(captured: Captured) -> Sequence[Assertion]:
    return [GitCommit(path=one(captured, "place"), commit=one(captured, "commit").lower())]


def _clean(captured: Captured) -> Sequence[Assertion]:
    return [GitClean(path=one(captured, "place"))]


def _branch_and_clean(captured: Captured) -> Sequence[Assertion]:
    return [*_branch(captured), *_clean(captured)]


def _packages(captured: Captured) -> Sequence[Assertion]:
    return [PackageInstalled(name=name) for name in captured["packages"]]


def _version(captured: Captured) -> Sequence[Assertion]:
    return [PackageInstalled(name=one(captured, "package"), version=one(captured, "version"))]


def _pinned(captured: Captured) -> Sequence[Assertion]:
    name, version = captured["pinned"]
    return [PackageInstalled(name=name, version=version)]


PROCESSES: Final = (
    Pattern(f"{_PROCESS} {{processes}} is|are [up] [and] {RUNNING} {_HERE}", _running),
    Pattern(f"{_PROCESS} {{processes}} runs|run {_HERE}", _running),
    Pattern(f"{_PROCESS} {{processes}} is|are {RUNNING} on|at {_PORT} {{ports}} {_HERE}", _running_on, weaker=True),
    Pattern(f"{{daemon}} process|daemon is [up] [and] {RUNNING} {_HERE}", _daemon),
    Pattern(f"there is {_PROCESS} {{processes}} [{RUNNING}]", _running),
    Pattern(f"started|launched|spawned|restarted {_PROCESS} {{processes}}", _running),
    Pattern(f"{_PROCESS} {{processes}} [was|were|is|are] started|launched", _running),
    Pattern(f"{_PROCESS} {{processes}} is|are {RUNNING} in|inside [docker] container {{container}}", _running_inside),
    Pattern(f"{_PROCESS} {{processes}} runs|run in|inside [docker] container {{container}}", _running_inside),
    Pattern(f"{_PROCESS} {{processes}} in|inside [docker] container {{container}} is|are {RUNNING}", _running_inside),
    Pattern(f"[docker] container {{container}} runs|is [running] {_PROCESS} {{processes}}", _running_inside),
    Pattern(f"{_PROCESS} {{processes}} is|are not {RUNNING} [anymore|any] [more] {_HERE}", _gone),
    Pattern(f"{_PROCESS} {{processes}} is|are no longer {RUNNING} {_HERE}", _gone),
    Pattern(f"{_PROCESS} {{processes}} [was|were|is|are|got] stopped|killed|terminated|dead|gone|down", _gone),
    Pattern(f"stopped|killed|terminated {_PROCESS} {{processes}}", _gone),
    Pattern(f"no {_PROCESS} {{processes}} is|are {RUNNING} {_HERE}", _gone),
    Pattern(f"there is no {_PROCESS} {{processes}} [{RUNNING}]", _gone),
    Pattern(f"{_PROCESS} {{processes}} is|are not {RUNNING} in|inside [docker] container {{container}}", _gone_inside),
)
PORTS: Final = (
    Pattern(f"{_PORT} {{ports}} {_HERE} is|are {LISTENING} {_HERE}", _listening),
    Pattern(f"{_PORT} {{ports}} {_HERE} is|are in use {_HERE}", _listening),
    Pattern(f"something|listening [is] [listens|listening] on {_PORT} {{ports}} {_HERE}", _listening),
    Pattern(f"{{subject}} [is|are] listens|listen|listening on {_PORT} {{ports}} {_HERE}", _listening, weaker=True),
    Pattern(f"{_PORT} {{ports}} {_HERE} is|are closed|free|unused {_HERE}", _closed),
    Pattern(f"{_PORT} {{ports}} {_HERE} is|are not {LISTENING} [anymore] {_HERE}", _closed),
    Pattern(f"{_PORT} {{ports}} {_HERE} is|are not in use [anymore] {_HERE}", _closed),
    Pattern(f"{_PORT} {{ports}} {_HERE} is|are no longer {LISTENING} {_HERE}", _closed),
    Pattern(f"{_PORT} {{ports}} {_HERE} is|are no longer in use {_HERE}", _closed),
    Pattern(f"nothing listens|is [listening] on {_PORT} {{ports}} {_HERE}", _closed),
)
ADDRESSES: Final = (
    Pattern(
        "[get] [url|endpoint|page|address] {url} returns|answers|responds|returned|answered|responded|gives "
        "[with] [http] [status] [code] {status} [ok]",
        _answers,
    ),
    Pattern("http status [code] of [url|endpoint] {url} is {status} [ok]", _answers),
    Pattern("[url|endpoint|page|address] {url} is reachable|up|available|online|accessible|responding", _answers),
    Pattern(
        "[get] [url|endpoint|page|address] {url} returns|contains|serves|returned [body|text|page] [containing|with] "
        "[text] {text}",
        _answers,
    ),
    Pattern(
        "[get] [url|endpoint|page|address] {url} returns|answers|responds|returned|answered|responded [with] [http] "
        "[status] [code] {status} and|with [body|text] [containing] {text}",
        _answers,
    ),
)
GIT: Final = (
    Pattern(f"{_TREE} {{place}} is on [git] branch {{branch}}", _branch),
    Pattern(f"{_TREE} {{place}} is on [git] branch {{branch}} and [is] clean", _branch_and_clean),
    Pattern("[git] branch {branch} is checked out in|at [repository|repo] {place}", _branch),
    Pattern("checked out [git] branch {branch} in|at [repository|repo] {place}", _branch),
    Pattern("switched to [git] branch {branch} in|at [repository|repo] {place}", _branch),
    Pattern("switched [repository|repo] {place} to [git] branch {branch}", _branch),
    Pattern(f"head of {_TREE} {{place}} is [at] [commit] {{commit}}", _commit),
    Pattern(f"{_TREE} {{place}} is at [git] commit {{commit}}", _commit),
    Pattern("[git] commit {commit} is checked out in|at [repository|repo] {place}", _commit),
    Pattern("checked out [git] commit {commit} in|at [repository|repo] {place}", _commit),
    Pattern(f"{_REPO} {{place}} is clean", _clean),
    Pattern("git status [in|of|at] {place} is clean", _clean),
    Pattern("git status is clean in|at {place}", _clean),
)
PACKAGES: Final = (
    Pattern(f"{_PACKAGE} {{packages}} is|are|was|were installed {_HERE}", _packages),
    Pattern(f"installed {_PACKAGE} {{packages}} {_HERE}", _packages),
    Pattern(f"{_PACKAGE} {{package}} [version] {{version}} is|was installed {_HERE}", _version),
    Pattern(f"{_PACKAGE} {{package}} is|was installed in|at|as version {{version}}", _version),
    Pattern(f"{_PACKAGE} {{package}} is at|in [version] {{version}}", _version),
    Pattern(f"installed {_PACKAGE} {{package}} [in|at] [version] {{version}}", _version),
    Pattern(f"installed version {{version}} of {_PACKAGE} {{package}}", _version),
    Pattern(f"version {{version}} of {_PACKAGE} {{package}} is|was installed", _version),
    Pattern(f"upgraded|updated|downgraded {_PACKAGE} {{package}} to [version] {{version}}", _version),
    Pattern("[python|pip] [package] {pinned} is|was installed", _pinned),
    Pattern("installed [python|pip] [package] {pinned}", _pinned),
)
PATTERNS: Final = (*PROCESSES, *PORTS, *ADDRESSES, *GIT, *PACKAGES)
