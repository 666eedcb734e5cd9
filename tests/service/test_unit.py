"""The systemd unit of docs/operations/tls.md."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from diijam_consent_sdk.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "operations" / "tls.md").read_text(encoding="utf-8")
UNIT = re.search(r"```ini\n(\[Unit\].*?)```", PAGE, re.DOTALL)[1]  # type: ignore[index]
ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSED = 3.0  # of 10; a unit that says nothing of it has 9.2


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    """`systemd-analyze security` has little to find fault with."""
    unit = tmp_path / "consent.service"
    unit.write_text(UNIT)
    if not ANALYZE:
        pytest.skip("apt-get install systemd")
    command = [ANALYZE, "security", "--no-pager", "--offline=true", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "--offline" in done.stderr:
        pytest.skip("this systemd-analyze is older than 250 and knows no --offline")
    found = re.search(r"Overall exposure level for consent\.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= MOST_EXPOSED, done.stdout


def test_what_the_service_writes_is_its_own_alone() -> None:
    """Files and folders of the ledger are made for the service's user, who is not root."""
    lines = UNIT.splitlines()
    assert {"UMask=0077", "StateDirectoryMode=0700", "User=consent"} <= set(lines)


def test_the_unit_starts_a_command_that_there_is() -> None:
    """What it starts is `serve` as the command line takes it, over files in the unit's own folder."""
    (line,) = re.findall(r"^ExecStart=/opt/consent/bin/diijam-consent (.*)$", UNIT, re.MULTILINE)
    app.parse_args(shlex.split(line), print_error=False, exit_on_error=False)
    assert line.count("/var/lib/consent/") == 2
