"""Which file system a descriptor is on, found out without asking that file system anything. Linux."""

from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")
# fmt: off
EXTRAORDINARY: Final = frozenset({
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fuse", "fuseblk", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs",
    "selinuxfs", "smackfs", "sysfs", "tracefs",
})
# fmt: on
"""What the kernel makes up, and what a process may answer for, or leave unanswered (autofs, fuse)."""
UNKNOWN: Final = -1


def mount_of(descriptor: int) -> int:
    """Return the id of the mount that an open descriptor is on (proc_pid_fdinfo(5))."""
    with Path(f"/proc/self/fdinfo/{descriptor}").open("rb") as file:
        lines = dict(line.split(b":", 1) for line in file if b":" in line)
    return int(lines.get(b"mnt_id", UNKNOWN))


def is_ordinary(mount: int) -> bool:
    """Tell whether a mount is known, and of files that somebody stored (proc_pid_mountinfo(5))."""
    with MOUNTS.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            fields = line.split(" ")
            if int(fields[0]) == mount:
                kind = fields[fields.index("-") + 1]
                return kind not in EXTRAORDINARY and not kind.startswith("fuse.")
    return False
