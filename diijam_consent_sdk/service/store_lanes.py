"""The lanes of a store's calls: how many of each kind run at once."""

from __future__ import annotations

from typing import Self

import attrs

from ..stores import SqliteStore
from ..stores.async_protocol import AsyncStore
from ..stores.protocol import Store
from .lanes import Lane


@attrs.frozen(eq=False)
class StoreLanes:
    """
    A lane for each kind of call. Use them on one event loop only.

    Args:
        heads: For looking up the head.

        looks: For looks at the change feed.

        readers: For joint loads, and those of few users.

        large_readers: For loads of many users.

        writers: For what writes.

        listers: For what goes through many users or entries.

        verifiers: For walks over the chain.
    """

    heads: Lane
    looks: Lane
    readers: Lane
    large_readers: Lane
    writers: Lane
    listers: Lane
    verifiers: Lane

    @classmethod
    def for_store(cls, store: Store | AsyncStore, *, is_async: bool) -> Self:
        """
        Make the lanes.

        Args:
            store: The store that is called.

            is_async: Whether it is an async one.
        """
        # Reads of SQLite spend their time under the GIL: more threads read no more, and keep the event loop from it.
        is_sqlite = isinstance(store, SqliteStore)
        return cls(
            heads=Lane("head", 2, 2),
            looks=Lane("look", 4, 2),
            readers=Lane("read", 3, 2) if is_sqlite else Lane("read", 8, 4),
            large_readers=Lane("large", 2, 1) if is_sqlite else Lane("large", 4, 2),
            writers=Lane("write", 256, 128) if is_async else Lane("write", 6, 4),
            listers=Lane("list", 2, 1),
            verifiers=Lane("verify", 1, 1),
        )

    def close(self) -> None:
        """Begin no further call."""
        for lane in attrs.astuple(self, recurse=False):
            lane.close()
