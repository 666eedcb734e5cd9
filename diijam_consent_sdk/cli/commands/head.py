"""
`diijam-consent head`: print the ledger's head, to keep it elsewhere.

A ledger that was cut short, or replaced by an older copy, verifies as well; only a head that was kept proves it.
"""

from __future__ import annotations

from ..console import print_result
from ..store import Url, make_client, open_store

EXAMPLES = """\
Examples:
  diijam-consent head
  diijam-consent head > head-$(date +%F)
  diijam-consent verify --url sqlite:////srv/consents.db \\
      --since "$(cat head-2026-11-24)"
"""


def head(*, url: Url = None) -> int:
    """
    Print the ledger's head, alone: a token of the epoch, position and chain hash of its last entry.

    Keep it where no writer of the ledger can change it. It names no customer. diijam-consent verify --since
    proves later that the ledger still continues it.

    Exit status: 0, also for an empty ledger; 2 it could not be read.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.
    """
    with open_store(url) as store, make_client(store) as client:
        print_result(client.head())
    return 0
