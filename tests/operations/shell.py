"""
A machine for the commands of a page: its folders lie in one folder of the test, and programs that need root, another
machine or containers are stand-ins that do what can be done here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.operations.forker import CAN_FORK, CLIENT

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
ROOTS = ("/opt/consent", "/var/lib/consent", "/srv/", "/etc/consent", "/etc/shop")
CLI = f'exec "{sys.executable}" -m diijam_consent_sdk.cli "$@"'
FORKED = f'[ "$1" = serve ] || [ -z "$FORKER" ] || {{ {CLIENT}; }}\n'
LOGGED = 'echo "$(basename "$0") $*" >> "$MACHINE/log"\n'
STAND_INS = {
    "diijam-consent": FORKED + CLI,
    "pip": LOGGED,
    "systemctl": LOGGED,
    "useradd": LOGGED,
    "sudo": '[ "$1" = -u ] && shift 2; exec "$@"',
    "python3": '[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp "$MACHINE/bin/"{pip,diijam-consent} "$3/bin"',
    "scp": 'cp "$1" "${2#*:}"',
    "ssh": 'shift; exec "$@"',
    # Without the owners: the service of the test runs as the test's user.
    "install": 'for a; do shift; case $a in -o|-g) s=1;; *) [ "$s" ] || set -- "$@" "$a"; s=;; esac; done;'
    ' exec /usr/bin/install "$@"',
    # A command in the image is the command itself; nothing else is done with containers.
    "podman": LOGGED
    + "while [ $# -gt 0 ]; do case $1 in admin|diijam-consent) break;; build) exit;; esac; shift; done;"
    ' shift; [ $# = 0 ] || exec diijam-consent "$@"',
}


@contextmanager
def forking() -> Iterator[str]:
    """Run `forker.py`. Yields its port for the variable `FORKER`; empty where it cannot run."""
    if not CAN_FORK:
        yield ""
        return
    command = [sys.executable, "-m", "tests.operations.forker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        assert process.stdin
        process.stdin.close()


def put_program(folder: Path, name: str) -> None:
    """Put the stand-in of a program into a folder."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/bash\n{STAND_INS[name]}\n")
    program.chmod(0o755)


@attrs.frozen
class Machine:
    """
    Where the commands of a page run.

    Attributes:
        forker: The port of `forker.py`; empty: each command is a new Python.
    """

    folder: Path
    forker: str = ""

    def __attrs_post_init__(self) -> None:
        for name in STAND_INS:
            put_program(self.folder / "bin", name)
        for root in ROOTS:
            self.at(root).mkdir(parents=True, exist_ok=True)

    def at(self, path: str) -> Path:
        """Where a path of the page is."""
        return self.folder / path.lstrip("/")

    def run(self, page: str, replaced: dict[str, str] | None = None, *, blocks: slice = slice(None)) -> list[str]:
        """
        Run the commands of a page in one shell, block after block, and check that they print what the page shows.

        Args:
            page: The page's name.

            replaced: Texts of the page, and what stands for them here: addresses and dates.

            blocks: Which of the page's blocks.

        Returns:
            What the stand-ins were asked for.
        """
        commands, shown = read_page(page, blocks)
        for was, now in (replaced or {}).items():
            assert was in commands, was
            commands = commands.replace(was, now)
        commands = re.sub(rf"(?<![\w.])(?={'|'.join(ROOTS)})", str(self.folder), commands)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-O", "expand_aliases", "-c", f"cd work\n{commands}"],
            cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        printed = iter(done.stdout.splitlines())
        for line in shown:
            assert any(match(line, found) for found in printed), (line, done.stdout)
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def _environment(self) -> dict[str, str]:
        (self.folder / "work").mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DIIJAM_CONSENT_")}
        return {
            **kept,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "MACHINE": str(self.folder),
            "FORKER": self.forker,
        }


def read_page(page: str, blocks: slice = slice(None)) -> tuple[str, list[str]]:
    """Give the commands of a page as one script, and the lines that it shows as printed."""
    text = (OPERATIONS / page).read_text(encoding="utf-8")
    lines = re.sub(r" \\\n\s*", " ", "".join(BLOCK.findall(text)[blocks])).splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return "\n".join(commands), [line for line in lines if not line.startswith("$ ")]


def match(shown: str, printed: str) -> bool:
    """Whether a line was printed as the page shows it, up to its dots."""
    return printed.startswith(shown.removesuffix("…")) if shown.endswith("…") else printed == shown
