"""docs/operations.md, run: each command in order, in one shell, and what it prints compared with what the page says."""

import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.stack.running import BIN, Stack

GUIDE = REPOSITORY / "docs" / "operations.md"
PORT = "8101"


def steps(text: str) -> list[tuple[str, list[str]]]:
    """Each command with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def fits(said: str, lines: list[str]) -> bool:
    """Whether a text is what the page says: ``...`` is anything, and a line of it alone any number of lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\s*\n" for line in lines
    )
    return re.fullmatch(pattern, said) is not None


class Shell:
    """A bash that runs one command after the other."""

    def __init__(self, clone: Path, environ: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["/bin/bash", "-O", "expand_aliases"],
            cwd=clone,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> str:
        """Run a command to its end; return what it printed."""
        end = secrets.token_hex(8)
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        # Its input is not the shell's: a program that reads would take the commands that follow.
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\necho {end}\n")
        self._bash.stdin.flush()
        said = ""
        for line in self._bash.stdout:
            if line.endswith(f"{end}\n"):
                return said + line.removesuffix(f"{end}\n")
            said += line
        raise AssertionError(f"the shell ended at {command}: {said}")

    def close(self) -> None:
        self._bash.communicate("exit\n", timeout=30)


@pytest.fixture
def shell(stack: Stack, busybox_here: str, tmp_path: Path) -> Iterator[Shell]:
    """A shell in the clone, with Compose as docker's plugin, on a database with nothing in it yet."""
    stack.docker("tag", busybox_here, "busybox:stable")
    stack.compose("down", "--volumes", "--timeout", "3")
    for path in stack.environment.data.iterdir():
        path.unlink()
    plugins = tmp_path / "docker" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(BIN / "docker-compose")
    opened = Shell(stack.clone, stack.environ | {"DOCKER_CONFIG": str(plugins.parent)})
    yield opened
    opened.close()
    stack.docker("rm", "--force", "guide-web")


def test_each_command_of_the_guide_does_what_the_page_says(stack: Stack, shell: Shell):
    found = steps(GUIDE.read_text())
    assert len(found) > 30
    for command, lines in found:
        said = shell.run(command.replace(PORT, str(stack.port)))
        said = said.replace(str(stack.port), PORT)
        assert fits(said, lines), f"$ {command}\n{said}\n-- the page says:\n" + "\n".join(lines)


def test_a_page_that_says_something_else_does_not_fit():
    assert fits("one\ntwo\n", ["one", "two"])
    assert fits("one\nmore\ntwo 17 s\n", ["...", "two ... s"])
    assert fits("", [])
    for said, lines in (("one\n", []), ("", ["one"]), ("two\n", ["one"]), ("one\ntwo\n", ["one"])):
        assert not fits(said, lines)
