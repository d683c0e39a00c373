"""Becomes another program that the kernel kills once the process that started it is gone. Linux.

Run as ``python -I -S tied.py PARENT PROGRAM ARGUMENT...``. Guarantees: PROGRAM never goes on without the process
PARENT, however that ended. It is a program of its own, not a function to run after a fork: a process with threads must
not do much there. Not guaranteed for what PROGRAM starts itself.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, Never

PR_SET_PDEATHSIG: Final = 1
"""prctl(2); it holds across ``execve`` of a program without privileges of its own."""
CANNOT_START: Final = 126


def main(arguments: Sequence[str]) -> Never:
    """Tie this process to its parent, and become the program; exit 126 where either cannot be."""
    parent, program = int(arguments[0]), arguments[1]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(_cannot(os.strerror(ctypes.get_errno())))
    if os.getppid() != parent:  # it was gone before the kernel knew
        sys.exit(CANNOT_START)
    os.environ.pop("LC_CTYPE", None)  # put there by this interpreter as it began
    try:
        os.execv(program, list(arguments[1:]))  # noqa: S606 - an argument vector, and no shell
    except OSError as error:
        sys.exit(_cannot(os.strerror(error.errno or 0)))


def _cannot(why: str) -> int:
    sys.stderr.write(f"cannot be started: {why}\n")
    return CANNOT_START


if __name__ == "__main__":
    main(sys.argv[1:])
