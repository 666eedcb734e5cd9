"""
Measure what docs/reliability.md says, on this machine: `make reliability`, or

    python -m tests.faults.measure [latency] [file] [freshness] [--clients 20] [--rounds 50] [--users 100000]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from diijam_consent_sdk.stores import SqliteStore
from tests.client.conftest import SIGNED_UP
from tests.faults.conftest import serving
from tests.faults.shows import freshness, latencies
from tests.faults.watching import patient

MEMORY = Path("/dev/shm")
TARGET_SECONDS = 0.25
HANDFUL = 10  # requests a minute


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def percentile(took: Sequence[float], share: float) -> float:
    """The least figure that so large a share of them does not exceed."""
    return sorted(took)[max(0, -int(-share * len(took) // 1) - 1)]


def told(title: str, took: Sequence[float]) -> bool:
    """Say what was measured; whether it is as it should be."""
    shown = [f"{name} {1000 * percentile(took, share):.0f} ms" for name, share in
             (("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("slowest", 1.0))]  # fmt: skip
    tell(f"{title}: {len(took)} figures: {', '.join(shown)}")
    return percentile(took, 0.99) <= TARGET_SECONDS


def measure_latency(options: argparse.Namespace, folder: Path) -> bool:
    """A withdrawal over HTTP, in client processes of the service."""
    with serving(folder) as service:
        store = patient(service)
        environment = {"DIIJAM_CONSENT_URL": service.url, "DIIJAM_CONSENT_TOKEN": service.token}
        took = latencies(store, options.clients, options.rounds, **environment)
        store.close()
    return told(f"a withdrawal over HTTP, seen by {options.clients} processes, {options.rounds} times", took)


def measure_file(options: argparse.Namespace, folder: Path) -> bool:
    """A withdrawal written to a SQLite file, in other processes on that file."""
    store = SqliteStore(folder / "c.db", busy_seconds=10)
    took = latencies(store, options.file_clients, options.rounds, DIIJAM_CONSENT_URL=f"sqlite:///{folder}/c.db")
    store.close()
    return told(
        f"a withdrawal in a SQLite file, seen by {options.file_clients} processes, {options.rounds} times", took
    )


def measure_freshness(options: argparse.Namespace, folder: Path) -> bool:
    """What it costs to keep users fresh for a minute."""
    user_ids = [f"u-{number:06d}" for number in range(options.users)]
    store, began = SqliteStore(folder / "c.db"), time.monotonic()
    for user_id in user_ids:
        store.append(user_id, SIGNED_UP)
    store.close()
    tell(f"wrote {options.users} users in {time.monotonic() - began:.0f} s")
    with serving(folder) as service:
        found = freshness(service, user_ids, max_staleness=60)
    requests = ", ".join(f"{path} {number}" for path, number in sorted(found.requests.items())) or "none"
    tell(
        f"{found.users} cached users kept fresh for {found.seconds:.1f} s: {found.fresh} still say yes;"
        f" requests that the service counted: {requests}"
    )
    return found.fresh == found.users and found.requests.total() <= HANDFUL


MEASURES = {"latency": measure_latency, "file": measure_file, "freshness": measure_freshness}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(
        prog="tests.faults.measure",
        description="Measure how soon a withdrawal is everywhere, and what keeping cached users fresh costs.",
        epilog="Ends with status 1 if the 99th percentile is above 250 ms, or a minute costs more than 10 requests.",
    )
    parser.add_argument("what", nargs="*", help=f"of {', '.join(MEASURES)}; all of them if none is named")
    parser.add_argument("--clients", type=int, default=20, help="client processes of the service (20)")
    parser.add_argument("--file-clients", type=int, default=4, help="client processes on one SQLite file (4)")
    parser.add_argument("--rounds", type=int, default=50, help="withdrawals (50)")
    parser.add_argument("--users", type=int, default=100_000, help="cached users (100,000)")
    options = parser.parse_args(arguments)
    if unknown := set(options.what) - MEASURES.keys():
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(MEASURES)}")
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    tell(f"{os.cpu_count()} cores, load {load}, Python {platform.python_version()}, {platform.system()}")
    is_good = True
    for name in options.what or MEASURES:
        with tempfile.TemporaryDirectory(dir=MEMORY if name == "freshness" and MEMORY.is_dir() else None) as folder:
            is_good &= MEASURES[name](options, Path(folder))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
