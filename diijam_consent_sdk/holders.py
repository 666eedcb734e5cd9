"""
Holders: those who have copies of customers' data, and have to confirm that they erased theirs.

The ledger deletes nothing elsewhere. It keeps the tally, and refuses an `Erased` that would be a lie: clause 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Self

import attrs

from . import events as e
from .identifiers import list_ids

UNKNOWN_HOLDER = "no such holder is registered: see the name, or register it"
ENDED = "the erasure that began then is not under way any more: list what is owed, erase that and confirm it"
MAX_HOLDERS = 1_000  # in one ledger: each append that erases reads them all
# The events that begin or end an erasure, confirm one or complete it: what becomes of them depends on the holders.
ERASING = (e.AccountOpened, e.AccountClosed, e.RequestFiled, e.RequestResolved, e.ErasureConfirmed, e.Erased)


@attrs.frozen(kw_only=True)
class Erasure:
    """
    An erasure that a customer asked for, or that the closing of the account began: since when the holders owe it, and
    which of them have confirmed. Clauses 1 and 6.
    """

    began_at: datetime
    confirmed: frozenset[str]


@attrs.frozen
class RegisteredHolder:
    """A holder as a ledger keeps it: its name, the store's time of the registration in UTC, and the writer."""

    holder: str
    registered_at: datetime
    by: str | None


@attrs.frozen
class HolderRegistry:
    """The registered holders, by name, each with the time of its registration."""

    registered: Mapping[str, datetime] = MappingProxyType({})

    @classmethod
    def of(cls, holders: Iterable[RegisteredHolder]) -> Self:
        """Make the registry of these holders."""
        return cls({known.holder: known.registered_at for known in holders})

    def owes(self, holder: str, erasure: Erasure | None) -> bool:
        """
        Whether a holder is registered and has yet to confirm an erasure. It owes what began at its registration or
        later: the same instant counts, which is the reading that processes less.
        """
        registered_at = self.registered.get(holder)
        if registered_at is None or erasure is None:
            return False
        return registered_at <= erasure.began_at and holder not in erasure.confirmed

    def missing(self, erasure: Erasure | None) -> tuple[str, ...]:
        """List the holders that have yet to confirm an erasure, sorted."""
        return tuple(sorted(holder for holder in self.registered if self.owes(holder, erasure)))


NO_HOLDERS = HolderRegistry()


def erasure_after(
    known: Erasure | None, entry: e.LedgerEntry, *, was_erasing: bool, is_erasing: bool, is_closed: bool
) -> Erasure | None:
    """
    Return what the holders owe a user after an entry of `ERASING`.

    An erasure begins with a request while none is open, and with a closing while none is under way. What was confirmed
    before counts no more once the account is opened, or once the last request on a closed account ended, which leaves
    the erasure that the closing owes.

    Args:
        known: The erasure that was under way before.

        entry: The entry.

        was_erasing: Whether a request for erasure was open before.

        is_erasing: Whether one is open after it.

        is_closed: Whether the account is closed after it.
    """
    if not (is_erasing or is_closed):
        return None
    if known is None or is_erasing != was_erasing or isinstance(entry.event, e.AccountOpened):
        return Erasure(began_at=entry.at, confirmed=frozenset())
    if isinstance(entry.event, e.ErasureConfirmed):
        return attrs.evolve(known, confirmed=known.confirmed | {entry.event.holder})
    return known


def holder_refusals(event: e.Event, erasure: Erasure | None, holders: HolderRegistry) -> Iterator[tuple[bool, str]]:
    """Yield the tests of an event against the registered holders, each with its reason."""
    match event:
        case e.ErasureConfirmed(holder, began_at):
            yield holder not in holders.registered, UNKNOWN_HOLDER
            yield began_at is not None and erasure is not None and began_at != erasure.began_at, ENDED
            yield erasure is not None and holder in erasure.confirmed, "this holder has confirmed the erasure already"
        case e.Erased():
            missing = holders.missing(erasure)
            todo = "append ErasureConfirmed of each holder that has yet to confirm, or retire the holder"
            yield bool(missing), f"{todo}: {list_ids(missing)}"
