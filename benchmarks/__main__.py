"""`python -m benchmarks [NAME …] [--quick]`: run all comparisons, or those named, each in a separate process."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "guard", "asks", "memory", "audience", "growth", "freshness", "concurrency", "server", "routes", "streaming",
    "writers", "fleet", "capacity",
)  # fmt: skip


def main() -> None:
    """Run them, and fail if one of them did."""
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    wanted = [word for word in sys.argv[1:] if word not in options] or list(NAMES)
    unknown = sorted({*wanted} - {*NAMES})
    if unknown:
        sys.exit(f"unknown comparison {unknown[0]!r}; known: {', '.join(NAMES)}")
    failed = [
        name
        for name in wanted
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False).returncode
    ]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
