"""The page on reports: its commands run as they stand there, in order, and print what it shows."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from diijam_consent_sdk.cli.commands.report.reading import read_report
from diijam_consent_sdk.stores import MemoryStore
from examples import report

from .pages import run_page


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    """Each command succeeds, and its output has the lines of the page."""
    assert run_page("report.md", tmp_path) >= 4
    assert "Hiện được làm gì" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_story_has_some_of_everything() -> None:
    """Every part of the report has numbers in it: the pictures of the page show what each is."""
    clock = report.StoryClock(datetime(2026, 3, 20, tzinfo=UTC))
    with closing(MemoryStore(clock=clock)) as store:
        report.tell(store, clock)
        found = json.loads(read_report(store).to_json())
    assert found["users"]["erased"] > 3
    assert len({row["month"] for row in found["consents"]}) == 15
    assert found["imports"]
    assert all(sum(row[state] for row in found["requests"]["open"]) for state in ("on_track", "due_soon", "overdue"))
    assert found["erasures"]["held"]["in_time"]
    assert found["erasures"]["erasable"]["in_time"]
    assert set(found["erasures"]["waiting_for_holders"]) == {"mailer", "warehouse"}
    assert sum(found["erasures"]["waiting_for_holds"].values())
    assert all(found["requests"]["ended"].values())


def test_the_story_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger that is there already is left alone."""
    path = tmp_path / "report.db"
    path.write_text("something", encoding="utf-8")
    assert report.main([str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "something"
