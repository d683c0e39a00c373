"""Which assertions cannot both hold now: what was started and then stopped, created and then deleted."""

from wingman_core.assertions import (
    Assertion,
    ContainerHealthy,
    ContainerRestarted,
    ContainerRunning,
    ContainerStopped,
    FileChanged,
    FileContains,
    FileDigest,
    FileExists,
    FileGone,
    PortClosed,
    PortListening,
    ProcessGone,
    ProcessRunning,
)


def opposes(one: Assertion, other: Assertion) -> bool:
    """Whether both cannot hold at one time; the order of the two does not matter."""
    return _excludes(one, other) or _excludes(other, one)


def _excludes(absent: Assertion, present: Assertion) -> bool:
    match absent, present:
        case FileGone(path=path), FileExists() | FileChanged() | FileContains() | FileDigest():
            return path == present.path
        case ProcessGone(), ProcessRunning():
            return (absent.name, absent.container) == (present.name, present.container)
        case PortClosed(port=port), PortListening():
            return port == present.port
        case ContainerStopped(container=name), ContainerRunning() | ContainerHealthy() | ContainerRestarted():
            return name == present.container
        case _:
            return False
