"""What forbids and what only seems to: an instruction is judged by what it asks for."""

import pytest

from wingman_core.instruction.findings import Check
from wingman_core.instruction.report import check

FORBIDS = [
    "Never use --force.",
    "NEVER USE --force",
    "BOUNDARIES: never use --force",
    "- Do not use `--force` or `-f` with docker rm -f.",
    "Don't run `docker rm -f`.",
    "Don\N{RIGHT SINGLE QUOTATION MARK}t run `docker rm -f`.",
    "You must not run docker rm -f.",
    "The worker may never call `git push --force`.",
    "No force flags such as --force.",
    "No `git push --force`, `docker rm -f` or --no-verify.",
    "Avoid using --force.",
    "Refrain from docker rm -f.",
    "Restart without --force, please.",
    "It is forbidden to run docker rm -f.",
    "Forbidden: docker rm -f",
    "Forbidden commands: `docker rm -f`, `docker system prune -a`",
    "Out of scope: docker system prune -a",
    "`docker rm -f` is forbidden.",
    "`docker rm -f` and `git push --force` are not allowed here.",
    "--force must not be used.",
    "docker rm -f is off limits.",
    "docker rm -f is strictly prohibited",
    "Neither --force nor --no-verify.",
    "There is no need to use --force.",
    "Restart it. Never use --force. Then look.",
    "Never run:\n- docker rm -f\n- git push --force\n",
    "Never run any of these commands:\n\n1. docker rm -f\n2. git push --force\n",
    "## Forbidden\n* docker rm -f\n",
    "The following are not allowed:\n```\ndocker rm -f\n\ngit push --force\n```\n",
    "**Do not:**\n- use --force\n",
    "The script does not use --force.",
]

ASKS = [
    "Use --force.",
    "docker rm -f web",
    "Do not hesitate to run docker rm -f.",
    "Do not forget --force.",
    "Never mind, use --force.",
    "No problem: docker rm -f web",
    "There is no other way: docker rm -f web",
    "With no other option, docker rm -f web",
    "Without delay, docker rm -f web",
    "If not, docker rm -f web",
    "Why not use --force?",
    "Whether or not it runs, docker rm -f web",
    "Not only docker stop but docker rm -f web",
    "Do not use docker stop, use docker rm -f web.",
    "Do not use docker stop and use docker rm -f web.",
    "Do not stop it; docker rm -f web",
    "Do not wait. Run docker rm -f web.",
    "Never use --force unless the push is rejected.",
    "Never use --force except on Fridays.",
    "Do not use --force without approval.",
    "Do not use --force until it hangs.",
    "If the container does not stop: docker rm -f web",
    "The container is not running: docker rm -f web",
    "It cannot start: docker rm -f web",
    "If the container does not stop:\n- docker rm -f web",
    "When it is not healthy:\n\n1. docker rm -f web",
    "Steps:\n- docker rm -f web",
    "docker rm -f is not allowed to fail.",
    "docker rm -f web, although it is forbidden",
    "docker rm -f web is not enough.",
    "Never restart db.\ndocker rm -f web",
    "Never run:\n- docker stop\n\nThen:\n- docker rm -f web",
    "Forbidden is nothing here; docker rm -f web",
    "cannot wait, docker rm -f web",
    "no tests: docker rm -f web",
    "without any restart use docker rm -f web",
    "`never` docker rm -f web and x",
]


def findings(text: str) -> list[str]:
    kinds = {Check.NO_FORCE_FLAGS, Check.NO_DANGEROUS_COMMANDS}
    return [finding.rule for finding in check(text).findings if finding.check in kinds]


@pytest.mark.parametrize("text", FORBIDS)
def test_what_a_text_forbids_it_does_not_ask_for(text: str):
    assert findings(text) == []


@pytest.mark.parametrize("text", ASKS)
def test_what_only_seems_to_be_forbidden_is_found(text: str):
    assert findings(text) != []


def test_a_prohibition_holds_for_what_it_names_alone():
    report = check("Never use --force.\ndocker rm -f web\nNo docker rm -f db.\ngit push -f\n")
    assert [finding.line for finding in report.findings if finding.check is Check.NO_FORCE_FLAGS] == [2, 4]


def test_a_secret_is_one_whatever_is_said_about_it():
    report = check("Never use password=hunter22")
    assert Check.NO_HARDCODED_SECRETS in report.standing.failed
