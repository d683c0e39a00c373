"""Signals and capabilities in any of Docker's spellings.

Sources: moby/sys ``signal.ParseSignal`` for Linux, docker/cli ``NormalizeCapability``.
"""

import re
from typing import Final

from wingman_core.command.values import BadValue

_SIGNALS: Final = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "ILL": 4,
    "TRAP": 5,
    "ABRT": 6,
    "BUS": 7,
    "FPE": 8,
    "KILL": 9,
    "USR1": 10,
    "SEGV": 11,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
    "STKFLT": 16,
    "CHLD": 17,
    "CONT": 18,
    "STOP": 19,
    "TSTP": 20,
    "TTIN": 21,
    "TTOU": 22,
    "URG": 23,
    "XCPU": 24,
    "XFSZ": 25,
    "VTALRM": 26,
    "PROF": 27,
    "WINCH": 28,
    "IO": 29,
    "PWR": 30,
    "SYS": 31,
    "RTMIN": 34,
    "RTMAX": 64,
    **{f"RTMIN+{n}": 34 + n for n in range(1, 16)},
    **{f"RTMAX-{n}": 64 - n for n in range(1, 15)},
}
_SIGNAL_ALIASES: Final = {"IOT": "ABRT", "CLD": "CHLD", "POLL": "IO"}
_SIGNAL_NAMES: Final = {number: name for name, number in _SIGNALS.items()}
_SIGNAL_NUMBER: Final = re.compile(r"\+?[0-9]{1,4}")


def signal(text: str) -> str:
    """Read a signal by name or number (moby/sys ``signal.ParseSignal``) as ``SIGTERM``-like text."""
    if _SIGNAL_NUMBER.fullmatch(text):
        name = _SIGNAL_NAMES.get(int(text), "")
    else:
        bare = _upper(text).removeprefix("SIG")
        name = _SIGNAL_ALIASES.get(bare, bare)
    if name not in _SIGNALS:
        raise BadValue("not a signal, such as SIGTERM")
    return f"SIG{name}"


def number_of(name: str) -> int:
    """Return the number of a signal as ``signal`` writes it, on Linux."""
    return _SIGNALS[name.removeprefix("SIG")]


_CAPABILITIES_WORDS: Final = """
    AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH
    FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN
    NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT
    SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
"""
_CAPABILITIES: Final = frozenset(_CAPABILITIES_WORDS.split())


def capability(text: str) -> str:
    """Read a capability in any spelling (docker/cli ``NormalizeCapability``) as ``CAP_NET_ADMIN`` or ``ALL``."""
    name = _upper(text)
    if name == "ALL":
        return name
    bare = name.removeprefix("CAP_")
    if bare not in _CAPABILITIES:
        raise BadValue("not a Linux capability, such as NET_ADMIN")
    return f"CAP_{bare}"


def _upper(text: str) -> str:
    """Return the text in capitals, where Go and Python agree on them."""
    return text.upper() if text.isascii() else text
