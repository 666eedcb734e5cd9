"""The page for auditors: its commands run as they stand there, in order, and print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import audit

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "audit.md"


def shown() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page, with the lines of output that follow it there."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = command.replace("\\\n", "").splitlines()
            yield lines[0], lines[1:]


def as_pattern(line: str) -> str:
    """A line of the page as a pattern, in which … stands for anything."""
    return ".*".join(map(re.escape, line.split("…")))


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    """Each command succeeds, and its output has the lines of the page, in their order; … stands for anything."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    commands = list(shown())
    assert len(commands) >= 8
    script = "".join(f"{command}\necho '<end>'\n" for command, _ in commands)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for (command, lines), output in zip(commands, ran.stdout.split("<end>\n"), strict=False):
        pattern = r"[\s\S]*?".join(f"^{as_pattern(line)}$" for line in lines)
        printed = "\n".join(line.rstrip() for line in output.splitlines())
        assert re.search(pattern, printed, re.MULTILINE), (command, output)
    assert (tmp_path / "u-00042.html").stat().st_size > 10_000


def test_the_story_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger that is there already is left alone."""
    path = tmp_path / "audit.db"
    assert audit.main([str(path)]) == 0
    before = path.read_bytes()
    assert audit.main([str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_bytes() == before
