"""`diijam-consent history`: what happened to one customer; `diijam-consent verify`: whether the ledger proves it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import attrs
from cyclopts import Parameter
from rich.table import Table

from ...errors import LedgerBroken
from ...events import LedgerEntry
from ...stores import wire
from ...vocabulary import identifier
from ..console import console_for, local, printable, say, say_json, tell
from ..store import Url, asking, opened
from ..words import COLUMNS, event_in, fields_in
from .check import Language, spelled

BROKEN = 1
LANGUAGES: tuple[Language, ...] = ("vi", "en")  # as they stand in a pair of words

HISTORY_EXAMPLES = """\
Examples:
  diijam-consent history u-1
  diijam-consent history u-1 --lang vi
  diijam-consent history u-1 --json | jq -r .event.type
  diijam-consent history --json -- --odd-id
"""

VERIFY_EXAMPLES = """\
Examples:
  diijam-consent verify
  diijam-consent verify --url sqlite:////srv/consents.db && make-a-backup
"""


def history(
    user_id: Annotated[str, Parameter(help="The customer.")],
    /,
    *,
    lang: Annotated[
        Language | None, Parameter(help="Name what happened in words for customers, not as the ledger does.")
    ] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="One JSON object a line, for machines.")] = False,
    url: Url = None,
) -> int:
    """
    What happened to a customer, oldest first. Of an erased customer only the erasure is left.

    Times are those of Vietnam, in JSON those of UTC.

    Exit status: 0, also for a customer nobody knows; 2 it could not be read.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.

        ValueError: the id is malformed.
    """
    identifier(user_id)
    with opened(url) as store, asking(store) as client:
        entries = client.history(user_id)
    if not entries:
        tell("nothing happened: the ledger knows no such customer")
    elif as_json:
        for entry in entries:
            say_json(wire.encode_entry(entry))
    else:
        console_for(sys.stdout).print(_table(entries, lang))
    return 0


def _table(entries: Iterable[LedgerEntry], lang: Language | None) -> Table:
    place = None if lang is None else LANGUAGES.index(lang)
    names = {name: name if place is None else COLUMNS[name][place] for name in COLUMNS}
    table = Table(box=None, pad_edge=False)
    table.add_column(names["position"], justify="right")
    table.add_column(names["version"], justify="right")
    for name in ("at", "event"):
        table.add_column(names[name], no_wrap=True)
    table.add_column(names["fields"], overflow="fold")
    for entry in entries:
        event = entry.event
        if place is None:
            said = type(event).__name__, spelled(attrs.asdict(event, recurse=False))
        else:
            said = event_in(event, place), fields_in(event, place)
        table.add_row(str(entry.position), str(entry.version), local(entry.at), *map(printable, said))
    return table


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
    with opened(url) as store:
        re_compute = getattr(store, "verify", None)
        if re_compute is None:
            raise ValueError("this store cannot be verified from here: run verify where its database is")
        try:
            head = re_compute()
        except LedgerBroken as error:
            tell(f"error: {error}; trust nothing from there on: keep the file, and restore from a backup that verifies")
            return BROKEN
        for remark in getattr(store, "remarks", list)():
            tell(f"note: {remark}")
    say(f"head     {head}", f"entries  {head.position}")
    return 0
