"""`diijam-consent due`: what is owed to customers, and which erasures may be done."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from ...due import Due, PendingErasure
from ...record import Hold
from ...stores import wire
from ..console import console_for, local, printable, say, say_json
from ..store import Url, asking, opened

EXAMPLES = """\
Examples:
  diijam-consent due
  diijam-consent due --json | jq -r '.erasable[].user_id'
"""


def due(
    *,
    as_json: Annotated[bool, Parameter(name="--json", help="One JSON object, for machines.")] = False,
    url: Url = None,
) -> int:
    """
    What customers asked for and have not been given yet, by the time it is due; and of the pending erasures, which may
    be done now, and which are held, by what and until when.

    Exit status: 0, also if nothing is owed; 2 it could not be read.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.
    """
    with opened(url) as store, asking(store) as client:
        owed = client.due()
    if as_json:
        say_json(_json(owed))
        return 0
    say(f"open requests      {len(owed.requests)}")
    _show(("due at", "", "kind", "request", "user"), _requests(owed))
    say(f"may be erased now  {len(owed.erasable)}")
    _show(("due at", "", "user"), _erasures(owed.erasable, owed.at))
    say(f"held               {len(owed.held)}")
    _show(("due at", "", "user", "until", "holds"), _held(owed))
    return 0


def _show(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    if table.row_count:
        console_for(sys.stdout).print(table)


def _lateness(due_at: datetime, at: datetime) -> str:
    return "overdue" if due_at <= at else ""


def _requests(owed: Due) -> list[tuple[str, ...]]:
    return [
        (
            local(it.request.due_at),
            _lateness(it.request.due_at, owed.at),
            it.request.kind,
            it.request.request,
            it.user_id,
        )
        for it in owed.requests
    ]


def _erasures(erasures: Iterable[PendingErasure], at: datetime) -> list[tuple[str, ...]]:
    return [(local(it.due_at), _lateness(it.due_at, at), it.user_id) for it in erasures]


def _held(owed: Due) -> list[tuple[str, ...]]:
    return [
        (*row, "released" if it.until is None else local(it.until), ", ".join(map(_hold, it.holds)))
        for row, it in zip(_erasures(owed.held, owed.at), owed.held, strict=True)
    ]


def _hold(hold: Hold) -> str:
    return f"{hold.hold} ({hold.kind})"


def _json(owed: Due) -> bytes:
    return wire.encode({
        "at": owed.at,
        "requests": [{"user_id": it.user_id, "request": it.request} for it in owed.requests],
        "erasable": [{"user_id": it.user_id, "due_at": it.due_at} for it in owed.erasable],
        "held": [
            {"user_id": it.user_id, "due_at": it.due_at, "until": it.until, "holds": it.holds} for it in owed.held
        ],
    })  # fmt: skip
