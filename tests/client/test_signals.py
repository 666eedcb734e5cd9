"""Real signals whose handler raises wherever the main thread is, in another process since only a main thread can."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SIGNALS = 2_000  # in some seconds; `python -m tests.client.signalled 20000` for more


def test_signals_leave_nothing_behind() -> None:
    """After thousands of signals no thread, lock, load, permit or write is left, and all users are answered."""
    command = [sys.executable, "-m", "tests.client.signalled", str(SIGNALS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "left behind: nothing" in done.stdout
