"""The pictures in the documentation show what the bot says."""

from xml.etree import ElementTree as ET

import pytest

from tests.bot.pictures import DOCS, pictures, svg


@pytest.mark.parametrize("name", pictures())
def test_a_picture_is_drawn_from_the_bots_own_text(name: str):
    picture = pictures()[name]
    assert (DOCS / name).read_text() == svg(picture), "run make pictures"
    drawn = "".join(ET.fromstring(svg(picture)).itertext())  # noqa: S314 - drawn here
    for word in picture.shown.body.text.split():
        assert word in drawn
    assert name in (DOCS / "telegram.md").read_text()
