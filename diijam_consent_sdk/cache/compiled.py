"""
Compiled answers: the decisions that follow from one set of choices, without an id and without a time.

All users with the same choices share them, so that a user costs little memory and a guard by word is one lookup.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import attrs

from ..decisions import STALE, UNAVAILABLE, Ask, Decision, Market, Process, Retain, Share, Show, check_ask, decide
from ..record import ConsentRecord, Hold, Permission
from ..vocabulary import Channel, Field, Purpose, Reason, Word
from .counters import DecisionCounter

MAX_REMEMBERED = 512  # keys of asks beside those of one word, for each set of choices: two for most asks

_NOTHING: dict[Hashable, DecisionCounter] = {}  # stays empty
_COLLECTIONS = frozenset({frozenset, list, set, tuple})

_SOME_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)  # stands for every instant in a frozen record
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

_NOT_SAID = {"entry_version": None, "said_at": None}

# What no answer depends on, of a request that is open.
_UNTIMED: dict[str, Any] = {
    **dict.fromkeys(("filed_at", "received_at", "reply_due_at", "due_at"), _SOME_INSTANT),
    **dict.fromkeys(("replied_at", "extension_reason")),
    "request": "",
    "processor": False,
}

P = TypeVar("P", bound=Permission)


class _DecisionTable(dict[str, DecisionCounter]):
    """Decisions by word of a vocabulary, each made when it is first needed. A plain string finds its member's."""

    def __init__(self, vocabulary: type[Word], decide_word: Callable[[str], DecisionCounter]) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._decide_word = decide_word

    def __missing__(self, key: str) -> DecisionCounter:
        word = self._vocabulary(key)
        counter = self[word] = self._decide_word(word)
        return counter


class Answers:
    """
    Every answer of one frozen record. Thread-safe: the same ask has the same answer, whether it is remembered or not.

    Args:
        decide_ask: Decides an ask on the record.

        by_decision: The counters of the client by decision.
    """

    __slots__ = ("__weakref__", "_by_decision", "_decide", "_remembered", "market", "process", "retain", "show")

    def __init__(self, decide_ask: Callable[[Ask], Decision], by_decision: Mapping[Decision, DecisionCounter]) -> None:
        self._decide = decide_ask
        self._by_decision = by_decision
        self._remembered = _NOTHING  # until needed: most users are asked plain words
        self.market = _DecisionTable(Channel, lambda channel: by_decision[decide_ask(Market(channel))])
        self.process = _DecisionTable(Purpose, lambda purpose: by_decision[decide_ask(Process(purpose))])
        self.show = _DecisionTable(Field, lambda field: by_decision[decide_ask(Show(field))])
        self.retain = _DecisionTable(Field, lambda field: by_decision[decide_ask(Retain(field))])

    def find(self, kind: type[Ask], word: str, data: Iterable[str], recipient: str = "") -> DecisionCounter | None:
        """
        Look up an ask by what it would be built from, which costs a fifth of building it. Raises nothing.

        None: build the ask, which raises for wrong words, and `decide` it. Only what was decided before is found, and
        only by plain collections: what else may be iterable may give other words each time.
        """
        if type(data) in _COLLECTIONS and type(recipient) is str:  # a subclass may compare in another way
            try:
                return self._remembered.get((kind, word, frozenset(data), recipient))
            except TypeError:  # what is not hashable is no word
                return None
        return None

    def decide(self, ask: Ask) -> Decision:
        """
        Answer any ask.

        Raises:
            TypeError: *ask* is not an ask.
        """
        check_ask(ask)
        try:
            return self._remembered[ask].decision
        except KeyError:
            pass
        decision = self._decide(ask)
        counter = self._by_decision[decision]
        self._remember(ask, counter)
        if (words := _words(ask)) is not None:
            self._remember(words, counter)
        return decision

    def _remember(self, key: Hashable, counter: DecisionCounter) -> None:
        if self._remembered is _NOTHING:
            self._remembered = {}
        remembered = self._remembered
        with suppress(KeyError, RuntimeError, StopIteration):  # another thread evicts as well
            while len(remembered) >= MAX_REMEMBERED:
                del remembered[next(iter(remembered))]
        remembered[key] = counter


def _words(ask: Ask) -> tuple[Hashable, ...] | None:
    """Return what `Answers.find` looks an ask up by."""
    match ask:
        case Market(channel, data):
            return Market, channel, data, ""
        case Process(purpose, data) if data is not None:
            return Process, purpose, data, ""
        case Share(recipient, data, purpose):
            return Share, purpose, data, recipient
        case _:
            return None


def constant_answers(decision: Decision) -> Answers:
    """Return answers that decide every well-formed ask alike, for any client: their counter belongs to none."""
    return Answers(lambda _: decision, {decision: DecisionCounter(decision)})


ALL_STALE = constant_answers(STALE)
ALL_UNAVAILABLE = constant_answers(UNAVAILABLE)
NO_ANSWERS = (ALL_STALE, ALL_UNAVAILABLE)


class AnswerPool:
    """The answers in use, one object for each set of choices. Not thread-safe: `Leases` holds a lock."""

    def __init__(self, by_decision: Mapping[Decision, DecisionCounter]) -> None:
        self._by_decision = by_decision
        self._in_use: WeakValueDictionary[tuple[Any, ...], Answers] = WeakValueDictionary()

    def compile(self, record: ConsentRecord, at: datetime) -> Answers:
        """Return the answers of a record at an instant, valid until `record.next_change_at(at)`."""
        key = answers_key(record, at)
        answers = self._in_use.get(key)
        if answers is None:
            frozen = freeze_at(record, at)
            answers = self._in_use[key] = Answers(lambda ask: decide(frozen, ask, _SOME_INSTANT), self._by_decision)
        return answers


def answers_key(record: ConsentRecord, at: datetime) -> tuple[Any, ...]:
    """Return what `freeze_at` keeps of a record: records with the same key answer alike."""
    choices = (
        record.account, record.all_restricted, record.restricted, record.objected, record.published,
        *[(key, consent.reason_at(at)) for key, consent in record.consents.items()],
    )  # fmt: skip
    if not (record.notices or record.holds or record.requests):  # as of most users
        return choices
    return (
        *choices,
        *[(n.recipient, n.purpose, n.data, n.reason_at(at)) for n in record.notices.values()],
        *[(hold.kind, hold.data) for hold in record.live_holds(at)],
        *[request.kind for request in record.open_requests()],
    )  # fmt: skip


def freeze_at(record: ConsentRecord, at: datetime) -> ConsentRecord:
    """Return the record, of nobody, that answers at any time what *record* answers at *at*."""
    notices = {_frozen(notice, at, notice="", told_at=_SOME_INSTANT) for notice in record.notices.values()}
    holds = {
        Hold(hold="", kind=hold.kind, data=hold.data, placed_at=_SOME_INSTANT, until=None, released_at=None)
        for hold in record.live_holds(at)
    }
    requests = {attrs.evolve(request, **_UNTIMED) for request in record.open_requests()}
    return attrs.evolve(
        record,
        user_id="", version=0, account_changed_at=None, origin=None, anonymised=False, publications={},
        consents={key: _frozen(consent, at, notice=None) for key, consent in record.consents.items()},
        notices={str(number): notice for number, notice in enumerate(notices)},
        holds={str(number): hold for number, hold in enumerate(holds)},
        requests={str(number): request for number, request in enumerate(requests)},
    )  # fmt: skip


def _frozen(permission: P, at: datetime, **anonymous: Any) -> P:
    return attrs.evolve(permission, **_FROZEN[permission.reason_at(at)], **_NOT_SAID, **anonymous)
