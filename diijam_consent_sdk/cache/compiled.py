"""
Compiled answers: the decisions that follow from one standing, without an id and without a time.

All users with the same choices share them, so that a user costs little memory and a guard by word is one lookup.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias
from weakref import WeakValueDictionary

import attrs

from ..decisions import STALE, UNAVAILABLE, Ask, Decision, Market, Process, Retain, Share, Show, check_ask, decide
from ..standing import PermissionState, Standing, View
from ..stores.standings import decode_standing
from ..stores.wire import Malformed
from ..vocabulary import Channel, Field, Purpose, Word
from .bounded import remember
from .counters import DecisionCounter

MAX_REMEMBERED = 512  # keys of asks beside those of one word, for each set of choices: two for most asks

MAX_COMPILED = 2_048  # standings whose answers are found by their bytes
MAX_COMPILED_BYTES = 1_024  # of such a standing; with all of 3,000 bytes, which few users share, they took 60 MiB

_NOTHING: dict[Hashable, DecisionCounter] = {}  # stays empty
_COLLECTIONS = frozenset({frozenset, list, set, tuple})

_SOME_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)  # stands for every instant in a standing without ends


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
    Every answer of one standing that never ends. Thread-safe: the same ask has the same answer, whether it is
    remembered or not.

    Args:
        decide_ask: Decides an ask on the standing.

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
        remember(self._remembered, key, counter, MAX_REMEMBERED)


class DecisionsOn(dict[Answers, Decision]):
    """The decisions on one ask by answers, which many users of a batch share: each is made when it is first needed."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, answers: Answers) -> Decision:
        decision = self[answers] = answers.decide(self._ask)
        return decision


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


Compiled: TypeAlias = tuple[Answers, datetime | None]


def constant_answers(decision: Decision) -> Answers:
    """Return answers that decide every well-formed ask alike, for any client: their counter belongs to none."""
    return Answers(lambda _: decision, {decision: DecisionCounter(decision)})


ALL_STALE = constant_answers(STALE)
ALL_UNAVAILABLE = constant_answers(UNAVAILABLE)
NO_ANSWERS = (ALL_STALE, ALL_UNAVAILABLE)


class AnswerPool:
    """
    The answers in use, one object for each standing without its ends, and view. Not thread-safe: `Leases` holds a lock.

    Without its ends, since users whose consents each end at another instant would otherwise share nothing.
    """

    def __init__(self, by_decision: Mapping[Decision, DecisionCounter]) -> None:
        self._by_decision = by_decision
        self._in_use: WeakValueDictionary[tuple[Hashable, ...], Answers] = WeakValueDictionary()
        self._compiled: dict[tuple[bytes, View], Compiled] = {}  # what was seen before is not decoded again

    def compile(self, standing: bytes, view: View, at: datetime) -> Compiled:
        """
        Return the answers of a standing, and the first instant at which time alone changes them (None: never).

        Raises:
            Malformed: the bytes are no standing, or one with an end at or before *at*, when it was read.
        """
        key = standing, view
        compiled = self._compiled.get(key)
        if compiled is None:
            decoded = decode_standing(standing, view)
            compiled = self._answers_of(decoded), decoded.next_change_at
            if len(standing) <= MAX_COMPILED_BYTES:
                remember(self._compiled, key, compiled, MAX_COMPILED)
        ends_at = compiled[1]
        if ends_at is not None and ends_at <= at:
            raise Malformed("not a standing of that instant: it holds an end that is over")
        return compiled

    def _answers_of(self, standing: Standing) -> Answers:
        key = answers_key(standing)
        answers = self._in_use.get(key)
        if answers is None:
            endless = without_ends(standing)
            answers = self._in_use[key] = Answers(lambda ask: decide(endless, ask, _SOME_INSTANT), self._by_decision)
        return answers


def answers_key(standing: Standing) -> tuple[Hashable, ...]:
    """Return what `without_ends` keeps of a standing: those with the same key answer alike while nothing ends."""
    return (
        standing.account, standing.erasing, standing.all_restricted, standing.restricted, standing.objected,
        standing.published, standing.requests, standing.view,
        *[part for key, state in standing.consents.items() for part in (key, state.reason)],
        frozenset((each.recipient, each.purpose, each.data, each.state.reason) for each in standing.sharings),
        frozenset((hold.kind, hold.data) for hold in standing.holds),
    )  # fmt: skip


def without_ends(standing: Standing) -> Standing:
    """Return the standing that answers at any time what *standing* answers until the first of its ends."""
    return attrs.evolve(
        standing,
        consents={key: PermissionState(state.reason) for key, state in standing.consents.items()},
        sharings=frozenset(attrs.evolve(each, state=PermissionState(each.state.reason)) for each in standing.sharings),
        holds=frozenset(attrs.evolve(hold, until=None) for hold in standing.holds),
    )
