"""Every command that docs/day-two.md shows is there, with the options that it is shown with."""

import re

import pytest
import typer

from tests.cli.test_monitoring import rules
from tests.conftest import REPOSITORY
from wingman_cli.main import app

PAGE = (REPOSITORY / "docs" / "day-two.md").read_text()
INSIDE = "docker compose -f deploy/compose/docker-compose.prd.yml -p wingman-prd exec -T api "
SHOWN = [
    line.split("#")[0].removeprefix(f"    {INSIDE}").split() for line in PAGE.splitlines() if line.startswith("    ")
]


@pytest.mark.parametrize("words", [words for words in SHOWN if words[0] == "wingman"], ids=" ".join)
def test_a_command_is_there(words: list[str]):
    found, rest = typer.main.get_command(app), words[1:]
    while (commands := getattr(found, "commands", None)) is not None:
        found = commands[rest.pop(0)]
    known = {name for parameter in found.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


@pytest.mark.parametrize("words", [words for words in SHOWN if words[0] == "make"], ids=" ".join)
def test_a_target_is_there_and_takes_its_variables(words: list[str]):
    makefile = (REPOSITORY / "Makefile").read_text()
    recipe = re.search(rf"^{words[1]}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    for word in words[2:]:
        assert f"$({word.split('=')[0]})" in recipe[1] or f"$(if $({word.split('=')[0]})" in recipe[1]


def test_programs_and_alerts_are_there():
    assert {words[0] for words in SHOWN} == {"wingman", "make", "tools/wingman_check.sh"}
    assert (REPOSITORY / "tools" / "wingman_check.sh").exists()
    assert set(re.findall(r"^\| (Wingman\w+) ", PAGE, re.MULTILINE)) == {rule["alert"] for rule in rules()}
