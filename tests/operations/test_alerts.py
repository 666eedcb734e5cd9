"""The alert rules and the dashboard: they ask about what there is, and each rule fires when it should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import MemoryStore
from tests.operations.alert_cases import CASES
from tests.operations.deployment import DEPLOY
from tests.operations.shell import OPERATIONS
from tests.service.conftest import running

pytest.importorskip("promql_parser", reason="make test installs promql-parser")
pytest.importorskip("opentelemetry.exporter.prometheus", reason="make test installs OpenTelemetry's exporter")

from tests.operations.queries import Series, client_series, count_everything, faults, parse, selectors

RULES = DEPLOY / "prometheus" / "alerts.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "consent.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SHOWN = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
PAGE = (OPERATIONS / "alerts.md").read_text(encoding="utf-8")
PROMTOOL = shutil.which("promtool")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """What `/metrics` of a live service that verifies its ledger and saw everything has, and what clients export."""
    tokens = tmp_path_factory.mktemp("alerts") / "tokens.json"
    new_token(tokens, "any", [Scope.ASK])
    service = running(MemoryStore(), tokens, verify_every=timedelta(hours=1))
    try:
        count_everything(service.app.state.context.metrics)
        return {**parse(httpx.get(f"{service.url}/metrics", timeout=20).text), **client_series()}
    finally:
        service.stop()


def test_the_alerts_ask_about_what_there_is(series: Series) -> None:
    """Each metric of each rule exists, and each of its labels can have each value that is asked for."""
    assert list(faults([rule["expr"] for rule in ALERTS.values()], series)) == []


def test_the_dashboard_shows_what_there_is(series: Series) -> None:
    """The same of each query of the dashboard, whose variables stand for a job and a time."""
    expressions = [query.replace("$__rate_interval", "5m") for query in SHOWN]
    assert list(faults(expressions, series)) == []
    assert len(expressions) > 20


def test_the_dashboard_shows_all_that_there_is(series: Series) -> None:
    """No metric of the service or of its clients is left out of it."""
    shown = {found.metric for query in SHOWN for found in selectors(query.replace("$__rate_interval", "5m"))}
    of_histograms = re.compile(r"_(bucket|count|sum)$")
    assert {of_histograms.sub("", name) for name in series} - {of_histograms.sub("", name) for name in shown} == set()


def test_a_wrong_query_would_be_found(series: Series) -> None:
    """A metric, a label, a value and a grouping that do not exist are each reported."""
    wrong = {
        "sum(diijam_consent_request_total)": "diijam_consent_request_total is no metric",
        'diijam_consent_requests_total{code="200"}': "diijam_consent_requests_total{code} is never 200",
        'diijam_consent_appends_total{outcome=~"done|lost"}': "diijam_consent_appends_total{outcome} is never lost",
        "sum by (route) (up)": "route is no label of what sum by (route) (up) selects",
    }  # fmt: skip
    for query, fault in wrong.items():
        assert list(faults([query], series)) == [fault]


def test_the_dashboard_can_be_imported() -> None:
    """Panels have ids and places of their own; each asks the source of data that the user chooses at the import."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    asked = [panel["datasource"] for panel in PANELS if panel["type"] != "row"]
    asked += [target["datasource"] for panel in PANELS for target in panel.get("targets", ())]
    assert asked
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in asked)
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "job"}


def test_the_page_says_what_each_alert_means() -> None:
    """docs/operations/alerts.md has a heading for each alert, in the order of the rules, with words below it."""
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == list(ALERTS)
    for name, rule in ALERTS.items():
        (text,) = re.findall(rf"^### {name}\n\n(.*?)(?=\n###|\Z)", PAGE, re.MULTILINE | re.DOTALL)
        assert len(text.split()) > 20, name
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"]


def test_the_page_has_every_metric_of_the_service(series: Series) -> None:
    """Its table names each metric of the service and none that is not."""
    named = set(re.findall(r"`(diijam_consent_\w+)`", PAGE))
    counted = {re.sub(r"_(bucket|count|sum)$", "", name) for name in series}
    assert named <= counted
    assert {name for name in counted if name not in client_names(series)} <= named


def client_names(series: Series) -> set[str]:
    """The metrics whose samples have the attribute `client`."""
    return {name for name, labels in series.items() if "client" in labels}


@pytest.mark.skipif(not PROMTOOL, reason="apt-get install prometheus")
def test_each_alert_fires_when_it_should(tmp_path: Path) -> None:
    """Prometheus's own tool plays the rules over series that are well, and over others for each alert."""
    assert [case.alert for case in CASES] == list(ALERTS)
    (tmp_path / "alerts.yaml").write_bytes(RULES.read_bytes())
    played = {
        "rule_files": ["alerts.yaml"],
        "evaluation_interval": "1m",
        "tests": [test for case in CASES for test in case.tests()],
    }
    (tmp_path / "played.yaml").write_text(yaml.safe_dump(played), encoding="utf-8")
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "played.yaml"]):
        done = subprocess.run([str(PROMTOOL), *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
