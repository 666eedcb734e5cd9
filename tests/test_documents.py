"""The documents do not lie: their tables name what exists. (`test_pages.py` runs what they show.)"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import diijam_consent_sdk
from diijam_consent_sdk.vocabulary import Reason

ROOT = Path(__file__).parent.parent


def test_the_decision_table_names_every_reason() -> None:
    """docs/decision-table.md and `Reason` name the same words."""
    table = (ROOT / "docs" / "decision-table.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z_]+)`", table))
    assert {reason.name for reason in Reason} <= named


def test_the_public_names_are_sorted_and_there() -> None:
    """`__all__` is sorted, complete and importable."""
    names = diijam_consent_sdk.__all__
    assert names == sorted(names)
    assert all(hasattr(diijam_consent_sdk, name) for name in names)


def test_the_core_stays_small() -> None:
    """The pure core is below 1,300 lines, blank ones not counted."""
    core = ("vocabulary", "policy", "events", "record", "decisions")
    lines = [
        line
        for name in core
        for line in (ROOT / "diijam_consent_sdk" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    ]
    assert sum(bool(line.strip()) for line in lines) < 1_300


def test_what_the_pages_write_is_no_part_of_the_repository() -> None:
    """The files that a shown command writes, with customers' ids in them or tokens, are ignored by git."""
    pages = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]
    shown = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    written = set(re.findall(r"^\$ .*(?:--output|--tokens|>) ([a-z-]+\.[a-z]+)\b", shown, re.MULTILINE))
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").split("\n")
    assert {"mailable.csv", "tokens.json"} <= written
    for name in written:
        assert any(fnmatch(f"/{name}", pattern) or fnmatch(name, pattern) for pattern in patterns), name
