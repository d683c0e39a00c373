"""A bot that is killed at every step of a decision of two people."""

import pytest

from tests.bot.running import Office
from tests.bot.telling import Story, killed_at_every_step, quorum


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("story", "least"), [(quorum, 50)])
async def test_the_bot_is_killed_at_every_step(office: Office, story: Story, least: int):
    await killed_at_every_step(office, story, least)
