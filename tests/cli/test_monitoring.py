"""What alerts, dashboard and ``wingman status`` speak of is really there, and the thresholds are the guide's."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.running import Up, wingman
from tests.conftest import REPOSITORY
from wingman_cli import status
from wingman_cli.instance import Instance
from wingman_cli.stack.compose import states_of

PLACE = REPOSITORY / "deploy" / "monitoring"
SCRAPED = {"job", "environment", "instance"}
"""Labels that Prometheus adds."""


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((PLACE / "alerts.yml").read_text())
    found: list[dict[str, Any]] = [rule for group in document["groups"] for rule in group["rules"]]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((PLACE / "dashboard.json").read_text())["panels"]
    return found


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel["targets"]]


def series(api: str) -> dict[str, set[str]]:
    """The labels of each sample of a live scrape, by its name."""
    pages = (httpx.get(f"{api}{path}", trust_env=False) for path in ("/metrics", "/metrics/gateway"))
    text = "".join(page.raise_for_status().text for page in pages)
    found: dict[str, set[str]] = {"up": set()}  # Prometheus's own
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("expression", expressions())
def test_each_expression_is_promql_about_what_a_live_scrape_has(up: Up, expression: str):
    promql_parser.parse(expression.replace("$environment", "prd"))
    known = series(up.api)
    named = set(re.findall(r"\b(?:wingman_\w+|up)\b", expression))
    assert named
    assert named <= set(known)
    labels = {label for inner in re.findall(r"\{(.*?)\}", expression) for label in re.findall(r"(\w+)\s*=", inner)}
    labels |= {label.strip() for inner in re.findall(r"by \((.*?)\)", expression) for label in inner.split(",")}
    assert labels <= SCRAPED | {label for name in named for label in known[name]}


def test_a_verdict_is_counted_from_nothing(up: Up):
    """An alert on an increase hears of the first false claim, too."""
    text = httpx.get(f"{up.api}/metrics", trust_env=False).text
    assert 'wingman_claims_verified_total{verdict="FALSE"}' in text


def test_the_alerts_are_the_guides_table_and_have_what_alertmanager_shows():
    assert {rule["alert"] for rule in rules()} == {
        *(
            "WingmanUnhealthy",
            "WingmanDown",
            "WingmanBotBehind",
            "WingmanSlow",
            "WingmanManyPending",
            "WingmanFalseClaim",
            "WingmanDiskLow",
            "WingmanOutcomesWait",
            "WingmanOutcomeMissing",
            "WingmanReloadFailed",
        )
    }
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    thresholds = {rule["alert"]: rule["expr"].rsplit(" ", 1)[1] for rule in rules()}
    assert float(thresholds["WingmanSlow"]) == status.SLOWEST
    assert int(thresholds["WingmanManyPending"]) == status.MOST_PENDING
    assert float(thresholds["WingmanDiskLow"]) == status.LEAST_FREE
    scrape = yaml.safe_load((PLACE / "prometheus.yml").read_text())
    assert scrape["rule_files"] == ["alerts.yml"]
    job, gateway = scrape["scrape_configs"]
    assert gateway["metrics_path"] == "/metrics/gateway"
    assert gateway["static_configs"] == job["static_configs"]
    assert f'up{{job="{job["job_name"]}"}}' in str(expressions())
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_status_says_that_all_is_well_and_cron_hears_nothing(up: Up, monkeypatch: pytest.MonkeyPatch):
    said = wingman(up.data_dir, "status")
    assert said.returncode == 0, said.stdout
    for line in (
        "ok   health        healthy",
        "ok   answers",
        "ok   pending",
        "ok   disk",
        "ok   claims",
        "is good for 36",
    ):
        assert line in said.stdout
    monkeypatch.setenv("WINGMAN_DATA_DIR", str(up.data_dir))
    cron = subprocess.run(
        [REPOSITORY / "tools" / "wingman_check.sh"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (cron.returncode, cron.stdout, cron.stderr) == (0, "", "")


def test_status_names_what_is_not_well(up: Up, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(status, "LEAST_FREE", 2.0)
    monkeypatch.setattr(status, "MOST_PENDING", -1)
    found = {each.name: each for each in status._api(up.api, "", "prd")}
    assert not found["disk"].well
    assert not found["pending"].well
    assert found["health"].well
    instance = Instance(up.data_dir)
    (soon,) = status._certificates(instance, datetime.now(UTC) + timedelta(days=340))
    assert (soon.well, "good for 2" in soon.said) == (False, True)
    assert [*status._certificates(Instance(up.data_dir / "nowhere"), datetime.now(UTC))] == []
    nobody = [*status._api("http://127.0.0.1:9", "", "prd")]
    assert [(each.name, each.well) for each in nobody] == [("health", False), ("metrics", False), ("claims", False)]


@pytest.mark.parametrize(
    ("api", "said"),
    [
        ({"State": "running", "Health": "healthy"}, ""),
        ({"State": "running", "Health": "unhealthy"}, "api unhealthy"),
        ({"State": "running", "Health": "starting"}, "api starting"),
        ({"State": "running", "Health": ""}, "api running"),
        ({"State": "restarting", "Health": "unhealthy"}, "api restarting"),
        ({"State": "exited", "Health": "healthy"}, "api exited"),
        (None, "api missing"),
    ],
)
def test_status_counts_containers_that_are_healthy_and_names_the_others(api: dict[str, str] | None, said: str):
    rows = [{"Service": name, "State": "running", "Health": "healthy"} for name in ("execution-gateway", "postgres")]
    rows += [{"Service": "migrate", "State": "exited", "Health": ""}, *([{"Service": "api", **api}] if api else [])]
    found = status._containers(["api", "execution-gateway", "postgres"], states_of(rows))
    assert (found.well, found.said) == (not said, said or "3 healthy")


def test_status_of_what_does_not_run(up: Up):
    gone = wingman(up.data_dir.with_name("nowhere"), "status", "--quiet")
    assert (gone.returncode, "is not running" in gone.stderr) == (4, True)
    broken = wingman(up.data_dir, "--api", "http://127.0.0.1:9", "status", "--json")
    assert broken.returncode == 1
    assert {each["name"] for each in json.loads(broken.stdout) if not each["well"]} == {"health", "metrics", "claims"}
