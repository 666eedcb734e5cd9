"""
Verifies a chain a page at a time, beside a ledger in use: each page is a short read, and writers wait for none of them.

Each page is read on a state of the ledger that is no older than the page before. So what happens meanwhile is no break:

- An append comes after the head that an earlier page named. The walk ends where a page reaches the head of its state.
- An erasure blanks entries, and leaves their hashes. Those that the walk has passed were counted as their user's, those
  that it reads later are blank. Whatever is blank on one page has its tombstone at or before the head of that page, so
  the walk reads that tombstone before it ends, and the two counts of `Verifier` agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ...errors import LedgerBroken
from ..answers import Cursor
from .dialect import links_after, links_from
from .hash_chain import Link, Verifier
from .operations import Operations
from .statements import Query, Row


@attrs.frozen
class ChainPage:
    """The links after a position, so many at most, and the head of the same state of the ledger."""

    head: Cursor
    links: list[Link] = attrs.field(repr=False)


def chain_page(operations: Operations, after: int, limit: int) -> Query[ChainPage]:
    """Read one page of the chain."""

    def parse(head_rows: Sequence[Row], rows: Sequence[Row]) -> ChainPage:
        return ChainPage(operations.read_head(head_rows).cursor, links_from(rows))

    return Query([operations.select_head(), links_after(after, limit)], parse)


class ChainWalk:
    """
    A walk over a whole chain. It keeps the last version of each user, about 100 bytes for each.

    Args:
        since: A head that was verified before, which the ledger has to continue, whatever its epoch.
    """

    def __init__(self, since: Cursor | None = None) -> None:
        self._verifier = Verifier(since)

    @property
    def position(self) -> int:
        """The last position that was verified, from which the next page goes on."""
        return self._verifier.position

    def add(self, page: ChainPage) -> Cursor | None:
        """
        Check the next page.

        Returns:
            The head, once the walk has reached it; None before.

        Raises:
            LedgerBroken: names the first entry that is missing, altered or out of order.

            HeadNotContinued: the ledger does not lead through *since*.
        """
        for link in page.links:
            self._verifier.add(link)
        head = page.head
        if self.position == head.position:
            if self._verifier.hash.hex() != head.hash:
                raise LedgerBroken(head.position, "the ledger claims to end with another hash")
            self._verifier.finish()
            return head
        if not page.links or head.position < self.position:
            raise LedgerBroken(self.position + 1, f"the ledger claims to end at {head.position}")
        return None
