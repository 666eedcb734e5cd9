"""What `diijam-consent permitted` takes for a short and for a long list: time, and memory at its peak."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import people, report

USERS = 100_000
LENGTHS = (10_000, 100_000, 1_000_000)


def listed(path: Path, count: int) -> None:
    """A CSV file of that many customers, in no order."""
    rng = random.Random(people.SEED)
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id,full_name,email\n")
        for number in rng.sample(range(count), count):
            file.write(f"u-{number:07d},Nguyễn Thị {number},customer{number}@example.com\n")


def run(folder: Path, ledger: Path, count: int) -> list[str]:
    """The row of a list of that length."""
    audience, output = folder / "audience.csv", folder / "ok.csv"
    listed(audience, count)
    command = [sys.executable, "-m", "diijam_consent_sdk.cli", "permitted", "market", "email"]
    command += ["--input", str(audience), "--column", "user_id", "--output", str(output)]
    began = time.perf_counter()
    process = subprocess.Popen([*command, "--url", f"sqlite:///{ledger}"], stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit("permitted failed")
    processor = used.ru_utime + used.ru_stime
    return [
        f"{count:,}",
        f"{seconds:,.1f}",
        f"{processor:,.1f}",
        f"{count / seconds:,.0f}",
        f"{used.ru_maxrss / 1024:,.0f}",
    ]


def main() -> None:
    """Run, and publish the table."""
    ledger = people.ledger(people.scaled(USERS))
    with tempfile.TemporaryDirectory() as folder:
        rows = [run(Path(folder), ledger, people.scaled(length)) for length in LENGTHS]
    columns = ["lines of CSV", "seconds", "processor seconds", "customers a second", "peak RSS, MiB"]
    note = f"Over SQLite with {people.scaled(USERS):,} users; the customers beyond them are unknown to it."
    report.publish("streaming", "`diijam-consent permitted`", note, report.table(columns, rows))


if __name__ == "__main__":
    main()
