"""
`diijam-consent verify`: prove that nobody changed the ledger.

It computes the hash chain again from the events, so an edit behind the library's back shows.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ...errors import HeadNotContinued, LedgerBroken
from ...stores import wire
from ...stores.answers import Cursor
from ..console import print_json, print_result, print_status
from ..options import Json
from ..store import DatabaseUrl, open_store

BROKEN = 1

EXAMPLES = """\
Examples:
  diijam-consent verify
  diijam-consent verify --url sqlite:////srv/consents.db && make-a-backup
  diijam-consent verify --url sqlite:////srv/consents.db \\
      --since "$(cat head-2026-11-24)" --json
"""

RESTORE = "trust nothing from there on: keep the file, and restore from a backup that verifies"
REPLAY = (
    "an older copy was restored, or entries were removed or replaced. After a restore, write the lost noes again:"
    " diijam-consent replay --from URL, with the URL of what still has them. If nobody restored it, keep the file, and"
    " restore from a backup that continues the head"
)

Since = Annotated[
    str | None,
    Parameter(
        name="--since",
        help="A head that diijam-consent head printed earlier: prove that the ledger still continues it.",
    ),
]


def verify(*, since: Since = None, as_json: Json = False, url: DatabaseUrl = None) -> int:
    """
    Re-compute the ledger's chain and every record, and print its head and how many entries lead there.

    Keep the head (diijam-consent head): a ledger that was cut short, or replaced by an older copy, verifies as well.
    With --since it must also have, at the position of a head that was kept, the entry with that head's hash.

    Exit status: 0 the ledger is whole, and continues --since; 1 it is broken, or does not; 2 it could not be read, or
    --since is no head.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.

        ValueError: this store cannot be verified from here, or *since* is no head.
    """
    with open_store(url) as store:
        recompute = getattr(store, "verify", None)
        if recompute is None:
            raise ValueError("this store cannot be verified from here: run verify where its database is")
        try:
            head: Cursor = recompute(since=since)
        except LedgerBroken as error:
            advice = REPLAY if isinstance(error, HeadNotContinued) else RESTORE
            print_status(f"error: {error}; {advice}")
            if as_json:
                print_json(wire.encode({"whole": False, "error": str(error), "position": error.position}))
            return BROKEN
        remarks: list[str] = getattr(store, "remarks", list)()
    for remark in remarks:
        print_status(f"note: {remark}")
    if as_json:
        print_json(wire.encode({"whole": True, "head": str(head), "entries": head.position, "remarks": remarks}))
    else:
        print_result(f"head     {head}", f"entries  {head.position}", *_since_line(since))
    return 0


def _since_line(since: str | None) -> list[str]:
    """Tell that the ledger continues the kept head, if one was given."""
    return [] if since is None else [f"since    continues the head kept at {Cursor.parse(since).position}"]
