"""
Every error of this library::

    ConsentError
    ├── StoreError            the call failed: the world's doing
    │   ├── StoreUnavailable    the store did not answer, or could not; nothing was written
    │   │   └── TooLarge            the question or its answer is too large: ask for fewer users
    │   ├── NotEntitled         the service's token lacks a scope; nothing was written
    │   ├── OutcomeUnknown      a write was sent and its fate is not known yet
    │   └── StoreUnusable       what is there is not a ledger this version can trust
    │       └── LedgerBroken      its chain does not verify
    │           └── HeadNotContinued  it does, but does not continue a head that was kept
    ├── HistoryChanged        a token is of another history: what rests on it begins again
    ├── InvalidEvent          the events make no sense on this record; also a ValueError
    ├── KeyReused             the idempotency key was used with other events; also a ValueError
    ├── VersionConflict       somebody wrote in between
    ├── ConsentDenied         `Decision.or_raise()` on a no
    └── ClientClosed          the client was closed before the call

What a caller wrote wrong raises `ValueError` or `TypeError`. No error carries a user id or a token; all pickle.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .decisions import Decision


WHO_GIVES_SCOPES = "who runs the consent service gives one that has it (diijam-consent token new)"


class ConsentError(Exception):
    """The base of every error this library raises for what is not a plain mistake in the call."""


class StoreError(ConsentError):
    """The store could not do what it was asked."""


class StoreUnavailable(StoreError):
    """The store did not answer in time or could not: nothing was written, trying again later is safe."""


class TooLarge(StoreUnavailable):
    """The question or its answer has too many bytes; nothing was written. Ask for fewer users, append fewer events."""


class NotEntitled(StoreError):
    """
    The token of the consent service lacks a scope, so nothing was read or written. The text says which, and who gives
    it; `.scopes` are the scopes that are missing: of a write all of them, else those of which one would do.
    """

    def __init__(self, message: str, scopes: Iterable[str]) -> None:
        super().__init__(message)
        self.scopes = tuple(scopes)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.scopes), vars(self)


class OutcomeUnknown(StoreError):
    """
    A write was sent and its outcome is not known. The client keeps the user denied and repeats the write in the
    background until it is; to ask yourself, call `record` again with the same events and `idempotency_key`. Of the
    registration of a notice or a holder, the key is empty and nothing is repeated: make the same call again.
    """

    def __init__(self, message: str, idempotency_key: str) -> None:
        super().__init__(message)  # without the key, which may name somebody: it belongs in no log
        self.idempotency_key = idempotency_key

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.idempotency_key), vars(self)


class StoreUnusable(StoreError):
    """What the store holds is corrupt, foreign, or written by a newer version of this library."""


class LedgerBroken(StoreUnusable):
    """The ledger does not verify; `.position` is that of the first bad entry."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(position, why)
        self.position = position
        self.why = why

    def __str__(self) -> str:
        return f"the ledger is broken at position {self.position}: {self.why}"


class HeadNotContinued(LedgerBroken):
    """
    The ledger does not continue a head that was kept: it was cut short, replaced by an older copy, or forged.
    `.position` is that of the kept head, or of the first entry that is missing before it.
    """

    def __str__(self) -> str:
        return f"the ledger does not continue the kept head, at position {self.position}: {self.why}"


class HistoryChanged(ConsentError):
    """
    A token is not of the store's history: an older copy was restored, or it is another ledger. Empty what you keep, and
    begin again with `after=None`. Nothing was skipped in silence.
    """


class InvalidEvent(ConsentError, ValueError):
    """An event that the policy refuses on this record. Nothing of its batch was written."""


class KeyReused(ConsentError, ValueError):
    """
    The user's `idempotency_key` was used with other events, and these do not only take away. Nothing was written: make
    a new random key for each write, and use it again only to repeat that write.
    """


class VersionConflict(ConsentError):
    """
    The record is not at `expected_version` (any more): load it again, then decide what to write. `.actual` is its
    version; None if the service's token may not read records.
    """

    def __init__(self, expected: int, actual: int | None) -> None:
        super().__init__(expected, actual)
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        at = "another" if self.actual is None else self.actual
        return f"expected version {self.expected}, the record is at {at}: load it again, then retry"


class ConsentDenied(ConsentError):
    """The customer's data may not be used so; `.decision` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision)
        self.decision = decision

    def __str__(self) -> str:
        return f"{self.decision.reason} (clause {self.decision.clause}): {self.decision.message('en')}"


class ClientClosed(ConsentError):
    """The client is closed: make a new one."""
