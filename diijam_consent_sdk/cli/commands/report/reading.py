"""
Read a whole ledger for a report, page by page: its entries in order, then each user's standing, then open requests.

Nothing of one page is kept for the next, so memory does not grow with the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

from ....client.exchanges import LAGS, MALFORMED
from ....decisions import Share
from ....documents.asks import every_ask
from ....due import Due, due
from ....errors import HistoryChanged, StoreUnavailable, StoreUnusable
from ....events import LedgerEntry
from ....holders import HolderRegistry
from ....report import Alike, Report, count_answers, count_entries, count_work
from ....stores import wire
from ....stores.answers import Cursor, OpenRequests, StandingsPage
from ....stores.protocol import Store
from ....stores.standings import decode_standing
from ...console import show_progress

REPLACED = (
    "the ledger changed its history while it was read: an older copy was restored, or the URL leads to another ledger;"
    " make the report again"
)
Update = Callable[[int, int], None]
Page = TypeVar("Page", StandingsPage, OpenRequests)


def read_report(store: Store) -> Report:
    """
    Read the ledger down to its head, with a progress bar, and make the report.

    Raises:
        HistoryChanged: the ledger was replaced meanwhile.

        StoreUnavailable, StoreUnusable: it could not be read.

        NotEntitled: the service's token lacks one of the scopes `read`, `list` and `ask`.
    """
    first = store.list_standings(None, 1)  # before the long part: where the ledger ends, and that the token may list
    asks = list(every_ask(_registered_sharings(store)))
    count_answers(asks, _groups(first))  # and that it may put every ask
    with show_progress("reading entries", first.cursor.position, "entries") as update:
        entries = count_entries(_entries(store, first.cursor, update))
    with show_progress("asking", entries.users) as update:
        answers = count_answers(asks, _everybody(store, update))
    with show_progress("reading requests", None) as update:
        work = count_work(_owed(store, update))
    return Report(first.at, str(first.cursor), entries, answers, work)


def _registered_sharings(store: Store) -> Iterator[Share]:
    """Yield an ask for each sharing that a registered notice names."""
    after: str | None = None
    while page := store.notices(after):
        for text in (notice.text for notice in page):
            if text.recipient is not None and text.data:
                yield from (Share(text.recipient, text.data, purpose) for purpose in sorted(text.purposes))
            after = text.notice


def _entries(store: Store, head: Cursor, update: Update) -> Iterator[LedgerEntry]:
    """Yield the entries down to *head*."""
    cursor, done = head.beginning(), 0
    while cursor.position < head.position:
        page = store.entries(cursor, wait=0.0)
        if not page.is_continuation():
            raise HistoryChanged(REPLACED)
        if page.cursor == cursor:
            raise StoreUnavailable(LAGS)
        cursor = page.cursor
        for entry in page.entries:
            if entry.position <= head.position:
                yield entry
        done += len(page.entries)
        update(cursor.position, done)


def _everybody(store: Store, update: Update) -> Iterator[Alike]:
    """Yield all users, those of a page who have the same standing together."""
    for page in _pages(store.list_standings, lambda page: len(page.users), update):
        yield from _groups(page)


def _groups(page: StandingsPage) -> Iterator[Alike]:
    try:
        for standing, users in Counter(row.standing for row in page.users).items():
            yield Alike(decode_standing(standing, page.view), page.at, users)
    except wire.Malformed:
        raise StoreUnusable(MALFORMED) from None


def _owed(store: Store, update: Update) -> Iterator[Due]:
    """Yield the work list of all users, page by page."""
    holders = HolderRegistry.of(store.holders())
    for page in _pages(store.open_requests, lambda page: len(page.records), update):
        yield due(page.records, page.at, holders)


def _pages(read: Callable[[str | None], Page], count: Callable[[Page], int], update: Update) -> Iterator[Page]:
    """Yield page after page to the last; once one is worked off, say how many users that makes."""
    after: str | None = None
    done = 0
    while True:
        page = read(after)
        yield page
        done += count(page)
        update(done, done)
        after = page.after
        if after is None:
            return
