"""``docs/api.md``: what it shows works as it stands there."""

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tests.conftest import REPOSITORY
from wingman_api.problems import Problem

GUIDE = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = [command for block in BLOCKS for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize("number", range(len(COMMANDS)))
async def test_a_command_of_the_guide_works(api: Api, number: int):
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", COMMANDS[number].replace("curl ", "curl --fail --max-time 30 ", 1)),
        env={**os.environ, "API": api.url, "KEY": await api.key("worker"), "no_proxy": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    assert out


def test_the_problem_it_shows_is_one():
    (shown,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert Problem.model_validate(json.loads(shown)).code == "APPROVAL_DECIDED"


def test_its_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert Path(REPOSITORY / "docs" / link).exists(), link
