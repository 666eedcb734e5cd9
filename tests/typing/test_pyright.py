"""pyright sees what docs/how-to/misuse.md promises, in its strict mode, and has nothing against right uses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = re.compile(r"pyright: ignore\[(.+)\]")


@pytest.mark.skipif(find_spec("pyright") is None, reason="make lint installs pyright")
def test_pyright_reports_misuse_and_nothing_else() -> None:
    """
    It finds no fault with public.py, and each fault that misuse.py expects: an ignore that nothing needs is an error.
    """
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    found = json.loads(done.stdout)
    assert [(each["range"]["start"]["line"] + 1, each["message"]) for each in found["generalDiagnostics"]] == []
    assert found["summary"]["filesAnalyzed"] == 2


def test_the_page_names_what_pyright_reports() -> None:
    """Each rule by which misuse.py's slips are reported is on the page."""
    source = (ROOT / "tests" / "typing" / "misuse.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "how-to" / "misuse.md").read_text(encoding="utf-8")
    rules = {rule for rules in RULES.findall(source) for rule in rules.split(", ")}
    beside = {"reportArgumentType", "reportUnknownMemberType", "reportUnknownVariableType"}  # of the same slips
    assert rules - beside == set(re.findall(r"`(report\w+)`", page)) | {"reportUnusedCallResult"}
