"""
What a ledger that was restored from an older copy lacks of the customers' noes: a lost no would be a wrong yes.

Compares one user in the ledger that has what was lost (*old*) with the same user in the restored one (*new*). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from . import events as e
from .holders import Erasure
from .record import END_OF_TIME, Consent, ConsentRecord, Notice, fold_all, unopened
from .single_noes import is_in_force, no_to, noes_against, permission_on, single_noes, word_on
from .vocabulary import Account, Outcome, RequestKind

Lost = tuple[e.Event, e.LedgerEntry]  # a no, and the entry of the old ledger that has it


@attrs.frozen
class LostNo:
    """
    A no in force at the end of the old ledger that the new one lacks.

    `entry` is where the old ledger has it. `is_against_later_yes`: the user has said yes since the restore to something
    that this no denies.
    """

    event: e.Event = attrs.field(repr=False)
    entry: e.LedgerEntry
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
    shared, before, record, restored = _forked(user_id, old, new)
    if restored.account is Account.ERASED or len(old) == shared:
        return []
    if record.account is Account.ERASED:
        lost = _erasure(record, restored, old[-1])
        since = [entry.event for entry in new if entry.at > old[-1].at]  # the tombstone does not tell what is shared
    else:
        lost = _lost_one_by_one(before, record, restored, old[shared:])
        since = [entry.event for entry in new[shared:]]
    return [LostNo(no, entry, any(_is_against(no, event, restored) for event in since)) for no, entry in lost]


def begin_erasure_again(user_id: str, old: Sequence[e.LedgerEntry], new: Sequence[e.LedgerEntry]) -> list[e.Event]:
    """
    List what begins the erasure under way in the new ledger again, if it ended in the old one: a holder that confirmed
    it before may have got new copies since, and its confirmation must not count.

    Args: as for `lost_noes`, whose noes are written before these events.

    Returns:
        The open requests for erasure, cancelled, and one in their place with the same time. Of an account that only a
        closing erases, a request that is cancelled at once. Nothing if no confirmation is outdated.
    """
    _, before, record, restored = _forked(user_id, old, new)
    if not _is_outdated(before.erasure, record.erasure, restored.erasure):
        return []
    asked = [request for request in restored.open_requests() if request.kind is RequestKind.ERASURE]
    if not asked and record.is_erasing():
        return []  # its request is a lost no, which begins the erasure again
    fresh = e.RequestFiled(
        f"replay-{old[-1].position}", RequestKind.ERASURE,
        processor=all(request.processor for request in asked),
        received_at=min((request.received_at for request in asked), default=None),
    )  # fmt: skip
    if not asked:
        return [fresh, e.RequestResolved(fresh.request, Outcome.CANCELLED)]
    return [*(e.RequestResolved(request.request, Outcome.CANCELLED) for request in asked), fresh]


def _forked(
    user_id: str, old: Sequence[e.LedgerEntry], new: Sequence[e.LedgerEntry]
) -> tuple[int, ConsentRecord, ConsentRecord, ConsentRecord]:
    """
    Count the entries that both histories begin with, and make the records there, at the end of *old* and of *new*.

    The entries of the beginning are those of the new ledger, since the old one may be broken.
    """
    shared = _count_shared(old, new)
    before = fold_all(unopened(user_id), new[:shared])
    return shared, before, fold_all(before, old[shared:]), fold_all(before, new[shared:])


def _is_outdated(shared: Erasure | None, erasure: Erasure | None, restored: Erasure | None) -> bool:
    """Whether an erasure that both ledgers have goes on in the restored one alone, and was confirmed before."""
    if shared is None or restored is None or restored.began_at != shared.began_at:
        return False
    if erasure is None:
        return bool(shared.confirmed)
    return erasure.began_at != shared.began_at and not shared.confirmed <= erasure.confirmed


def _lost_one_by_one(
    before: ConsentRecord, record: ConsentRecord, restored: ConsentRecord, lost_entries: Iterable[e.LedgerEntry]
) -> list[Lost]:
    """List the single noes of these entries that are in force in *record*, each with the last entry that says it."""
    lost: dict[e.Event, e.LedgerEntry] = {}
    for entry in lost_entries:
        ended = _ended_by_closing(before) if _is_closing(entry, record) else ()
        for no in (*single_noes(entry.event), *ended):
            if is_in_force(record, no) and not (is_in_force(restored, no) and _is_as_late(restored, record, no)):
                lost[no] = entry
        for no in _shortened_by(entry.event, before, record, restored):
            lost[no] = entry
    return [(_fitting(no, restored, entry), entry) for no, entry in lost.items() if _is_possible(restored, no)]


def _count_shared(old: Sequence[e.LedgerEntry], new: Sequence[e.LedgerEntry]) -> int:
    """Count the entries that both ledgers have, by their chain hashes."""
    pairs = zip(old, new, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one.hash != other.hash), min(len(old), len(new)))


def _erasure(record: ConsentRecord, restored: ConsentRecord, tombstone: e.LedgerEntry) -> list[Lost]:
    """List what erases the user again. What the request was is not in the tombstone, but when it was fulfilled is."""
    request = e.RequestFiled(f"replay-{tombstone.position}", RequestKind.ERASURE, received_at=tombstone.at)
    noes: list[e.Event] = [] if restored.is_erasing() else [request]
    return [(no, tombstone) for no in (*noes, e.Erased(anonymised=record.anonymised))]


def _is_closing(entry: e.LedgerEntry, record: ConsentRecord) -> bool:
    """Whether an entry closed the account, which was opened again since."""
    return isinstance(entry.event, e.AccountClosed) and record.account is Account.OPEN


def _ended_by_closing(before: ConsentRecord) -> Iterator[e.Event]:
    """Yield a no for each yes that a closing ended: the old ledger has none of them, and the new one has them yet."""
    permissions: tuple[Consent | Notice, ...] = (*before.consents.values(), *before.notices.values())
    for permission in permissions:
        if permission.given_at is not None and permission.withdrawn_at is None:
            yield no_to(permission)
    yield from map(e.Hidden, sorted(before.published))


def _shortened_by(
    event: e.Event, before: ConsentRecord, record: ConsentRecord, restored: ConsentRecord
) -> Iterator[e.Event]:
    """Yield a no for each yes that a lost one replaced by one that ends sooner, unless the user said more since."""
    for no in noes_against(event):
        was, last, now = (permission_on(each, no) for each in (before, record, restored))
        if was is None or last is None or was != now or was.given_at is None or was.withdrawn_at is not None:
            continue
        if (last.expires_at or END_OF_TIME) < (was.expires_at or END_OF_TIME):
            yield no


def _is_as_late(restored: ConsentRecord, record: ConsentRecord, no: e.Event) -> bool:
    """Whether the restored record has a word on the same thing that keeps every import out which the lost no does."""
    kept, lost = word_on(restored, no), word_on(record, no)
    if lost is None or lost.entry_version is None:
        return True
    if kept is None or kept.entry_version is None:
        return False
    return kept.said_at is None or (lost.said_at is not None and lost.said_at <= kept.said_at)


def _is_possible(restored: ConsentRecord, no: e.Event) -> bool:
    """Whether there is something to take away: an account to close, a sharing that was told."""
    if isinstance(no, e.AccountClosed):
        return restored.account is Account.OPEN
    return not isinstance(no, e.AgreementWithdrawn) or no.notice in restored.notices


def _fitting(no: e.Event, restored: ConsentRecord, entry: e.LedgerEntry) -> e.Event:
    """Let an erasure request run from its old time, under another id if the restored ledger has used its own."""
    if isinstance(no, e.RequestFiled):
        request = no.request if no.request not in restored.requests else f"replay-{entry.position}"
        return attrs.evolve(no, request=request, received_at=no.received_at or entry.at)
    return no


def _is_against(no: e.Event, said: e.Event, restored: ConsentRecord) -> bool:
    """Whether a yes of the user is denied by *no*."""
    match no:
        case e.AccountClosed() | e.RequestFiled() | e.Erased():
            return isinstance(said, (*e.YESES, e.AccountOpened))
        case e.Restricted(data):
            lifted = isinstance(said, e.RestrictionLifted) and (said.data is None or data is None or data <= said.data)
            return lifted or isinstance(said, e.Granted | e.Agreed | e.Published)
        case e.Objected(purpose):
            if isinstance(said, e.Agreed):
                return restored.notices[said.notice].purpose is purpose
            return isinstance(said, e.Granted | e.ObjectionLifted) and said.purpose is purpose
        case e.Hidden(field):
            return said == e.Published(field)
        case _:
            return no in noes_against(said)
