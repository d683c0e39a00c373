"""A bot that is killed at every step from its start until a request ran."""

import pytest

from tests.bot.running import Office
from tests.bot.telling import Story, killed_at_every_step, simple


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("story", "least"), [(simple, 60)])
async def test_the_bot_is_killed_at_every_step(office: Office, story: Story, least: int):
    await killed_at_every_step(office, story, least)
