"""The pages in two languages: each leads to the other, and what both show is the same."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from .pages import ROOT, TWINS, run, shown, shown_in_vietnamese_alone

PAGES_THAT_RUN = {"docs/how-to/audit.md"}  # with the commands that their Vietnamese twins alone have
ON_ONE_MACHINE = re.compile(r"export DIIJAM_CONSENT_URL=sqlite|diijam-consent (?!serve|token|ping)")


def test_every_vietnamese_page_is_a_twin() -> None:
    """No page in Vietnamese escapes these tests."""
    pages = [*ROOT.glob("README.vi.md"), *(ROOT / "docs" / "vi").iterdir()]
    assert sorted(str(page.relative_to(ROOT)) for page in pages) == sorted(TWINS.values())


@pytest.mark.parametrize("page", TWINS)
def test_each_twin_leads_to_the_other(page: str) -> None:
    """The line below the title begins with the link."""
    for one, other, name in [(page, TWINS[page], "Tiếng Việt"), (TWINS[page], page, "English")]:
        title, blank, line = (ROOT / one).read_text(encoding="utf-8").split("\n")[:3]
        assert (title[:2], blank) == ("# ", "")
        assert line.split(" · ")[0] == f"[{name}]({os.path.relpath(other, Path(one).parent)})"


@pytest.mark.parametrize("page", [page for page in TWINS if page not in PAGES_THAT_RUN])
def test_twins_show_the_same_commands(page: str) -> None:
    """A Vietnamese page has no command, and no output, that the English one has not: those run."""
    assert shown_in_vietnamese_alone(page) == []


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """On the first sample customers, every command of the library that needs no service succeeds."""
    data = tmp_path / "examples" / "data"
    data.mkdir(parents=True)
    for name in ("customers.jsonl", "audience.csv"):
        lines = (ROOT / "examples" / "data" / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (data / name).write_text("".join(lines[:100]), encoding="utf-8")
    assert run([one for one in shown("README.md") if ON_ONE_MACHINE.match(one.command)], tmp_path) == 11
