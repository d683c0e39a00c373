"""Where a local instance lets claims be looked at."""

from pathlib import Path

import pytest

from wingman_cli.instance import Instance
from wingman_cli.local import SCRATCH, claim_settings, tuning


def _settings(here: str, *, environment: str = "test", **environ: str) -> dict[str, str]:
    instance = Instance(Path("/srv/wm/data"), environment)
    return claim_settings(instance, environ, here=Path(here), home=Path("/home/me"))


@pytest.mark.parametrize(
    ("here", "roots"),
    [
        ("/srv/wm", f"{SCRATCH}:/srv/wm"),
        ("/home/me/work", f"{SCRATCH}:/home/me/work"),
        ("/home/me", SCRATCH),
        ("/home", SCRATCH),
        ("/", SCRATCH),
        ("/srv/a:b", SCRATCH),
    ],
)
def test_in_test_the_scratch_and_this_directory_unless_it_holds_the_home(here: str, roots: str):
    assert _settings(here)["WINGMAN_CLAIM_ROOTS"] == roots


def test_in_prd_nothing_unless_it_is_said():
    assert _settings("/srv/wm", environment="prd")["WINGMAN_CLAIM_ROOTS"] == ""
    said = _settings("/srv/wm", environment="prd", WINGMAN_CLAIM_ROOTS="/srv/a", WINGMAN_CLAIM_HOSTS="web:80")
    assert (said["WINGMAN_CLAIM_ROOTS"], said["WINGMAN_CLAIM_HOSTS"]) == ("/srv/a", "web:80")


def test_the_instance_itself_is_hidden_and_hosts_are_none():
    said = _settings("/srv/wm")
    assert (said["WINGMAN_CLAIM_HIDDEN"], said["WINGMAN_CLAIM_HOSTS"]) == ("/srv/wm/data", "")
    assert said["WINGMAN_CLAIM_MACHINE"] == "1"


def test_the_shell_tunes_the_api_and_decides_nothing_of_where_it_listens_and_what_it_trusts():
    asked = {
        "WINGMAN_LLM_URL": "http://127.0.0.1:1",
        "WINGMAN_RATE_LIMIT_READS": "1/1",
        "WINGMAN_CONSENSUS_ENABLED": "0",
    }
    not_asked = {"WINGMAN_API_LISTEN": "0.0.0.0:1", "WINGMAN_TOKEN_KEY": "/x", "DB_PASSWORD": "x", "PATH": "/bin"}
    assert tuning({**asked, **not_asked}) == asked
