"""
`diijam-consent due`: list what is owed to customers, and which erasures may be done.

The law sets a time for each request; this is the work list of the people who answer them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ...due import Due, PendingErasure
from ...record import Hold
from ...stores import wire
from ..console import format_time, print_json, print_result, print_table
from ..options import Json
from ..store import Url, make_client, open_store

EXAMPLES = """\
Examples:
  diijam-consent due
  diijam-consent due --json | jq -r '.erasable[].user_id'
  diijam-consent due --json |
      jq -r '.requests[] | select(.state == "overdue") | .user_id'
"""


def due(*, as_json: Json = False, url: Url = None) -> int:
    """
    List the open requests by the time they are due, and the pending erasures.

    Some erasures may be done now. Of the others the list says by what they are held, until when, and which holders of
    copies have yet to confirm.

    A request is "overdue" once the time of the deed, or of a reply that was not given, has passed; "due soon" in the
    last quarter of that time; else "on track". Record a reply with `diijam-consent record USER RequestReplied`, one
    extension with `RequestExtended`.

    Exit status: 0, also if nothing is owed; 2 it could not be read.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.
    """
    with open_store(url) as store, make_client(store) as client:
        owed = client.due()
    if as_json:
        print_json(_to_json(owed))
        return 0
    print_result(f"open requests      {len(owed.requests)}")
    print_table(("state", "due at", "reply by", "kind", "request", "user"), _request_rows(owed))
    print_result(f"may be erased now  {len(owed.erasable)}")
    print_table(("due at", "", "user"), _erasure_rows(owed.erasable, owed.at))
    print_result(f"held               {len(owed.held)}")
    print_table(("due at", "", "user", "until", "holds", "to confirm"), _held_rows(owed))
    return 0


def _lateness(due_at: datetime, at: datetime) -> str:
    return "overdue" if due_at <= at else ""


def _request_rows(owed: Due) -> list[tuple[str, ...]]:
    return [
        (
            it.state.replace("_", " "),
            format_time(it.request.due_at),
            "replied" if it.request.replied_at else format_time(it.request.reply_due_at),
            it.request.kind,
            it.request.request,
            it.user_id,
        )
        for it in owed.requests
    ]


def _erasure_rows(erasures: Iterable[PendingErasure], at: datetime) -> list[tuple[str, ...]]:
    return [(format_time(it.due_at), _lateness(it.due_at, at), it.user_id) for it in erasures]


def _held_rows(owed: Due) -> list[tuple[str, ...]]:
    return [
        (*row, _format_until(it), ", ".join(map(_format_hold, it.holds)), ", ".join(it.missing))
        for row, it in zip(_erasure_rows(owed.held, owed.at), owed.held, strict=True)
    ]


def _format_until(erasure: PendingErasure) -> str:
    if erasure.until is not None:
        return format_time(erasure.until)
    return "release" if erasure.holds else ""


def _format_hold(hold: Hold) -> str:
    return f"{hold.hold} ({hold.kind})"


def _to_json(owed: Due) -> bytes:
    return wire.encode({
        "at": owed.at,
        "requests": [{"user_id": it.user_id, "state": it.state, "request": it.request} for it in owed.requests],
        "erasable": [{"user_id": it.user_id, "due_at": it.due_at} for it in owed.erasable],
        "held": [
            {
                "user_id": it.user_id, "due_at": it.due_at, "until": it.until, "holds": it.holds, "missing": it.missing,
            }
            for it in owed.held
        ],
    })  # fmt: skip
