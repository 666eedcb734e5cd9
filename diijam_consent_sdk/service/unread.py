"""Bounds the answers that clients have yet to take: one that reads none would have the service keep them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from ..errors import StoreUnavailable
from ..stores.message_fields import MAX_ANSWER_BYTES

MAX_BYTES_OF_ONE = 2 * MAX_ANSWER_BYTES  # of one caller's answers
MAX_BYTES = 8 * MAX_ANSWER_BYTES  # of all


class Unread:
    """The bytes of large answers that clients have yet to take. Use it on one event loop only."""

    def __init__(self) -> None:
        self._by_caller: Counter[Hashable] = Counter()

    def check(self, caller: Hashable, size: int) -> None:
        """
        Check that another answer may be kept until its client takes it.

        Raises:
            StoreUnavailable: it would be too much, of the caller or of all.
        """
        if self._by_caller[caller] + size > MAX_BYTES_OF_ONE or self._by_caller.total() + size > MAX_BYTES:
            raise StoreUnavailable("too many answers wait to be read: read them, then try again")

    @contextmanager
    def kept(self, caller: Hashable, size: int) -> Iterator[None]:
        """Count an answer within the block."""
        self._by_caller[caller] += size
        try:
            yield
        finally:
            self._by_caller[caller] -= size
            if not self._by_caller[caller]:
                del self._by_caller[caller]  # else it would keep each caller for ever
