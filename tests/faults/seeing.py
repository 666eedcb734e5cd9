"""
A program that says when it sees a no: `python -m tests.faults.seeing`, the ledger being what `DIIJAM_CONSENT_URL` says.

For each user id on standard input it waits for a yes and says `ready`, then asks until it gets a no, and says when that
was, on the machine's monotonic clock.
"""

from __future__ import annotations

import sys
import time

from diijam_consent_sdk import ConsentClient

LOOK_SECONDS = 0.01  # between two questions; what is measured is that much too long at most


def main() -> None:
    """Serve the questions of standard input."""
    with ConsentClient.from_env(deadline=10) as consent:  # the bound stays at its 60 s: only the feed can be quicker
        for line in sys.stdin:
            user_id = line.strip()
            while not consent.can_market(user_id, "email"):
                time.sleep(LOOK_SECONDS)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            while consent.can_market(user_id, "email"):
                time.sleep(LOOK_SECONDS)
            sys.stdout.write(f"{time.monotonic()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
