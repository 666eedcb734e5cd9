"""
What a ledger that was restored from an older copy lacks of the customers' noes: a lost no would be a wrong yes.

Compares one user in the ledger that has what was lost (*old*) with the same user in the restored one (*new*). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from . import events as e
from .record import ConsentRecord, consent_key, fold_all, unopened
from .vocabulary import Account, Channel, Field, Purpose, RequestKind


@attrs.frozen
class LostNo:
    """
    A no in force at the end of the old ledger that the new one lacks.

    `position` is that of its entry in the old ledger. `is_against_later_yes`: the user has said yes since the restore.
    """

    event: e.Event = attrs.field(repr=False)
    position: int
    is_against_later_yes: bool


def lost_noes(user_id: str, old: Sequence[e.LedgerEntry], new: Sequence[e.LedgerEntry]) -> list[LostNo]:
    """
    List what a user's history in the new ledger lacks, in the order in which it was said.

    Args:
        user_id: The user.

        old: The user's whole history in the ledger that has what was lost, with the entries' hashes.

        new: The user's whole history in the restored ledger.

    Returns:
        The noes, each a single one: a withdrawal has one channel, a restriction one field or all. Of a user erased in
        the old ledger, the request if the new one has none, and `Erased`.
    """
    shared = _count_shared(old, new)
    before = fold_all(unopened(user_id), old[:shared])
    record, restored = (fold_all(before, entries[shared:]) for entries in (old, new))
    if restored.account is Account.ERASED or len(old) == shared:
        return []
    if record.account is Account.ERASED:
        return list(_erasure(record, restored, old[-1]))
    lost: dict[e.Event, int] = {}
    for entry in old[shared:]:
        ended = _ended_by_closing(before, restored) if _is_closing(entry, record) else ()
        for no in (*_single(entry.event), *ended):
            if _holds(record, no) and not _holds(restored, no) and _is_possible(restored, no):
                lost[no] = entry.position
    said_since = [no for entry in new[shared:] for no in _contradicted_by(entry.event)]
    return [LostNo(_fitting(no, restored, at), at, no in said_since) for no, at in lost.items()]


def _count_shared(old: Sequence[e.LedgerEntry], new: Sequence[e.LedgerEntry]) -> int:
    """Count the entries that both ledgers have, by their chain hashes."""
    pairs = zip(old, new, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one.hash != other.hash), min(len(old), len(new)))


def _erasure(record: ConsentRecord, restored: ConsentRecord, tombstone: e.LedgerEntry) -> Iterator[LostNo]:
    """Yield what erases the user again. What the request was is not in the tombstone, but when it was fulfilled is."""
    at = tombstone.position
    if not restored.is_erasing():
        request = e.RequestFiled(f"replay-{at}", RequestKind.ERASURE, received_at=tombstone.at)
        yield LostNo(request, at, is_against_later_yes=False)
    yield LostNo(e.Erased(anonymised=record.anonymised), at, is_against_later_yes=False)


def _single(event: e.Event) -> Iterator[e.Event]:
    """Yield the single noes that an event says."""
    match event:
        case e.Withdrawn(Purpose.MARKETING, channels):
            for channel in sorted(channels or Channel):
                yield e.Withdrawn(Purpose.MARKETING, [channel])
        case e.Restricted(data) if data is not None:
            for field in sorted(data):
                yield e.Restricted([field])
        case e.RequestFiled(kind=kind) if kind is not RequestKind.ERASURE:
            pass
        case _ if e.is_no(event):
            yield event


def _is_closing(entry: e.LedgerEntry, record: ConsentRecord) -> bool:
    """Whether an entry closed the account, which was opened again since."""
    return isinstance(entry.event, e.AccountClosed) and record.account is Account.OPEN


def _ended_by_closing(before: ConsentRecord, restored: ConsentRecord) -> Iterator[e.Event]:
    """Yield a no for each yes that a closing ended: the old ledger has none of them, and the new one has them yet."""
    for consent in before.consents.values():
        if consent.given_at is not None:
            yield e.Withdrawn(consent.purpose, [] if consent.channel is None else [consent.channel])
    for notice in before.notices.values():
        if notice.given_at is not None and notice.notice in restored.notices:
            yield e.AgreementWithdrawn(notice.notice)
    yield from map(e.Hidden, sorted(before.published))


def _holds(record: ConsentRecord, no: e.Event) -> bool:  # noqa: PLR0911 - a row each
    """Whether a single no is in force in a record; a yes that is not there, or was ended, counts as one."""
    match no:
        case e.Withdrawn(purpose, channels):
            consent = record.consents.get(consent_key(purpose, next(iter(channels), None)))
            return consent is not None and (consent.withdrawn_at is not None or consent.given_at is None)
        case e.AgreementWithdrawn(notice):
            told = record.notices.get(notice)
            return told is not None and (told.withdrawn_at is not None or told.given_at is None)
        case e.Objected(purpose):
            return purpose in record.objected
        case e.Restricted(data):
            return record.all_restricted if data is None else data <= record.restricted
        case e.Hidden(field):
            return field in record.publications and field not in record.published
        case e.AccountClosed():
            return record.account is Account.CLOSED
        case _:
            return record.is_erasing()


def _is_possible(restored: ConsentRecord, no: e.Event) -> bool:
    """Whether there is something to take away: an account to close, a sharing that was told."""
    if isinstance(no, e.AccountClosed):
        return restored.account is Account.OPEN
    return not isinstance(no, e.AgreementWithdrawn) or no.notice in restored.notices


def _fitting(no: e.Event, restored: ConsentRecord, position: int) -> e.Event:
    """Give an erasure request another id if the restored ledger has used its own."""
    if isinstance(no, e.RequestFiled):
        request = no.request if no.request not in restored.requests else f"replay-{position}"
        return attrs.evolve(no, request=request)
    return no


def _contradicted_by(event: e.Event) -> Iterator[e.Event]:
    """Yield the single noes that a yes speaks against."""
    match event:
        case e.Granted(purpose, channels=channels):
            yield from _single(e.Withdrawn(purpose, channels))
        case e.Agreed(notice):
            yield e.AgreementWithdrawn(notice)
        case e.ObjectionLifted(purpose):
            yield e.Objected(purpose)
        case e.RestrictionLifted(data):
            yield from () if data else [e.Restricted()]
            yield from (e.Restricted([field]) for field in data or Field)
        case e.Published(field):
            yield e.Hidden(field)
        case e.AccountOpened():
            yield e.AccountClosed()
        case _:
            pass
