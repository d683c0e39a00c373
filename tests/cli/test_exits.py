"""Every error code has one exit code, and scripts can rely on the numbers."""

import pytest

from wingman_cli.exits import EXITS, Exit, exit_for
from wingman_core.errors import Code


def test_every_code_of_the_registry_has_its_exit():
    assert set(EXITS) == set(Code)


def test_the_numbers_are_what_scripts_rely_on():
    assert {one.name: one.value for one in Exit} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "UNAVAILABLE": 4,
        "NOT_FOUND": 5,
    }


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("COMMAND_FLAG", Exit.USAGE),
        ("POLICY_FORBIDS", Exit.REFUSED),
        ("APPROVAL_SPENT", Exit.REFUSED),
        ("KEY_INVALID", Exit.REFUSED),
        ("ENGINE_UNAVAILABLE", Exit.UNAVAILABLE),
        ("APPROVAL_UNKNOWN", Exit.NOT_FOUND),
        ("LOG_CORRUPT", Exit.FAILED),
        ("A_CODE_OF_TOMORROW", Exit.FAILED),
    ],
)
def test_what_kind_of_error_it_is_shows_in_the_exit_code(code: str, expected: Exit):
    assert exit_for(code) is expected
