"""``wingman up`` as a user starts it: a process of its own, read line by line, stopped by a signal."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from typer.testing import Result

WINGMAN = str(Path(sys.executable).with_name("wingman"))
Run = Callable[..., Result]
"""What runs one command line, and expects its exit code."""
READY = "wingman pending | approve"


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """The shell's variables without any of Wingman's, and the data directory."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WINGMAN_")}
    return {**clean, "WINGMAN_DATA_DIR": str(data_dir), "COLUMNS": "200", **more}


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Poll until the condition is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def document(result: Result) -> Any:  # noqa: ANN401 - any JSON
    """What a command printed for programs."""
    return json.loads(result.stdout)


def child(data_dir: Path, name: str) -> int:
    """The process id of a supervised process of an instance that runs."""
    path = data_dir / "run" / f"{name}.pid"
    until(lambda: path.exists() and path.read_text().isdigit())
    return int(path.read_text())


class Up:
    """One ``wingman up``."""

    def __init__(self, data_dir: Path, *arguments: str, **variables: str) -> None:
        self.data_dir = data_dir
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [WINGMAN, "up", "--port", "0", *arguments],
            env=environment(data_dir, PYTHONUNBUFFERED="1", **variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """Everything it has said."""
        return "".join(self.lines)

    @property
    def api(self) -> str:
        """The API's address, once it is up."""
        found = re.search(r"API +(http://\S+)", self.text)
        assert found, self.text
        return found[1]

    def ready(self) -> Self:
        """Return once it says that it is up."""
        until(lambda: READY in self.text or self.process.poll() is not None)
        assert READY in self.text, self.text
        return self

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to stop; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(90)
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def child(self, name: str) -> int:
        """The process id of a supervised process."""
        return child(self.data_dir, name)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)  # a line at a time, as they come


def wingman(data_dir: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, as a user would."""
    return subprocess.run(
        [WINGMAN, *arguments],
        env=environment(data_dir, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
