"""
`diijam-consent history`: list what happened to one customer.

A customer may ask what was recorded, so it can also name the events in a customer's words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import attrs
from cyclopts import Parameter
from rich.table import Table

from ...events import LedgerEntry, Provenance
from ...identifiers import identifier
from ...record import fold_all, unopened
from ...stores import wire
from ...vocabulary import Language
from ...wording import describe_event, text_in
from ...wording.provenance import import_claim, provenance_facts
from ...wording.texts import Pair
from ..console import format_fields, format_time, make_console, print_json, print_status, printable
from ..store import Url, make_client, open_store

EXAMPLES = """\
Examples:
  diijam-consent history u-1
  diijam-consent history u-1 --lang vi
  diijam-consent history u-1 --json | jq -r .event.type
  diijam-consent history --json -- --odd-id
"""

COLUMNS: Mapping[str, Pair] = {
    "position": ("vị trí", "position"),
    "version": ("phiên bản", "version"),
    "at": ("lúc", "at"),
    "event": ("việc", "what happened"),
    "provenance": ("cách thức", "how"),
}


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
    Print what happened to a customer, oldest first, how it was said and who wrote it.

    Of an erased customer only the erasure is left. Times are those of Vietnam, in JSON those of UTC.

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


def _to_table(entries: Sequence[LedgerEntry], lang: Language | None) -> Table:
    names = [name if lang is None else text_in(lang, texts) for name, texts in COLUMNS.items()]
    position, version, at, event, provenance = names
    table = Table(box=None, pad_edge=False)
    table.add_column(position, justify="right")
    table.add_column(version, justify="right")
    table.add_column(at, no_wrap=True)
    table.add_column(event, no_wrap=lang is None, overflow="fold")
    if lang is None:
        table.add_column("fields", overflow="fold")
    table.add_column(provenance, overflow="fold")
    for entry, texts in zip(entries, _event_texts(entries, lang), strict=True):
        table.add_row(str(entry.position), str(entry.version), format_time(entry.at), *map(printable, texts))
    return table


def _event_texts(entries: Sequence[LedgerEntry], lang: Language | None) -> Iterator[tuple[str, ...]]:
    """Yield what stands in the columns after the time: names and fields, or whole sentences."""
    if lang is None:
        for entry in entries:
            fields, said = (attrs.asdict(part, recurse=False) for part in (entry.event, entry.provenance))
            yield type(entry.event).__name__, format_fields(fields), format_fields(said)
        return
    record = fold_all(unopened(entries[0].user_id), entries)
    for entry in entries:
        yield describe_event(lang, entry.event, record), _how(lang, entry.provenance)


def _how(lang: Language, provenance: Provenance) -> str:
    facts = (f"{name}: {value}." for name, value in provenance_facts(lang, provenance))
    return " ".join(filter(None, (*facts, import_claim(lang, provenance))))
