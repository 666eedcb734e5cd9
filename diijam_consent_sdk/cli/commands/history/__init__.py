"""
`diijam-consent history`: list what happened to one customer.

A customer may ask what was recorded, so it can also name the events in a customer's words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import attrs
from cyclopts import Parameter
from rich.table import Table

from ....events import LedgerEntry
from ....identifiers import identifier
from ....stores import wire
from ....vocabulary import Language
from ...console import format_fields, format_time, make_console, print_json, print_status, printable
from ...store import Url, make_client, open_store
from .wording import COLUMNS, event_in, fields_in, text_in

EXAMPLES = """\
Examples:
  diijam-consent history u-1
  diijam-consent history u-1 --lang vi
  diijam-consent history u-1 --json | jq -r .event.type
  diijam-consent history --json -- --odd-id
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
    with open_store(url) as store, make_client(store) as client:
        entries = client.history(user_id)
    if not entries:
        print_status("nothing happened: the ledger knows no such customer")
    elif as_json:
        for entry in entries:
            print_json(wire.encode_entry(entry))
    else:
        make_console(sys.stdout).print(_to_table(entries, lang))
    return 0


def _to_table(entries: Iterable[LedgerEntry], lang: Language | None) -> Table:
    names = {name: name if lang is None else text_in(lang, texts) for name, texts in COLUMNS.items()}
    table = Table(box=None, pad_edge=False)
    table.add_column(names["position"], justify="right")
    table.add_column(names["version"], justify="right")
    for name in ("at", "event"):
        table.add_column(names[name], no_wrap=True)
    table.add_column(names["fields"], overflow="fold")
    for entry in entries:
        event = entry.event
        if lang is None:
            texts = type(event).__name__, format_fields(attrs.asdict(event, recurse=False))
        else:
            texts = event_in(lang, event), fields_in(lang, event)
        table.add_row(str(entry.position), str(entry.version), format_time(entry.at), *map(printable, texts))
    return table
