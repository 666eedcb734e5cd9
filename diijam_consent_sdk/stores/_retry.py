"""Trying again, within a call's deadline: what failed, whether it may be repeated, and how long to wait before."""

from __future__ import annotations

import random
import time

from ..errors import InvalidEvent, OutcomeUnknown, StoreUnavailable, VersionConflict

FIRST_PAUSE_SECONDS = 0.05  # at most; doubled with each attempt
MAX_PAUSE_SECONDS = 1.0  # between two tries, whatever the other side asks for


def backoff(attempt: int, *, longest: float, least: float = 0.0) -> float:
    """
    Choose the pause after a failed attempt: exponential backoff with full jitter.

    Args:
        attempt: How many failed before this one.

        longest: Seconds that no pause exceeds.

        least: Seconds that the other side asked for.
    """
    limit = min(longest, max(FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10), least))
    return random.uniform(min(limit, least), limit)  # noqa: S311 - jitter


class Failure(Exception):
    """
    One try that brought no answer to believe; another may. Tells whether its append may have been written, whether the
    deadline cut it off, and what to do about it if that does not pass by itself.
    """

    def __init__(
        self,
        why: str,
        *,
        maybe_written: bool,
        retry_after: float = 0.0,
        advice: str = "try again",
        is_late: bool = False,
    ) -> None:
        super().__init__(why)
        self.why = why
        self.advice = advice
        self.is_late = is_late
        self.maybe_written = maybe_written
        self.retry_after = retry_after


class Tries:
    """
    The tries of one call. Only one thread or task uses it.

    Args:
        seconds: How long they may take together.

        is_repeatable: Whether the call may be made again at all. One that may be written is repeated only with a key.

        idempotency_key: The key of an append.
    """

    def __init__(self, seconds: float, *, is_repeatable: bool = True, idempotency_key: str = "") -> None:
        self.until = time.monotonic() + seconds
        self._is_repeatable = is_repeatable
        self._key = idempotency_key
        self._tries = 0
        self._maybe_written = False
        self._failure: Failure | None = None

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.until - time.monotonic()

    def pause(self, failure: Failure) -> float:
        """
        Seconds to wait before the next try, with full jitter.

        Raises:
            OutcomeUnknown: there may be none, and one of the tries may have been written.

            StoreUnavailable: there may be none, and nothing was written.
        """
        self._maybe_written |= failure.maybe_written
        if not failure.is_late or self._failure is None:  # a last try that was cut off says less than those before it
            self._failure = failure
        seconds = backoff(self._tries, longest=MAX_PAUSE_SECONDS, least=failure.retry_after)
        self._tries += 1
        may_repeat = self._is_repeatable and (bool(self._key) or not self._maybe_written)
        if may_repeat and seconds < self.left():
            return seconds
        if self._maybe_written:
            raise self._unknown(self._failure.why)
        raise StoreUnavailable(f"{self._failure.why}: {self._failure.advice}")

    def end(self, error: Exception) -> None:
        """
        A try ended the call with *error*, which says nothing of the tries before it, unless the ledger itself does.

        Raises:
            OutcomeUnknown: one of those may have been written.
        """
        if self._maybe_written and not isinstance(error, (InvalidEvent, VersionConflict)):
            raise self._unknown("an earlier try may have been written") from error

    def _unknown(self, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(f"{why}: repeat the append with the same idempotency_key", self._key)
