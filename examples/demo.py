"""
The whole story on a ledger that is gone afterwards: register the words, load the customers, ask who may be mailed, hear
one no and prove it, verify the chain.

    python examples/demo.py [--lang en]

Each step is a command as you would type it: another process on the same ledger. Exit code 0: all went well. 1: a step
failed. 130: stopped.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {"python": [sys.executable], "diijam-consent": [sys.executable, "-m", "diijam_consent_sdk.cli"]}
LEDGER_BYTES = 50_000_000  # more than it will need
STORY = (
    ("The words that customers were shown, before anybody agrees to them", "python examples/notices.py"),
    ("Two thousand customers, and all they said so far", "diijam-consent record --file examples/data/customers.jsonl"),
    (
        "Who may be mailed, and why not the others? Then one of them says no",
        "python examples/campaign.py --lang {lang} --one-says-no",
    ),
    ("What does a profile page show?", "python examples/profile.py --lang {lang}"),
    ("Is the ledger whole, entry by entry, also where customers were erased?", "diijam-consent verify"),
)


def roomy_memory() -> str | None:
    """Where a ledger to be thrown away need not wait for the disk 2,000 times over; None: the usual place will do."""
    memory = "/dev/shm"  # noqa: S108 - the folder made in it is private
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK | os.X_OK):
        return None
    return memory if shutil.disk_usage(memory).free > LEDGER_BYTES else None


def run(command: str, url: str) -> None:
    """Run a command on the ledger; `CalledProcessError` if it fails."""
    print(f"$ {command}", flush=True)
    program, *arguments = shlex.split(command)
    env = {**os.environ, "DIIJAM_CONSENT_URL": url, "PYTHONIOENCODING": "utf-8"}
    subprocess.run([*PROGRAMS[program], *arguments], cwd=ROOT, env=env, check=True)  # noqa: S603 - of our own words


def _shown(path: str | Path) -> str:
    """A path as it can be typed here."""
    return str(Path(path).relative_to(Path.cwd()) if Path(path).is_relative_to(Path.cwd()) else path)


def main(argv: Sequence[str] | None = None) -> int:
    """Tell the story; leave nothing behind, also when stopped."""
    parser = argparse.ArgumentParser(description="The story of a consent ledger, from loading it to verifying it.")
    parser.add_argument("--lang", choices=("vi", "en"), default="vi", help="of the messages to customers")
    given = parser.parse_args(argv)
    started, analytics = time.monotonic(), ROOT / "examples" / "analytics.py"
    try:
        with tempfile.TemporaryDirectory(prefix="diijam-demo-", dir=roomy_memory()) as folder:
            url = f"sqlite:///{folder}/consents.db"
            print(f"$ export DIIJAM_CONSENT_URL={url}")
            for title, command in STORY:
                print(f"\n== {title}")
                run(command.format(lang=given.lang), url)
    except subprocess.CalledProcessError as error:
        print(f"\nThat step failed with exit code {error.returncode}; nothing is left behind.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; nothing is left behind.", file=sys.stderr)
        return 130
    print(f"\nAll of it in {time.monotonic() - started:.1f} s, on a ledger that is gone now.")
    print(f"Next, on a ledger of your own: {shlex.join([_shown(sys.executable), _shown(analytics)])} --help")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped by make or a CI: clean up as on Ctrl-C
    raise SystemExit(main())
