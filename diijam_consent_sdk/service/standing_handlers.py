"""The operations about standings, each narrowed to the asks that the question's token is entitled to."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..errors import TooLarge
from ..standing import View, view_names
from ..stores import wire
from ..stores.answers import StandingRow, Standings, StandingsPage
from ..stores.message_fields import LOAD_BODY_BYTES, MAX_ANSWER_BYTES, PAGE_BYTES
from ..stores.standing_messages import (
    PATHS,
    StandingsAnswer,
    StandingsListAnswer,
    StandingsListQuestion,
    StandingsQuestion,
    StandingUser,
)
from .operation import Call, operation
from .scopes import ASKS, LISTS, view_of
from .views import narrow

MAX_BYTES = MAX_ANSWER_BYTES - LOAD_BODY_BYTES  # of the standings, beside the longest ids


@operation(PATHS[StandingsQuestion], StandingsQuestion, StandingsAnswer, ASKS)
async def standings(call: Call, data: StandingsQuestion) -> bytes:
    """
    Load the standings of users, which the answers to asks rest on; of no ids, just the ledger's head.

    Each id is answered once, in order. The state is read after the question arrived and holds every append that was
    acknowledged before. A user who is not known has version 0. A standing has what the asks of the token's scopes need,
    and no more: every other ask is to be answered with `not_entitled`. More than 32 MiB are `too-large`: ask for fewer
    users.
    """

    def encode(found: Standings) -> bytes:
        """Encode the answer."""
        call.users = len(found.users)
        view = found.view & view_of(call.token.scopes)
        different, users = encode_rows(found.users, found.view, view, MAX_BYTES)
        if len(users) < len(found.users):
            raise TooLarge("the answer is too large: ask for fewer users")
        answer = StandingsAnswer(
            nonce=data.nonce, cursor=found.cursor, at=found.at, view=view_names(view), standings=different, users=users,
        )  # fmt: skip
        return wire.encode(answer)

    return await call.context.store.standings(call.token.name, data.user_ids, encode)


@operation(PATHS[StandingsListQuestion], StandingsListQuestion, StandingsListAnswer, ASKS, beside=LISTS)
async def list_standings(call: Call, data: StandingsListQuestion) -> bytes:
    """
    List the standings of all users who have entries, erased ones too, page by page in order of their ids.

    A page may hold fewer users than `limit`; where to go on is its `after`, and null says that it was the last. Each
    page is as of its own `cursor`: who changed since the first is found by `/v1/changes` from its cursor.
    """

    def encode(page: StandingsPage) -> bytes:
        """Encode the answer."""
        view = page.view & view_of(call.token.scopes)
        different, users = encode_rows(page.users, page.view, view, PAGE_BYTES)
        call.users = len(users)
        answer = StandingsListAnswer(
            nonce=data.nonce, cursor=page.cursor, at=page.at, view=view_names(view), standings=different, users=users,
            after=page.users[len(users) - 1].user_id if len(users) < len(page.users) else page.after,
        )  # fmt: skip
        return wire.encode(answer)

    return await call.context.store.list_standings(call.token.name, data.after, data.limit, encode)


def encode_rows(
    rows: Sequence[StandingRow], present: View, view: View, most: int
) -> tuple[list[msgspec.Raw], list[StandingUser]]:
    """
    Encode rows, in order, with each different standing once.

    Args:
        rows: The rows that are left to send.

        present: The view that their standings were made for.

        view: The view to narrow them to.

        most: Where to end, in bytes of different standings; one row is encoded whatever its size.

    Returns:
        The different standings, and for each row its user's id, version and index of the standing.
    """
    sources: dict[bytes, int] = {}  # the place of each standing by what it was narrowed from
    places: dict[bytes, int] = {}
    users: list[StandingUser] = []
    size = 0
    for row in rows:
        place = sources.get(row.standing)
        if place is None:
            standing = narrow(row.standing, present, view)
            if standing not in places:
                size += len(standing)
                if users and size > most:
                    break
            place = sources[row.standing] = places.setdefault(standing, len(places))
        users.append(StandingUser(row.user_id, row.version, place))
    return [msgspec.Raw(standing) for standing in places], users


STANDING_OPERATIONS = (standings, list_standings)
