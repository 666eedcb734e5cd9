"""One user's answers under one lease: the guards that services call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import inf
from typing import TypeVar

from .answers import ALL_STALE, ALL_UNAVAILABLE, Answers
from .decisions import Ask, Decision, Market, Process, Share
from .policy import PUBLISHABLE
from .vocabulary import Reason

V = TypeVar("V")


class Counts:
    """How often a client's users were there, and how often its guards said no. Counted without a lock."""

    __slots__ = ("denials", "hits", "misses")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.denials: Counter[Reason] = Counter()


class Generation:
    """What users loaded in one unbroken history share: the lease clock, and until when the feed keeps them fresh."""

    __slots__ = ("clock", "counts", "fresh_until")

    def __init__(self, clock: Callable[[], float], counts: Counts, fresh_until: float = -inf) -> None:
        self.clock = clock
        self.counts = counts
        self.fresh_until = fresh_until


class UserConsent:
    """
    One user's answers, true for as long as its lease lasts. Made by a client; safe to use from several threads.

    Out of its lease, or once its client dropped it, it says `STALE` to every ask: get a new one from the client.
    A guard never raises for what the world does; for what the caller wrote wrong, every guard raises

    - `ValueError`: a word outside its vocabulary, an empty recipient, nothing to share, `MARKETING` for `can_process`;
    - `TypeError`: a value of another type, or a bare string where a set belongs.

    Attributes:
        user_id: Whose answers these are.

        version: Of the record they were made from; 0 for a user who never was, or of whom nothing is known.

        as_of: The store's wall clock (UTC) when it read the record; None if nothing is known.

        position: The ledger's, as of which they hold.
    """

    __slots__ = (
        "__weakref__", "_answers", "_generation", "_own_until", "_turns_at", "as_of", "position", "user_id", "version",
    )  # fmt: skip

    def __init__(
        self,
        user_id: str,
        *,
        version: int,
        as_of: datetime | None,
        position: int,
        answers: Answers,
        generation: Generation,
        own_until: float,
        turns_at: float,
    ) -> None:
        self.user_id = user_id
        self.version = version
        self.as_of = as_of
        self.position = position
        self._answers = answers
        self._generation = generation
        self._own_until = own_until
        self._turns_at = turns_at

    @classmethod
    def unavailable(cls, user_id: str, counts: Counts) -> UserConsent:
        """A user of whom nothing trustworthy is known: every guard says `UNAVAILABLE` (row 1)."""
        return cls(
            user_id, version=0, as_of=None, position=0, answers=ALL_UNAVAILABLE,
            generation=Generation(clock=float, counts=counts), own_until=inf, turns_at=inf,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<UserConsent version={self.version} position={self.position}>"

    def can_market(self, channel: str, data: Iterable[str] = ()) -> Decision:
        """Whether marketing may reach the user over *channel*, touching its own field and *data*: clause 4."""
        answers = self._current()
        return self._told(answers.market[channel] if data == () else answers.decide(Market(channel, data)))

    def can_share(self, recipient: str, data: Iterable[str], purpose: str) -> Decision:
        """Whether *data* may be shared with *recipient* for *purpose*: clause 5."""
        return self._told(self._current().decide(Share(recipient, data, purpose)))

    def is_public(self, field: str) -> Decision:
        """Whether *field* may be shown to everybody: clause 7."""
        return self._told(self._current().show[field])

    def can_process(self, purpose: str, data: Iterable[str] | None = None) -> Decision:
        """Whether *data* (None: any personal data; `()`: none) may be processed for *purpose*: clauses 4 and 6."""
        answers = self._current()
        return self._told(answers.process[purpose] if data is None else answers.decide(Process(purpose, data)))

    def can_retain(self, field: str) -> Decision:
        """Whether *field* may be kept: clause 6."""
        return self._told(self._current().retain[field])

    def public_view(self, fields: Mapping[str, V]) -> dict[str, V]:
        """Of *fields*, keyed by `Field` words, only what the user chose to make public; unknown keys are dropped."""
        show = self._current().show
        return {name: value for name, value in fields.items() if name in PUBLISHABLE and show[name].allowed}

    def decide(self, ask: Ask) -> Decision:
        """The answer to any ask."""
        return self._told(self._current().decide(ask))

    def is_live(self) -> bool:
        """Whether the lease lasts: a guard would say something else than `STALE`."""
        return self._current() is not ALL_STALE

    def _current(self) -> Answers:
        # protocol.md, rule 7: the shared state first, then this entry, the clock last. A change drops the entry before
        # it lets the shared state go on, so whoever read the new state cannot read the old answers after it.
        generation = self._generation
        fresh_until = generation.fresh_until
        answers = self._answers
        own_until, turns_at = self._own_until, self._turns_at
        now = generation.clock()
        if (now < own_until or now < fresh_until) and now < turns_at:
            return answers
        return ALL_UNAVAILABLE if self._answers is ALL_UNAVAILABLE else ALL_STALE

    def _told(self, decision: Decision) -> Decision:
        if not decision.allowed:
            self._generation.counts.denials[decision.reason] += 1
        return decision

    # The rest is for `Leases` alone, under its lock.

    def renew(self, fetched: UserConsent) -> bool:
        """Live on, if the same version was fetched again in the same generation and answers the same."""
        same = self.version == fetched.version and self._answers is fetched._answers
        if not same or self._generation is not fetched._generation:
            return False
        self.as_of, self.position, self._turns_at = fetched.as_of, fetched.position, fetched._turns_at
        self._own_until = max(self._own_until, fetched._own_until)
        return True

    def die(self, answers: Answers = ALL_STALE) -> None:
        """Never say yes again."""
        self._answers = answers
