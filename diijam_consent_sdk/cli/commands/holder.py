"""
`diijam-consent holder`: register those who have copies of customers' data, and keep the tally of what they erased.

An erasure is true once every copy is gone; the ledger waits for each holder to say so.
"""

from __future__ import annotations

import uuid
from typing import Annotated

from cyclopts import Parameter

from ...due import OwedErasure
from ...events import ErasureConfirmed, Provenance
from ...holders import RegisteredHolder
from ...identifiers import identifier
from ...stores import wire
from ...stores.answers import Write, WriteResult
from ...stores.checks import MAX_WRITES
from ..console import format_time, print_json, print_result, print_status, print_table
from ..errors import FAILED, noting_stop
from ..options import DEFAULT_ACTOR, Actor, Json, parse_time
from ..store import Url, make_client, open_store

HELP = """Register those who have copies of customers' data, list what they still have to erase, and confirm it.

No customer is recorded as erased before each registered holder has confirmed."""

ADD_EXAMPLES = """\
Examples:
  diijam-consent holder add mailer
  diijam-consent holder add warehouse --actor privacy-team
"""
LIST_EXAMPLES = """\
Examples:
  diijam-consent holder list
  diijam-consent holder list --json | jq -r '.holders[].holder'
"""
RETIRE_EXAMPLES = """\
Examples:
  diijam-consent holder retire mailer
"""
OWED_EXAMPLES = """\
Examples:
  diijam-consent holder owed mailer
  diijam-consent holder owed mailer --json | jq -r '.erasures[].user_id'
"""
CONFIRM_EXAMPLES = """\
Examples:
  diijam-consent holder confirm mailer u-1
  diijam-consent holder confirm mailer u-1 u-2 --actor mailer
  diijam-consent holder confirm mailer u-1 --began-at 2026-11-24T08:00:00Z
"""

REPEAT = "it may have been written: run the same command again to be sure"

Holder = Annotated[str, Parameter(help="The name of the holder.")]


def add(holder: Holder, /, *, actor: Actor = DEFAULT_ACTOR, url: Url = None) -> int:
    """
    Register a holder. Each erasure that begins from then on waits for it. A missing database is made.

    The same name again changes nothing: its first time and writer stay.

    Exit status: 0 it is registered, 2 it is not.

    Returns:
        The exit status.

    Raises:
        InvalidEvent: the ledger has as many holders as it takes.

        StoreError: the store failed.

        ValueError: the name is malformed.
    """
    with noting_stop(REPEAT), open_store(url, create=True) as store:
        registered = store.register_holder(holder, by=identifier(actor))
    names = ("holder", "registered", "by")
    print_result(*(f"{name:<10}  {value}" for name, value in zip(names, _row(registered), strict=True)))
    return 0


def list_(*, as_json: Json = False, url: Url = None) -> int:
    """
    List the registered holders, in order of their names.

    Exit status: 0 they are listed, even if none is registered; 2 they could not be read.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.
    """
    with open_store(url) as store:
        holders = store.holders()
    if as_json:
        print_json(wire.encode({"holders": holders}))
        return 0
    print_table(("holder", "registered at", "by"), map(_row, holders))
    return 0


def retire(holder: Holder, /, *, url: Url = None) -> int:
    """
    Remove a holder: no erasure waits for it any more. A name that is not registered changes nothing.

    Exit status: 0 it is registered no more, 2 it could not be removed.

    Returns:
        The exit status.

    Raises:
        StoreError: the store failed.

        ValueError: the name is malformed.
    """
    with noting_stop(REPEAT), open_store(url) as store:
        store.retire_holder(holder)
    print_result(f"{holder} is not registered: no erasure waits for it")
    return 0


def owed(holder: Holder, /, *, as_json: Json = False, url: Url = None) -> int:
    """
    List whose data a holder still has to erase, those that are due first at the beginning, and the fields that a hold
    keeps until then. With `--json` also when the erasure began, which a confirmation names.

    Customers who closed their account and did not ask for erasure come last, without a time.

    Exit status: 0 they are listed, even if nothing is owed; 2 they could not be read, or no such holder is registered.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.

        ValueError: no such holder is registered.
    """
    with open_store(url) as store, make_client(store) as client:
        erasures = client.erasures(holder)
    if as_json:
        print_json(wire.encode({"holder": holder, "erasures": erasures}))
        return 0
    print_table(("due at", "user", "kept by a hold"), map(_owed_row, erasures))
    return 0


def confirm(
    holder: Holder,
    /,
    *user_ids: Annotated[str, Parameter(help="A customer whose data the holder has erased.")],
    began_at: Annotated[
        str | None, Parameter(help="When the erasure began, as `holder owed --json` tells. Another is not confirmed.")
    ] = None,
    actor: Actor = DEFAULT_ACTOR,
    url: Url = None,
) -> int:
    """
    Record that a holder has erased its copies of these customers' data.

    Where `holder owed` shows a field under a hold, and the holder has that field, confirm after the hold ended: before,
    the ledger would say that it is gone.

    What the policy refuses is named on standard error with the reason, as a second confirmation is; the rest is
    written.

    Exit status: 0 all is recorded, 2 something is not.

    Returns:
        The exit status.

    Raises:
        StoreError: the store failed.

        ValueError: no customer is named, or an id or the time is malformed.
    """
    if not user_ids:
        raise ValueError("whose data was erased? Write: holder confirm NAME USER_ID")
    began = None if began_at is None else parse_time("began_at", began_at)
    event, provenance = ErasureConfirmed(holder, began), Provenance(identifier(actor))
    refused = 0
    with noting_stop(REPEAT), open_store(url) as store:
        for start in range(0, len(user_ids), MAX_WRITES):
            some = user_ids[start : start + MAX_WRITES]
            writes = [Write(user_id, [event], None, uuid.uuid4().hex, provenance) for user_id in some]
            for user_id, result in zip(some, store.append_many(writes), strict=True):
                refused += not _is_recorded(user_id, result)
    print_result(f"confirmed {len(user_ids) - refused:,} of {len(user_ids):,}")
    return FAILED if refused else 0


def _is_recorded(user_id: str, result: WriteResult) -> bool:
    if isinstance(result, Exception):
        print_status(f"{user_id}: {result}")
        return False
    return True


def _row(known: RegisteredHolder) -> tuple[str, ...]:
    return known.holder, format_time(known.registered_at), known.by or "-"


def _owed_row(erasure: OwedErasure) -> tuple[str, ...]:
    due_at = "-" if erasure.due_at is None else format_time(erasure.due_at)
    return due_at, erasure.user_id, ", ".join(sorted(erasure.kept)) or "-"
