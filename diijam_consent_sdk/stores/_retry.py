"""Attempts within a call's deadline: what failed, whether it may be repeated, and how long to wait before that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .._jitter import random
from ..errors import OutcomeUnknown, StoreUnavailable, VersionConflict

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.05  # at most; doubled with each attempt
MAX_PAUSE_SECONDS = 1.0  # between two attempts, whatever the other side asks for


def backoff(attempt: int, *, longest: float, least: float = 0.0) -> float:
    """
    Choose the pause after a failed attempt: exponential backoff with full jitter.

    Args:
        attempt: How many failed before this one.

        longest: Seconds that no pause exceeds.

        least: Seconds that the other side asked for.
    """
    limit = min(longest, max(FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10), least))
    return random.uniform(min(limit, least), limit)


class Failure(Exception):
    """
    An attempt that gave no trustworthy answer, where another may.

    Args:
        why: What happened.

        maybe_written: Whether an append may have been carried out all the same.

        retry_after: Seconds that the other side asked to wait.

        advice: What to do if it does not pass.

        is_late: Whether the deadline cut the attempt off.
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
        self.maybe_written = maybe_written
        self.retry_after = retry_after
        self.advice = advice
        self.is_late = is_late

    def copy(self) -> Failure:
        """Make another of it, for a call that failed together with this one."""
        return Failure(
            self.why, maybe_written=self.maybe_written, retry_after=self.retry_after, advice=self.advice,
            is_late=self.is_late,
        )  # fmt: skip


class Attempts:
    """
    The attempts at one call. Only one thread or task uses it.

    Args:
        seconds: How long they may take together.

        is_repeatable: Whether the call may be repeated at all. One that may be written is repeated only with a key.

        idempotency_key: The key of an append.
    """

    def __init__(self, seconds: float, *, is_repeatable: bool = True, idempotency_key: str = "") -> None:
        self.until = time.monotonic() + seconds
        self._is_repeatable = is_repeatable
        self._key = idempotency_key
        self._failed = 0
        self._maybe_written = False
        self._failure: Failure | None = None

    def seconds_left(self) -> float:
        """Return the seconds until the deadline."""
        return self.until - time.monotonic()

    def run(self, attempt: Callable[[], T]) -> T:
        """
        Repeat *attempt* until it does not raise `Failure`, and return what it returns.

        Raises:
            OutcomeUnknown, StoreUnavailable: as `pause_after` and `check_refusal` raise them.

            Exception: whatever else the attempt raises.
        """
        while True:
            try:
                return attempt()
            except Failure as failure:
                time.sleep(self.pause_after(failure))
            except Exception as error:
                self.check_refusal(error)
                raise

    async def run_async(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Do as `run` does, from a task."""
        while True:
            try:
                return await attempt()
            except Failure as failure:
                await asyncio.sleep(self.pause_after(failure))
            except Exception as error:
                self.check_refusal(error)
                raise

    def pause_after(self, failure: Failure) -> float:
        """
        Choose how many seconds to wait before the next attempt.

        Raises:
            OutcomeUnknown: there is no other, and one of the attempts may have been written.

            StoreUnavailable: there is no other, and nothing was written.
        """
        self._maybe_written |= failure.maybe_written
        if not failure.is_late or self._failure is None:  # a last attempt that was cut off tells least of the cause
            self._failure = failure
        seconds = backoff(self._failed, longest=MAX_PAUSE_SECONDS, least=failure.retry_after)
        self._failed += 1
        may_repeat = self._is_repeatable and (bool(self._key) or not self._maybe_written)
        if may_repeat and seconds < self.seconds_left():
            return seconds
        if self._maybe_written:
            raise self._unknown(self._failure.why)
        raise StoreUnavailable(f"{self._failure.why}: {self._failure.advice}")

    def check_refusal(self, error: Exception) -> None:
        """
        Check whether *error*, which ended the call, settles its outcome. Of earlier attempts, which may still be under
        way, only `VersionConflict` tells too, since versions grow: what is invalid now may be valid then.

        Raises:
            OutcomeUnknown: an earlier attempt may have been written.
        """
        if self._maybe_written and not isinstance(error, VersionConflict):
            raise self._unknown("an earlier try may have been written") from error

    def _unknown(self, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(f"{why}: repeat the append with the same idempotency_key", self._key)
