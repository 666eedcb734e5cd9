"""Run the commands of a page as they stand there, and compare what they print with what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shown(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Each command of the page, with the lines of output that follow it there."""
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = command.replace("\\\n", "").splitlines()
            yield lines[0], lines[1:]


def as_pattern(line: str) -> str:
    """A line of the page as a pattern, in which … stands for anything."""
    return ".*".join(map(re.escape, line.split("…")))


def run_page(name: str, folder: Path) -> int:
    """
    Run the commands of a page of `docs/how-to` in a new folder, in order.

    Each must succeed, and print the lines of the page, in their order; … stands for anything. Returns how many ran.
    """
    (folder / "examples").symlink_to(ROOT / "examples")
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    commands = list(shown(ROOT / "docs" / "how-to" / name))
    script = "".join(f"{command}\necho '<end>'\n" for command, _ in commands)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "exec 2>&1\n" + script],
        cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for (command, lines), output in zip(commands, ran.stdout.split("<end>\n"), strict=False):
        pattern = r"[\s\S]*?".join(f"^{as_pattern(line)}$" for line in lines)
        printed = "\n".join(line.rstrip() for line in output.splitlines())
        assert re.search(pattern, printed, re.MULTILINE), (command, output)
    return len(commands)
