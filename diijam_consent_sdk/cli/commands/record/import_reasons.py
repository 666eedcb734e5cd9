"""Why a batch of an event file is not written: the event that the policy refuses, or a yes that was said before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ....events import (
    AccountClosed,
    AccountOpened,
    Erased,
    ErasureConfirmed,
    Event,
    LedgerEntry,
    Provenance,
    is_no,
    takes_away,
)
from ....holders import HolderRegistry
from ....record import ACCEPTED_WHEN_CLOSED, ConsentRecord, fold, fold_all, refusal, unopened
from ....single_noes import is_in_force, single_noes
from ....stores.answers import Loaded
from ....stores.protocol import Store
from ....vocabulary import Account
from .batches import Batch

REGROUPED = (
    "this line is refused, and those of the same customer right below it: a yes among them was written before, beside"
    " other lines or with another provenance, and the customer may have taken it back since; put the new lines into a"
    " file of their own, and import it with --label if the customer said the same again"
)
OVERTAKEN = (
    "this line is refused, and those of the same customer right below it: a no further down in the file is written"
    " already, and a yes here would end it; the no is the last word, so nothing is left to do for the yes"
)


def says_again(batch: Batch, history: Sequence[LedgerEntry], until: int) -> bool:
    """
    Whether a yes of a batch stands in its user's history, up to a position, however it was said there: an export that
    tells more of it than the one before makes no new yes.

    An account that was never closed is not opened again by any batch, which the policy explains better.
    """
    known = [entry.event for entry in history if entry.position <= until]
    was_closed = any(isinstance(entry.event, AccountClosed) for entry in history)
    return any(
        event in known
        for event in batch.events
        if not is_no(event) and (was_closed or not isinstance(event, AccountOpened))
    )


def ended_noes(batch: Batch, history: Sequence[LedgerEntry]) -> set[Event]:
    """Find the noes in its user's history that a batch would end."""
    before = after = fold_all(unopened(batch.user_id), history)
    at = history[-1].at
    for event in batch.events:
        if refusal(after, event, at, provenance=batch.provenance) is None:
            after = fold(after, LedgerEntry(0, batch.user_id, after.version + 1, at, event, batch.provenance))
    noes = {entry.event for entry in history if is_no(entry.event)}
    return {
        no for no in noes if any(is_in_force(before, each) and not is_in_force(after, each) for each in single_noes(no))
    }


def find_refused(store: Store, batch: Batch, record: ConsentRecord, loaded: Loaded) -> tuple[int, str, bool] | None:
    """
    Find the line of the event that the policy refuses, why, and whether only because the customer's word stands. The
    user's *record* was *loaded*.

    The store's error does not name the line.
    """
    rests_on_holders, said = (ErasureConfirmed, Erased), batch.provenance
    is_asked = any(isinstance(event, rests_on_holders) for event in batch.events)
    holders = HolderRegistry.of(store.holders() if is_asked else ())
    for line, event in zip(batch.lines, batch.events, strict=True):
        reason = refusal(record, event, loaded.at, provenance=said, holders=holders)
        if reason is not None:
            is_kept = _changes_nothing(record, batch, loaded.at)
            outcome = "is left out" if is_kept else "is refused"
            return line, f"{type(event).__name__} {outcome}: {reason}", is_kept
        version = record.version + 1
        entry = LedgerEntry(loaded.cursor.position, batch.user_id, version, loaded.at, event, said)
        record = fold(record, entry)
    return None  # another process wrote in between, or a registered notice says something else


def _changes_nothing(record: ConsentRecord, batch: Batch, at: datetime) -> bool:
    """Whether a batch is refused only for what happened here since: then the ledger is right, and no mistake made."""
    if record.account is Account.ERASED and takes_away(batch.events):
        return True  # an import's undated noes: nothing is left that they could take away
    said_at = batch.provenance.said_at
    return said_at is not None and said_at <= at and _stands(record, batch, at)


def _stands(record: ConsentRecord, batch: Batch, at: datetime) -> bool:
    """Whether what the user did here, and nothing else, stands against an import."""
    event, account = batch.events[0], record.account
    if account is Account.CLOSED and not isinstance(event, ACCEPTED_WHEN_CLOSED):
        return True
    if account is Account.ERASED or isinstance(event, AccountOpened):
        return True
    return refusal(record, event, at, provenance=Provenance()) is None
