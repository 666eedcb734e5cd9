"""One user's answers under one lease: the guards that services call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

import msgspec

from ..decisions import NO_DATA, Ask, Decision, Market, Process, Share
from ..policy import PUBLISHABLE
from ..stores.answers import Cursor
from .compiled import ALL_STALE, ALL_UNAVAILABLE, Answers
from .counters import Counters
from .generation import Basis, Generation
from .guard import guard

K = TypeVar("K", bound=str)
V = TypeVar("V")

NO_HEAD = Cursor("", 0, "")  # the head of a user that was not loaded

# mypy alone takes this name for true. It reports `if user:` where it finds no `__bool__` (with `truthy-bool`), pyright
# where it finds one that gives no answer.
MYPY = False


# A Struct with `gc=False` for its cost: many are made in little time, and the garbage collector would visit all of them
# again and again. Nothing that they refer to refers to them, so they are part of no cycle.
class UserConsent(msgspec.Struct, eq=False, gc=False, kw_only=True):
    """
    One user's answers, true for as long as its lease lasts. Made by a client; safe to use from several threads.

    Out of its lease, or once its client dropped it, it answers `STALE` to every ask. Get a new one from the client.
    Guards never raise on outages. For mistakes in the calling code every guard raises

    - `ValueError`: a word outside its vocabulary, an empty recipient, nothing to share, `MARKETING` for `can_process`;
    - `TypeError`: a value of another type, or a bare string where a set belongs.

    A guard that is not called (`if user.can_market:`) has no truth either: `TypeError`.

    Attributes:
        user_id: The user that the answers are about.

        version: Of the record they were made from; 0 for a user without entries, or about which nothing is known.
    """

    user_id: str
    version: int
    # What a guard reads lies together in one line of the processor's cache, if need be in two: msgspec puts the fields
    # with an underscore first, in the order of their names.
    _answers: Answers
    _generation: Generation
    _asked: bool | None = None  # whether a guard asked since `clear_referenced`; None until `__post_init__`
    _basis: Basis
    _ends_at: float

    @classmethod
    def unavailable(cls, user_id: str, counters: Counters) -> UserConsent:
        """Make a user about which nothing trustworthy is known. Every guard answers `UNAVAILABLE` (row 1)."""
        return cls(
            user_id=user_id, version=0, _answers=ALL_UNAVAILABLE, _basis=Basis(NO_HEAD, None, inf),
            _generation=Generation(clock=float, counters=counters), _ends_at=inf,
        )  # fmt: skip

    @classmethod
    def stale(cls) -> UserConsent:
        """Make a user without a lease, which stands for all who have none."""
        return cls(
            user_id="", version=0, _answers=ALL_STALE, _basis=Basis(NO_HEAD, None, -inf),
            _generation=Generation(clock=float, counters=Counters()), _ends_at=-inf,
        )  # fmt: skip

    @property
    def position(self) -> int:
        """Position of the ledger as of which the answers hold."""
        return self._basis.head.position

    @property
    def as_of(self) -> datetime | None:
        """The store's wall clock (UTC) when it read the record; None if nothing is known."""
        return self._basis.as_of

    @property
    def _self(self) -> Self:
        """The user, for guards: their `self` may be a `BoundGuard`, which has the user under the same name."""
        return self

    if not TYPE_CHECKING:
        __rich_repr__ = None  # a Struct's own would show every field, the user id among them

    if not MYPY:

        def __bool__(self) -> NoReturn:
            raise TypeError("a UserConsent is no answer: call one of its guards, such as can_market(channel)")

    def __copy__(self) -> Self:
        return self  # a copy would be one that no withdrawal reaches

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a UserConsent stays in its client: pass the user id on, and ask there")

    def __post_init__(self) -> None:  # a copy that msgspec makes comes by here too
        if self._asked is not None:
            raise TypeError("a UserConsent is what its client made it: get a new one there")
        self._asked = False

    def __repr__(self) -> str:
        return f"<UserConsent version={self.version} position={self.position}>"

    @guard
    def can_market(self, channel: str, data: Iterable[str] = NO_DATA) -> Decision:
        """Decide whether marketing may reach the user over *channel*, using its own field and *data*: clause 4."""
        user: UserConsent = self._self
        if data is NO_DATA:
            counter = user.answers().market[channel]
        elif (found := user.answers().find(Market, channel, data)) is not None:
            counter = found
        else:
            return user._decide(Market(channel, data))
        return counter.decision if counter.allowed else user._denied(counter.decision)

    @guard
    def can_share(self, recipient: str, data: Iterable[str], purpose: str) -> Decision:
        """Decide whether *data* may be shared with *recipient* for *purpose*: clause 5."""
        user: UserConsent = self._self
        if (counter := user.answers().find(Share, purpose, data, recipient)) is None:
            return user._decide(Share(recipient, data, purpose))
        return counter.decision if counter.allowed else user._denied(counter.decision)

    @guard
    def is_public(self, field: str) -> Decision:
        """Decide whether *field* may be shown to everybody: clause 7."""
        user: UserConsent = self._self
        counter = user.answers().show[field]
        return counter.decision if counter.allowed else user._denied(counter.decision)

    @guard
    def can_process(self, purpose: str, data: Iterable[str] | None = None) -> Decision:
        """Decide whether *data* (None: any personal data; `()`: none) may be processed for *purpose*: clauses 4, 6."""
        user: UserConsent = self._self
        if data is None:
            counter = user.answers().process[purpose]
        elif (found := user.answers().find(Process, purpose, data)) is not None:
            counter = found
        else:
            return user._decide(Process(purpose, data))
        return counter.decision if counter.allowed else user._denied(counter.decision)

    @guard
    def can_retain(self, field: str) -> Decision:
        """Decide whether *field* may be kept: clause 6."""
        user: UserConsent = self._self
        counter = user.answers().retain[field]
        return counter.decision if counter.allowed else user._denied(counter.decision)

    @guard
    def public_view(self, fields: Mapping[K, V]) -> dict[K, V]:
        """Keep of *fields*, keyed by `Field` or its word, what the user made public; drop unknown keys: clause 7."""
        if not isinstance(fields, Mapping):
            raise TypeError(f"public_view takes a mapping of fields to values, not {type(fields).__name__}")
        show = self._self.answers().show
        return {name: value for name, value in fields.items() if name in PUBLISHABLE and show[name].allowed}

    @guard
    def decide(self, ask: Ask) -> Decision:
        """Decide any ask, as the guard of its kind does."""
        user: UserConsent = self._self
        return user._decide(ask)

    def is_live(self) -> bool:
        """Whether the lease lasts, so that guards answer something else than `STALE`."""
        return self.answers() is not ALL_STALE

    # The rest is the library's own: for the guards here and in the client, below for `Leases` under its lock.

    def answers(self) -> Answers:
        """Return the answers that hold now; those of `STALE` or `UNAVAILABLE` if the lease is over."""
        # protocol.md, rule 7: the shared state first, then this entry, the clock last. A change drops the entry before
        # it lets the shared state go on, so a reader of the new state cannot read the old answers after it.
        generation = self._generation
        fresh_until, clock = generation.fresh_until, generation.clock
        answers, valid_until = self._answers, self._ends_at
        now = clock()
        # A load may have moved the user to another generation meanwhile, and `fresh_until` is that of the old one.
        # The user's own lease may be read after the clock, since `renew` extends it only for unchanged answers.
        if now < valid_until and (
            (now < fresh_until and self._generation is generation) or now < self._basis.own_until
        ):
            if not self._asked:  # a look is cheaper than a write to memory that was not in the processor's cache
                self._asked = True
            return answers
        return ALL_UNAVAILABLE if self._answers is ALL_UNAVAILABLE else ALL_STALE

    def head(self) -> Cursor:
        """Return the head of the store at which the user was loaded."""
        return self._basis.head

    def compiled(self) -> tuple[Answers, float]:
        """Return the answers whatever the lease, and when time alone changes them (infinity: never)."""
        return self._answers, self._ends_at

    def _decide(self, ask: Ask) -> Decision:
        decision = self.answers().decide(ask)
        return decision if decision.allowed else self._denied(decision)

    def _denied(self, decision: Decision) -> Decision:
        self._generation.counters.by_decision[decision].denied += 1
        return decision

    def renew(self, fetched: UserConsent) -> bool:
        """Extend the lease if *fetched* has the same version and answers. Return whether it was extended."""
        if self.version != fetched.version or self._answers is not fetched._answers:
            return False
        self._ends_at = fetched._ends_at
        self._basis = fetched._basis.no_shorter_than(self._basis)
        self._generation.waiting.discard(self.user_id)
        self._generation = fetched._generation
        return True

    def is_in(self, generation: Generation) -> bool:
        """Whether the user belongs to this generation."""
        return self._generation is generation

    def promote(self, waited_in: Generation, covering: Generation) -> None:
        """Move from *waited_in* to *covering*, which the feed keeps fresh, unless a later load moved the user."""
        if self._generation is waited_in:
            self._generation = covering

    def clear_referenced(self) -> bool:
        """Return whether a guard asked the user since the last call of this method."""
        marked, self._asked = self._asked, False
        return bool(marked)

    def invalidate(self, answers: Answers = ALL_STALE) -> None:
        """Answer nothing but *answers* from now on."""
        self._ends_at = -inf  # first: if this is interrupted after it, the client loads the user again
        self._answers = answers
        self._generation.waiting.discard(self.user_id)
