"""A bot that is killed at every step of showing a long request, of one that changes, and of a command."""

import pytest

from tests.bot.running import Office
from tests.bot.telling import Story, killed_at_every_step, long, renewed, typed


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("story", "least"), [(long, 30), (renewed, 40), (typed, 20)])
async def test_the_bot_is_killed_at_every_step(office: Office, story: Story, least: int):
    await killed_at_every_step(office, story, least)
