"""What is said of containers. "Removed" is more than a probe sees, which takes a stopped container for one too."""

from collections.abc import Sequence
from typing import Final

from wingman_core.assertions import (
    Assertion,
    ContainerHealthy,
    ContainerImage,
    ContainerRestarted,
    ContainerRunning,
    ContainerStopped,
    PortListening,
)
from wingman_core.sentences.form import Captured
from wingman_core.sentences.pattern import Pattern, moment, one

_CONTAINER: Final = "[docker] container|containers [named|called]"
_UP: Final = "running|up|alive|active|started"
_DOWN: Final = "stopped|exited|down|dead"


def _named(captured: Captured) -> Sequence[str]:
    return captured.get("containers") or captured["handle"]


def _running(captured: Captured) -> Sequence[Assertion]:
    return [ContainerRunning(container=name) for name in _named(captured)]


def _running_on(captured: Captured) -> Sequence[Assertion]:
    return [*_running(captured), *(PortListening(port=int(port)) for port in captured["ports"])]


def _stopped(captured: Captured) -> Sequence[Assertion]:
    return [ContainerStopped(container=name) for name in _named(captured)]


def _healthy(captured: Captured) -> Sequence[Assertion]:
    return [ContainerHealthy(container=name) for name in _named(captured)]


def _both(captured: Captured) -> Sequence[Assertion]:
    return [*_running(captured), *_healthy(captured)]


def _restarted(captured: Captured) -> Sequence[Assertion]:
    return [ContainerRestarted(container=name, since=moment(captured)) for name in _named(captured)]


def _image(captured: Captured) -> Sequence[Assertion]:
    return [ContainerImage(container=one(captured, "container"), image=one(captured, "image"))]


def _running_image(captured: Captured) -> Sequence[Assertion]:
    return [ContainerRunning(container=one(captured, "container")), *_image(captured)]


PATTERNS: Final = (
    Pattern(f"{_CONTAINER} {{containers}} is|are [up] [and] {_UP}", _running),
    Pattern(f"{_CONTAINER} {{containers}} is|are healthy", _healthy),
    Pattern(f"{_CONTAINER} {{containers}} is|are [up] [,] [and] {_UP} [,] and healthy", _both),
    Pattern(f"{_CONTAINER} {{containers}} is|are healthy and {_UP}", _both),
    Pattern(f"{_CONTAINER} {{containers}} runs|run", _running),
    Pattern(f"{_CONTAINER} {{containers}} is|are {_UP} on|at [tcp] port|ports {{ports}}", _running_on, weaker=True),
    Pattern(f"{{handle}} container is [up] [and] {_UP}", _running),
    Pattern("{handle} container is healthy", _healthy),
    Pattern(f"{{handle}} container is [up] [and] {_UP} and healthy", _both),
    Pattern(f"started|launched {_CONTAINER} {{containers}}", _running),
    Pattern(f"{_CONTAINER} {{containers}} was|were started|launched", _running),
    Pattern(f"{_CONTAINER} {{containers}} is|are {_DOWN}", _stopped),
    Pattern(f"{_CONTAINER} {{containers}} is|are not {_UP} [anymore|any] [more]", _stopped),
    Pattern(f"{_CONTAINER} {{containers}} is|are no longer {_UP}", _stopped),
    Pattern(f"stopped|killed {_CONTAINER} {{containers}}", _stopped),
    Pattern(f"{_CONTAINER} {{containers}} was|were stopped|killed", _stopped),
    Pattern(f"removed|deleted {_CONTAINER} {{containers}}", _stopped, weaker=True),
    Pattern(f"{_CONTAINER} {{containers}} [is|are|was|were] removed|deleted|gone", _stopped, weaker=True),
    Pattern(f"restarted|started|recreated|redeployed {_CONTAINER} {{containers}} {{since}}", _restarted),
    Pattern(f"{_CONTAINER} {{containers}} [was|were|is|are] [last] restarted|started {{since}}", _restarted),
    Pattern(f"restarted {_CONTAINER} {{containers}}", _running, weaker=True),
    Pattern(f"{_CONTAINER} {{containers}} [was|were] restarted", _running, weaker=True),
    Pattern(f"{_CONTAINER} {{container}} uses|has image {{image}}", _image),
    Pattern(f"{_CONTAINER} {{container}} was|is made|created|built|started from [image] {{image}}", _image),
    Pattern(f"{_CONTAINER} {{container}} is running [with] image {{image}}", _running_image),
    Pattern(f"{_CONTAINER} {{container}} runs [on|from] image {{image}}", _running_image),
    Pattern(f"image of {_CONTAINER} {{container}} is {{image}}", _image),
)
