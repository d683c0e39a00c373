"""What is tried from inside a container, tried here: an engine is told from another socket."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wingman_cli.stack import probe

ANSWER = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"


@contextmanager
def answering(listener: socket.socket, answer: bytes) -> Iterator[None]:
    """A server that says the same to everybody, and hangs up."""
    listener.settimeout(0.1)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                near, _ = listener.accept()
            except TimeoutError:
                continue
            with near:
                near.recv(4096)
                near.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        listener.close()


def unix(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    return listener


@pytest.mark.parametrize(
    ("answer", "is_engine"),
    [
        (ANSWER, True),
        (b"HTTP/1.0 200 OK\r\n\r\nOK", True),
        (b"HTTP/1.1 403 Forbidden\r\napi-version: 1.41\r\n\r\n", True),
        (b"\0\0\6\4\0\0\0\0\0\0\5\0\0@\0", True),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", False),
        (b"E: no such command\n", False),
        (b"", False),
    ],
)
def test_an_engine_is_known_by_its_answer(tmp_path: Path, answer: bytes, is_engine: bool):
    path = str(tmp_path / "s")
    with answering(unix(path), answer):
        assert probe.try_unix(path) is is_engine
    assert not probe.try_unix(path)


def test_an_engine_that_does_not_hang_up_is_known_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "PATIENCE", 0.5)
    path = str(tmp_path / "s")
    held: list[socket.socket] = []

    def answer() -> None:
        near, _ = listener.accept()
        near.sendall(ANSWER)
        held.append(near)

    with unix(path) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        assert probe.try_unix(path)
        thread.join()
    held[0].close()


def test_an_abstract_socket_is_found_by_its_name():
    name = f"wingman-test-{threading.get_ident()}"
    with answering(unix(f"\0{name}"), ANSWER):
        assert name in list(probe.abstract_sockets())
        assert probe.try_unix(f"\0{name}")


def test_a_port_is_open_or_not():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        assert probe.opens(host, port)
        assert not probe.serves(host, port, "")
    assert not probe.opens(host, port)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can go into another root directory")
def test_the_program_says_what_led_somewhere_in_one_line(tmp_path: Path):
    """As it is run: from its text, with the standard library alone."""
    path = str(tmp_path / "engine")
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, answering(unix(path), ANSWER):
        asked = {
            "hosts": ["127.0.0.1"],
            "ports": [listener.getsockname()[1]],
            "gateways": [("127.0.0.1", 1)],
            "paths": ["/engine", "/nothing"],
            "certificate": "",
            "root": str(tmp_path),
        }
        program = Path(probe.__file__).read_text("utf-8")
        said = subprocess.run(
            [sys.executable, "-I", "-c", program, json.dumps(asked)], capture_output=True, check=True, text=True
        )
    found = json.loads(said.stdout)
    assert {"kind": "unix", "where": "/engine", "said": "answers /_ping"} in found
    assert [each["kind"] for each in found if each["kind"] == "tcp"] == ["tcp"]
