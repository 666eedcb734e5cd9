"""Run the commands of a page as they stand there, and compare what they print with what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import attrs

from tests.operations.shell import forking, put_program

ROOT = Path(__file__).parents[2]
TWINS = {
    "README.md": "README.vi.md",
    "docs/tutorial.md": "docs/vi/tutorial.md",
    "docs/glossary.md": "docs/vi/glossary.md",
    **{f"docs/how-to/{name}.md": f"docs/vi/{name}.md" for name in ("audit", "erasure", "report", "requests")},
}  # the pages that are in English and in Vietnamese


@attrs.frozen
class Shown:
    """A command of a page, without its remark, and the lines of output that follow it there."""

    command: str
    lines: tuple[str, ...]


def shown(page: str) -> list[Shown]:
    """Read the commands of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *lines = command.replace("\\\n", "").splitlines()
            found.append(Shown(re.split(r" {4}# ", first)[0], tuple(lines)))
    return found


def shown_in_vietnamese_alone(page: str) -> list[Shown]:
    """List the commands that the Vietnamese twin of a page has and the page has not; those that both have, in order."""
    first, twin = shown(page), shown(TWINS[page])
    rest = iter(first)
    assert all(one in rest for one in twin if one in first), "both have them, in another order"
    return [one for one in twin if one not in first]


def as_pattern(line: str) -> str:
    """A line of the page as a pattern, in which … stands for anything."""
    return ".*".join(map(re.escape, line.split("…")))


def run_page(page: str, folder: Path) -> int:
    """
    Run the commands of a page of `docs/how-to`, and then those that its Vietnamese twin alone has, in a new folder.

    Each must succeed, and print the lines of the page, in their order; … stands for anything. Returns how many ran.
    """
    (folder / "examples").symlink_to(ROOT / "examples")
    page = f"docs/how-to/{page}"
    return run(shown(page) + (shown_in_vietnamese_alone(page) if page in TWINS else []), folder)


def run(commands: Iterable[Shown], folder: Path) -> int:
    """Run commands in a folder, as `run_page` does."""
    commands = list(commands)
    put_program(folder / "bin", "diijam-consent")
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = "".join(f"{one.command}\necho '<end>'\n" for one in commands)
    with forking() as forker:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "exec 2>&1\n" + script],
            cwd=folder, env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "FORKER": forker},
            capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for one, output in zip(commands, ran.stdout.split("<end>\n"), strict=False):
        pattern = r"[\s\S]*?".join(f"^{as_pattern(line)}$" for line in one.lines)
        printed = "\n".join(line.rstrip() for line in output.splitlines())
        assert re.search(pattern, printed, re.MULTILINE), (one.command, output)
    return len(commands)
