"""The page for auditors: its commands run as they stand there, in order, and print what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import audit

from .pages import run_page


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    """Each command succeeds, and its output has the lines of the page."""
    assert run_page("audit.md", tmp_path) >= 8
    assert (tmp_path / "customer-file.html").stat().st_size > 10_000


def test_the_story_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger that is there already is left alone."""
    path = tmp_path / "audit.db"
    assert audit.main([str(path)]) == 0
    before = path.read_bytes()
    assert audit.main([str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_bytes() == before
