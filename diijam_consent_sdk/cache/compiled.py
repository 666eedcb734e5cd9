"""
Compiled answers: what one set of choices answers, with no id and no time in it, shared by all users who chose the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import attrs

from ..decisions import STALE, UNAVAILABLE, Ask, Decision, Market, Process, Retain, Show, check_ask, decide
from ..record import ConsentRecord, Hold, Permission
from ..vocabulary import Channel, Field, Purpose, Reason, Word
from .counters import DecisionCounter

MAX_REMEMBERED = 256  # other asks than the plain ones, by one set of choices

_SOME_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)  # the one instant in a frozen record
_FROZEN: dict[Reason, dict[str, Any]] = {
    reason: {"given_at": given, "expires_at": ends, "withdrawn_at": withdrawn}
    for reason, given, ends, withdrawn in (
        (Reason.CONSENTED, _SOME_INSTANT, None, None),
        (Reason.AGREED, _SOME_INSTANT, None, None),
        (Reason.EXPIRED, _SOME_INSTANT, _SOME_INSTANT, None),
        (Reason.WITHDRAWN, None, None, _SOME_INSTANT),
        (Reason.NOT_CONSENTED, None, None, None),
        (Reason.NOT_AGREED, None, None, None),
    )
}

# What no answer depends on, of a request that is open.
_UNTIMED: dict[str, Any] = {
    **dict.fromkeys(("filed_at", "received_at", "reply_due_at", "due_at"), _SOME_INSTANT),
    **dict.fromkeys(("replied_at", "extension_reason")),
    "request": "",
    "processor": False,
}

P = TypeVar("P", bound=Permission)


class _DecisionTable(dict[str, DecisionCounter]):
    """The decisions with their counts, by word, each made when first asked for; a plain word finds its member's."""

    def __init__(self, vocabulary: type[Word], count_of: Callable[[str], DecisionCounter]) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._count_of = count_of

    def __missing__(self, key: str) -> DecisionCounter:
        word = self._vocabulary(key)
        count = self[word] = self._count_of(word)
        return count


class Answers:
    """
    Every answer of one frozen record. Immutable to its readers: what is remembered never changes a later answer.
    """

    __slots__ = ("__weakref__", "_decide", "_remembered", "market", "process", "retain", "show")

    def __init__(self, decide_ask: Callable[[Ask], Decision], by_decision: Mapping[Decision, DecisionCounter]) -> None:
        self._decide = decide_ask
        self._remembered: dict[Ask, Decision] = {}
        self.market = _DecisionTable(Channel, lambda channel: by_decision[decide_ask(Market(channel))])
        self.process = _DecisionTable(Purpose, lambda purpose: by_decision[decide_ask(Process(purpose))])
        self.show = _DecisionTable(Field, lambda field: by_decision[decide_ask(Show(field))])
        self.retain = _DecisionTable(Field, lambda field: by_decision[decide_ask(Retain(field))])

    def decide(self, ask: Ask) -> Decision:
        """
        The answer to any ask.

        Raises:
            TypeError: *ask* is not an ask.
        """
        check_ask(ask)
        decision = self._remembered.get(ask)
        if decision is None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered = {}
            decision = self._remembered[ask] = self._decide(ask)
        return decision


def constant_answers(decision: Decision) -> Answers:
    """Answers that say the same to every well-formed ask, for whatever client: what they count is nobody's."""
    return Answers(lambda _: decision, {decision: DecisionCounter(decision)})


ALL_STALE = constant_answers(STALE)
ALL_UNAVAILABLE = constant_answers(UNAVAILABLE)
NO_ANSWERS = (ALL_STALE, ALL_UNAVAILABLE)


class AnswerPool:
    """The answers in use, one object for each set of choices. Not thread-safe: its user holds a lock."""

    def __init__(self, by_decision: Mapping[Decision, DecisionCounter]) -> None:
        self._by_decision = by_decision
        self._known: WeakValueDictionary[tuple[Any, ...], Answers] = WeakValueDictionary()

    def compile(self, record: ConsentRecord, at: datetime) -> Answers:
        """The answers of *record* at an instant, valid until `record.next_change_at(at)`."""
        choices = answers_key(record, at)
        answers = self._known.get(choices)
        if answers is None:
            frozen = freeze_at(record, at)
            answers = self._known[choices] = Answers(lambda ask: decide(frozen, ask, _SOME_INSTANT), self._by_decision)
        return answers


def answers_key(record: ConsentRecord, at: datetime) -> tuple[Any, ...]:
    """What `freeze_at` keeps of a record at an instant: two that have it in common answer alike."""
    return (
        record.account, record.all_restricted, record.restricted, record.objected, record.published,
        *[(key, consent.standing(at)) for key, consent in record.consents.items()],
        *[(n.recipient, n.purpose, n.data, n.standing(at)) for n in record.notices.values()],
        *[(hold.kind, hold.data) for hold in record.live_holds(at)],
        *[request.kind for request in record.open_requests()],
    )  # fmt: skip


def freeze_at(record: ConsentRecord, at: datetime) -> ConsentRecord:
    """The record that answers at any time what *record* answers at *at*."""
    notices = {_frozen(notice, at, notice="", told_at=_SOME_INSTANT) for notice in record.notices.values()}
    holds = {
        Hold(hold="", kind=hold.kind, data=hold.data, placed_at=_SOME_INSTANT, until=None, released_at=None)
        for hold in record.live_holds(at)
    }
    requests = {attrs.evolve(request, **_UNTIMED) for request in record.open_requests()}
    return attrs.evolve(
        record,
        user_id="", version=0, account_changed_at=None, origin=None, anonymised=False,
        consents={key: _frozen(consent, at, notice=None) for key, consent in record.consents.items()},
        notices={str(number): notice for number, notice in enumerate(notices)},
        holds={str(number): hold for number, hold in enumerate(holds)},
        requests={str(number): request for number, request in enumerate(requests)},
    )  # fmt: skip


def _frozen(permission: P, at: datetime, **anonymous: Any) -> P:
    return attrs.evolve(permission, **_FROZEN[permission.standing(at)], **anonymous)
