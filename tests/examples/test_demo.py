"""The demo shows the whole story, quickly, and leaves nothing behind."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from examples import demo


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The demo in a separate process."""
    return subprocess.Popen(
        [sys.executable, demo.__file__, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
    )  # fmt: skip


def test_story() -> None:
    """On the full data: it loads, mails, hears a no that holds at the next ask, proves it, verifies, and cleans up."""
    with start("--lang", "en") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    chapters = (
        "19 notices", "15,736 lines", "2,304  rows", "very next ask: no, withdrawn", "the proof: ",
        "followers  ", "entries",
    )  # fmt: skip
    places = [out.find(words) for words in chapters]
    assert -1 not in places
    assert places == sorted(places)
    assert "\x1b" not in out
    assert len(out.splitlines()) < 60
    ledger = Path(out.splitlines()[0].removeprefix("$ export DIIJAM_CONSENT_URL=sqlite:///"))
    assert ledger.name == "consents.db"
    assert not ledger.parent.exists()
    following = shlex.split(out.splitlines()[-1].partition(": ")[2])
    assert "--users" in subprocess.run(following, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_stopped(tmp_path: Path, how: signal.Signals) -> None:
    """Stopped while it loads, the demo prints that, ends with 130 and leaves nothing behind."""
    with start(TMPDIR=str(tmp_path)) as process:
        give_up = time.monotonic() + 20
        while not list(tmp_path.glob("diijam-demo-*/consents.db")) and time.monotonic() < give_up:
            time.sleep(0.01)
        process.send_signal(how)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130, out
    assert "nothing is left behind" in out
    assert not list(tmp_path.iterdir())


def test_failed_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """If a step fails, the demo says so, ends with 1 and leaves nothing behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(demo, "STORY", (("Nothing to verify", "diijam-consent verify"),))
    assert demo.main([]) == 1
    assert "exit code 2; nothing is left behind" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_memory_is_used_only_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger goes where the environment says, else to memory, unless that is nearly full or not there."""
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(os, "access", lambda *_: True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=demo.LEDGER_BYTES + 1))
    assert demo.roomy_memory() == "/dev/shm"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=demo.LEDGER_BYTES))
    assert demo.roomy_memory() is None
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert demo.roomy_memory() is None
    monkeypatch.setattr(os, "access", lambda *_: True)
    monkeypatch.setenv("TMPDIR", "/somewhere")
    assert demo.roomy_memory() is None
