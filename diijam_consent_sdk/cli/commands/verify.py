"""
`diijam-consent verify`: prove that nobody changed the ledger.

It computes the hash chain again from the events, so an edit behind the library's back shows.
"""

from __future__ import annotations

from ...errors import LedgerBroken
from ..console import print_result, print_status
from ..store import Url, open_store

BROKEN = 1

EXAMPLES = """\
Examples:
  diijam-consent verify
  diijam-consent verify --url sqlite:////srv/consents.db && make-a-backup
"""


def verify(*, url: Url = None) -> int:
    """
    Re-compute the ledger's chain and every record, and print its head and how many entries lead there.

    Keep the head: a ledger that was cut short verifies too, but has another head.

    Exit status: 0 the ledger is whole, 1 it is broken, 2 it could not be read.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.

        ValueError: this store cannot be verified from here.
    """
    with open_store(url) as store:
        recompute = getattr(store, "verify", None)
        if recompute is None:
            raise ValueError("this store cannot be verified from here: run verify where its database is")
        try:
            head = recompute()
        except LedgerBroken as error:
            print_status(
                f"error: {error}; trust nothing from there on: keep the file, and restore from a backup that verifies"
            )
            return BROKEN
        for remark in getattr(store, "remarks", list)():
            print_status(f"note: {remark}")
    print_result(f"head     {head}", f"entries  {head.position}")
    return 0
