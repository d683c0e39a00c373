"""A translation may say only what stands in the text."""

# ruff: noqa: S108 - the paths stand in sentences

from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.core.sentences.documented import NOW
from wingman_core.assertions import Assertion
from wingman_core.sentences import read
from wingman_core.sentences.grounding import covers, ungrounded

ADAPTER: TypeAdapter[Assertion] = TypeAdapter(Assertion)
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# A text, an assertion, and the field that does not stand in the text.
GROUNDED: list[tuple[str, dict[str, Any], str | None]] = [
    ("I made /tmp/a.", {"kind": "file_exists", "path": "/tmp/a"}, None),
    ("I made (/tmp/a)", {"kind": "file_exists", "path": "/tmp/a"}, None),
    ("I made `/tmp/a b`", {"kind": "file_exists", "path": "/tmp/a b"}, None),
    ("I made /tmp/a.txt", {"kind": "file_exists", "path": "/tmp/a"}, "path"),
    ("I made /srv/tmp/a", {"kind": "file_exists", "path": "/tmp/a"}, "path"),
    ("I made /tmp/a/b", {"kind": "file_exists", "path": "/tmp/a"}, "path"),
    ("I made /tmp/a/b and /tmp/a", {"kind": "file_exists", "path": "/tmp/a"}, None),
    ("I made something", {"kind": "file_exists", "path": "/etc/passwd"}, "path"),
    ("the webserver runs", {"kind": "container_running", "container": "web"}, "container"),
    ("web runs", {"kind": "container_running", "container": "web"}, None),
    ("port 18080", {"kind": "port_listening", "port": 8080}, "port"),
    ("port 8080", {"kind": "port_listening", "port": 8080}, None),
    ("jq 1.6.1", {"kind": "package_installed", "name": "jq", "version": "1.6"}, "version"),
    ("jq 1.6.", {"kind": "package_installed", "name": "jq", "version": "1.6"}, None),
    ("jq", {"kind": "package_installed", "name": "jq"}, None),
    ("commit ABCDEF1 in /srv/a", {"kind": "git_commit", "path": "/srv/a", "commit": "abcdef1"}, None),
    (f"/tmp/a is {SHA.upper()}", {"kind": "file_digest", "path": "/tmp/a", "sha256": SHA}, None),
    (
        "/tmp/a since 2026-01-02T10:00:00Z",
        {"kind": "file_changed", "path": "/tmp/a", "since": "2026-01-02T11:00:00+01:00"},
        None,
    ),
    ("/tmp/a just now", {"kind": "file_changed", "path": "/tmp/a", "since": "2026-01-02T11:00:00Z"}, "since"),
    (
        "/tmp/a 2026-99-02T10:00:00Z",
        {"kind": "file_changed", "path": "/tmp/a", "since": "2026-01-02T11:00:00Z"},
        "since",
    ),
]


@pytest.mark.parametrize(("text", "value", "field"), GROUNDED)
def test_each_value_stands_in_the_text_or_is_named(text: str, value: dict[str, Any], field: str | None):
    assert ungrounded(ADAPTER.validate_python(value), text) == field


def test_what_the_patterns_read_is_grounded_too():
    for text in ("Created '/tmp/a b', /tmp/c", "Package curl 7.88.1 is installed", "port 80 is open"):
        for assertion in read(text, NOW).assertions:
            assert ungrounded(assertion, text) is None


@pytest.mark.parametrize(
    ("text", "values", "covered"),
    [
        ("the file /tmp/a is there", [{"kind": "file_exists", "path": "/tmp/a"}], True),
        ("/tmp/a and /tmp/b are there", [{"kind": "file_exists", "path": "/tmp/a"}], False),
        ("web is up on 8080", [{"kind": "container_running", "container": "web"}], False),
        (
            "web is up on 8080",
            [{"kind": "container_running", "container": "web"}, {"kind": "port_listening", "port": 8080}],
            True,
        ),
        ('web says "ready"', [{"kind": "container_running", "container": "web"}], False),
        ("web\nv1.2", [{"kind": "container_running", "container": "web"}], False),
        ("all is well", [], False),
    ],
)
def test_a_part_is_covered_when_all_that_could_be_looked_at_is(
    text: str, values: list[dict[str, Any]], *, covered: bool
):
    assert covers([ADAPTER.validate_python(value) for value in values], text) is covered
