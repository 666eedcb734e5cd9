"""The client for threads: guards by user id, and operations that run the engine in the caller's thread."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Self

from ..cache.compiled import ALL_STALE, DecisionsOn
from ..cache.entries import NOBODY
from ..cache.user import UserConsent
from ..decisions import STALE, Ask, Decision, check_ask, check_entitled
from ..due import Due
from ..events import Event, Provenance
from ..record import ConsentRecord
from ..stores.answers import Appended
from ..stores.url import open_store
from .audit import Audit
from .batching import Malformed
from .guards_by_id import GuardsById
from .iterators import LoudIterator
from .ledger import Ledger
from .lookups import UserBatch
from .registry import Registry
from .runners import ThreadRunner


class ConsentClient(GuardsById, Audit, Ledger, Registry):
    """
    Answers whether a customer's data may be used, before a service uses it. Safe to use from several threads, and after
    a fork. A signal handler may raise during any call; the handler itself may call `close` and nothing else.

    Answers come from memory, each under a lease: once the store accepted a customer's no, every process denies within
    *max_staleness* seconds, whatever fails. Nothing runs before the first call of a guard; from then on a daemon thread
    polls the store's changes.

    Args:
        store: Where the ledger is kept. `from_url` makes one.

        max_staleness: The bound on a stale yes, in seconds; at least 1.

        capacity: How many users are kept in memory.

        deadline: How long an operation may wait for the store, in seconds. After it a guard denies with `UNAVAILABLE`.

        follow: Whether to poll the store's changes. Without them each user is loaded again every *max_staleness*.

        clock: The lease clock, in seconds. It must run at the true rate, also while the machine is suspended.

        actor: The writer that the entries of this client name, if its store is not behind a consent service: there it
            is the name of the token.

    Raises:
        ValueError: an option is out of range, or *actor* is no id.

        TypeError: *store* is no store, or an option has another type.
    """

    _runner_type = ThreadRunner
    _takes_async_stores = False
    _open_store = staticmethod(open_store)
    _runner: ThreadRunner

    def user(self, user_id: str, at_least: str | None = None) -> UserConsent:
        """
        Give one user's answers, under one lease. If the store is unreachable, the guards deny with `UNAVAILABLE`.

        Args:
            user_id: 1 to 256 visible characters in Unicode form NFC, no white space at either end (`is_user_id`).

            at_least: `Appended.token` of a write, here or in another process, that the answers must include.

        Raises:
            ValueError: the id or the token is malformed.

            TypeError: one of them is not a string.
        """
        user = self._cached.get(user_id, NOBODY)
        generation = user._generation  # noqa: SLF001
        now = generation.clock()
        # This look at the feed's lease saves a call. The guard that follows checks all of rule 7.
        is_covered = now < generation.fresh_until and now < user._ends_at  # noqa: SLF001
        if at_least is None and (is_covered or user.answers() is not ALL_STALE):
            self._counters.found += 1
            return user
        return self._runner.run(self._engine.user(user_id, at_least))

    def users(self, user_ids: Iterable[str], malformed: Malformed = "raise") -> Iterator[UserConsent]:
        """
        Give the users in order, loaded in batches as the iteration goes on: a few thousand ids are read ahead.

        Args:
            user_ids: The ids. `is_user_id` checks one.

            malformed: `"raise"` at a malformed id, once the users before it were handed out; `"skip"` the id; or a
                callable, which gets the place (from 0) of each id that is left out.

        Raises:
            ValueError: an id is malformed, and the message gives its place; or *malformed* is something else.

            TypeError: *user_ids* is a bare string, or holds something else than strings; the message gives the place.
        """
        batches = self._engine.batches(user_ids, malformed)
        users = (user for batch in batches for user in self._runner.run(self._engine.users(batch)))
        return LoudIterator(user if user.is_live() else self.user(user.user_id) for user in users)

    def permitted(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> Iterator[str]:
        """
        Give the ids that may, in order, each decided at the moment it is handed out.

        Users that could not be loaded are left out too; `users` gives them with `UNAVAILABLE`.

        Raises:
            NotEntitled: the service's token is not for such asks.

            ValueError, TypeError: as for `users`, and `TypeError` if *ask* is not an ask.
        """
        check_ask(ask)
        return LoudIterator(self._permitted(self._engine.batches(user_ids, malformed), ask))

    def permitted_mask(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed = "raise") -> bytearray:
        """
        Decide for frames and arrays: for each id in order 1 if it may, else 0. All answers hold when it returns.

        A user that this process writes meanwhile has 0, and so has a malformed id that is left out.

        Raises:
            StoreUnavailable: some users could not be loaded, or not in time.

            StoreUnusable: the store's answer cannot be trusted.

            NotEntitled: the service's token is not for such asks.

            ClientClosed: the client is closed.

            ValueError, TypeError: as for `permitted`.
        """
        check_ask(ask)
        return self._runner.run(self._engine.mask(user_ids, ask, malformed))

    def _partial_mask(self, user_ids: Iterable[str], ask: Ask, malformed: Malformed) -> bytearray:
        """`permitted_mask` with `masks.UNKNOWN` for users that could not be loaded, in place of `StoreUnavailable`."""
        return self._runner.run(self._engine.mask(user_ids, ask, malformed, partly=True))

    def record(
        self,
        user_id: str,
        *events: Event,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: Provenance | None = None,
    ) -> Appended:
        """
        Append events, all or none. They are durable when it returns.

        This process denies the user from before the write is sent until its outcome is definite. Another process passes
        `.token` of the answer to `user(..., at_least=token)` to see the write at once.

        *provenance* says how the customer said it, and holds for all events. Its `by` is replaced: by the client's
        *actor*, and over HTTP by the name of the token.

        Pass *idempotency_key* to make a repetition safe: the same key and events again write nothing, and the answer
        says `is_repeat`. Make a new random one for each act of the customer (`uuid.uuid4().hex`): of the same no, said
        twice under one key, only the first is written. Unless given, each call has its own.

        Raises:
            InvalidEvent: the policy refuses one of the events; nothing was written.

            VersionConflict: the record is not at *expected_version*; nothing was written.

            StoreUnavailable, StoreUnusable: nothing was written.

            NotEntitled: the service's token lacks the scope of one of the events; nothing was written.

            OutcomeUnknown: it may have been written. The client repeats the write until the outcome is definite, but no
                yes for which a later no of the user holds.

            ClientClosed: the client was closed before.

            KeyReused: the key was used with other events; nothing was written. Events that only take away
                (`events.takes_away`) are written under any key: policy, "Events".

            ValueError: there are no events, or an id is malformed.

            TypeError: an argument has another type.
        """
        recording = self._engine.record(user_id, events, expected_version, idempotency_key, provenance)
        return self._runner.run(recording)

    def load(self, user_id: str) -> ConsentRecord:
        """
        Load the whole record from the store.

        Raises:
            StoreUnavailable: the store did not answer within the deadline.

            StoreUnusable: its answer cannot be trusted.

            NotEntitled: the service's token lacks the scope `read`.

            ClientClosed: the client is closed.

            ValueError, TypeError: the id is malformed.
        """
        return self._runner.run(self._engine.reads.load(user_id)).records[0]

    def due(self) -> Due:
        """
        Read the work list: open requests by due time, and pending erasures that may be done now or are on hold.

        Each page is read from the store; errors as for `load`.
        """
        return self._runner.run(self._engine.reads.due())

    def close(self) -> None:
        """Deny everything from now on, and close the store if `from_url` made it. Closing twice does nothing."""
        if not self._is_closed:
            try:
                self._runner.run(self._engine.close())
            finally:
                self._runner.stop()
                if self._owns_store:
                    self._store.close()
            self._finish_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _permitted(self, batches: Iterator[UserBatch], ask: Ask) -> Generator[str, None, None]:
        for batch in batches:
            decisions = DecisionsOn(ask)  # of this batch alone: all batches may have any number of different answers
            for user in self._runner.run(self._engine.users(batch)):
                decision = decisions[user.answers()]
                if decision.allowed or self._is_permitted_after(decision, user, ask):
                    yield user.user_id

    def _is_permitted_after(self, denial: Decision, user: UserConsent, ask: Ask) -> bool:
        """Count a denial. One that is `STALE`, as after a long pause of the iteration, is asked for again."""
        if denial is STALE:
            return check_entitled(self.user(user.user_id).decide(ask), ask).allowed
        self._counters.by_decision[denial].denied += 1
        return check_entitled(denial, ask).allowed
