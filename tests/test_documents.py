"""The documents do not lie: their Python runs, and their tables name what exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import diijam_consent_sdk
from diijam_consent_sdk.testing import ConsentForTests
from diijam_consent_sdk.vocabulary import Reason

ROOT = Path(__file__).parent.parent
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("number", [0, 1], ids=["first screen", "what services ask"])
def test_the_code_of_the_readme_runs(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Each block runs as it stands and prints what its comments say."""
    block = PYTHON.findall((ROOT / "README.md").read_text(encoding="utf-8"))[number]
    exec(compile(block, "README.md", "exec"), {})
    out = capsys.readouterr().out
    for promised in re.findall(r"print\(.*\)  # (\w+ .*)$", block, re.MULTILINE):
        if not promised.startswith(("fresh", "whole")):
            assert promised.removesuffix(" …") in out


def test_the_test_of_the_readme_passes() -> None:
    """The test that the README shows passes with what the fixture gives."""
    namespace: dict[str, Any] = {}
    block = PYTHON.findall((ROOT / "README.md").read_text(encoding="utf-8"))[2]
    exec(compile(block, "README.md", "exec"), namespace)
    with ConsentForTests() as consent:
        namespace["test_nobody_is_mailed_after_a_no"](consent)


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
    """The pure core is below 900 lines, blank ones not counted."""
    core = ("vocabulary", "policy", "events", "record", "decisions")
    lines = [
        line
        for name in core
        for line in (ROOT / "diijam_consent_sdk" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    ]
    assert sum(bool(line.strip()) for line in lines) < 900
