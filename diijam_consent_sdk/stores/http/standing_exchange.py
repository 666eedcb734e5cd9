"""The exchanges with a consent service about standings; see `exchange`."""

from __future__ import annotations

from itertools import pairwise

import attrs

from ...errors import StoreUnavailable
from ...identifiers import identifier, optional_identifier
from ..answers import Standings, StandingsPage
from ..checks import checked_limit
from ..message_fields import MAX_USERS
from ..standing_messages import StandingsAnswer, StandingsListAnswer, StandingsListQuestion, StandingsQuestion
from .exchange import Exchange, Mismatched, check_history


def standings(user_ids: list[str]) -> Exchange:
    """Build `Store.standings` of at most `message_fields.MAX_USERS` users."""

    def read(answer: StandingsAnswer) -> Standings:
        found = answer.result()
        if [row.user_id for row in found.users] != user_ids:
            raise Mismatched
        return found

    return Exchange(StandingsQuestion, {"user_ids": user_ids}, StandingsAnswer, read)


def join_standings(pages: list[Standings]) -> Standings:
    """
    Join the pages of one load: as of the first, whose entries the later pages include.

    Raises:
        StoreUnavailable: the history or the view changed between two pages.
    """
    if len(pages) == 1:
        return pages[0]
    check_history([page.cursor for page in pages])
    if any(page.view != pages[0].view for page in pages):
        raise StoreUnavailable("what the token may ask changed between two pages: try again")
    return attrs.evolve(pages[0], users=tuple(row for page in pages for row in page.users))


def list_standings(after: str | None, limit: int) -> Exchange:
    """Build `Store.list_standings`, for at most `message_fields.MAX_USERS` users."""
    start = optional_identifier(after)

    def read(answer: StandingsListAnswer) -> StandingsPage:
        page = answer.page()
        ids = ["" if start is None else start, *(identifier(row.user_id) for row in page.users)]
        if any(first >= second for first, second in pairwise(ids)):  # strings compare as their UTF-8 does
            raise Mismatched("the answer repeats users, or is in no order")
        if page.after is not None and (page.after < ids[-1] or page.after == start):
            raise Mismatched("the answer goes back")
        return page

    fields = {"after": start, "limit": min(checked_limit(limit), MAX_USERS)}
    return Exchange(StandingsListQuestion, fields, StandingsListAnswer, read)
