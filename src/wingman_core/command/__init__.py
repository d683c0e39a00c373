"""Commands: the text a worker writes, the typed operation it means, and everything people and policy need of it.

``parse`` and ``parse_argv`` make operations and nothing else does; ``render`` writes the canonical command,
``operation_digest`` binds it, ``references`` names the objects to resolve, ``facts`` says what it reaches for.
"""

from wingman_core.command.facts import Effect, Facts, facts
from wingman_core.command.limits import Device, Ulimit
from wingman_core.command.mounts import Mount, Tmpfs, Volume
from wingman_core.command.network import Exposed, Network, Port
from wingman_core.command.operations import (
    ExecOperation,
    ImagesOperation,
    InspectOperation,
    KillOperation,
    LogsOperation,
    Operation,
    PauseOperation,
    PsOperation,
    PullOperation,
    RestartOperation,
    RmOperation,
    RunOperation,
    StartOperation,
    StatsOperation,
    StopOperation,
    TopOperation,
    UnpauseOperation,
    operation_digest,
)
from wingman_core.command.parser import parse, parse_argv
from wingman_core.command.references import references
from wingman_core.command.render import render, render_argv

__all__ = [
    "Device",
    "Effect",
    "ExecOperation",
    "Exposed",
    "Facts",
    "ImagesOperation",
    "InspectOperation",
    "KillOperation",
    "LogsOperation",
    "Mount",
    "Network",
    "Operation",
    "PauseOperation",
    "Port",
    "PsOperation",
    "PullOperation",
    "RestartOperation",
    "RmOperation",
    "RunOperation",
    "StartOperation",
    "StatsOperation",
    "StopOperation",
    "Tmpfs",
    "TopOperation",
    "Ulimit",
    "UnpauseOperation",
    "Volume",
    "facts",
    "operation_digest",
    "parse",
    "parse_argv",
    "references",
    "render",
    "render_argv",
]
