"""One running instance that the tests of the commands share."""

from collections.abc import Iterator

import pytest

from tests.cli.running import Up


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory, engine_url: str) -> Iterator[Up]:
    """``wingman up`` on the private engine."""
    started = Up(tmp_path_factory.mktemp("commands") / "data", WINGMAN_DOCKER_HOST=engine_url)
    try:
        yield started.ready()
    finally:
        assert started.stop() == 0
