"""What `HttpStore` takes for standings, and what it refuses, without a network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.standing import EVERY_ASK, AskScope
from diijam_consent_sdk.stores import Cursor, standing_messages, wire
from diijam_consent_sdk.stores._retry import Failure
from diijam_consent_sdk.stores.http import standing_exchange
from diijam_consent_sdk.stores.http.standing_exchange import join_standings
from diijam_consent_sdk.stores.protocol import StandingRow, Standings
from diijam_consent_sdk.stores.standings import MAX_STANDING_BYTES

JSON = {"content-type": "application/json"}
AT = datetime(2026, 11, 29, tzinfo=UTC)
CURSOR = {"epoch": "e", "position": 7, "hash": "0"}
ONE, OTHER = {"account": "open"}, {"account": "unknown"}  # of no interest to the store
ANSWER: dict[str, Any] = {
    "nonce": "n", "cursor": CURSOR, "at": AT, "view": ["ask:profile"], "standings": [ONE, OTHER],
    "users": [["u-1", 2, 0], ["u-2", 0, 1], ["u-3", 5, 0]],
}  # fmt: skip
PAGE = {**ANSWER, "after": "u-3"}
USERS = ["u-1", "u-2", "u-3"]


def answered(answer: dict[str, Any], users: list[str] = USERS, nonce: str = "n") -> Standings:
    """What the store gives for an answer."""
    found: Standings = standing_exchange.standings(users).result(nonce, 200, JSON, wire.encode(answer))
    return found


def test_rows_keep_the_bytes() -> None:
    """Each user has a row in the order asked, with the bytes of the answer; equal standings are one object."""
    found = answered(ANSWER)
    assert found == Standings(
        Cursor("e", 7, "0"), AT, frozenset({AskScope.PROFILE}),
        (
            StandingRow("u-1", 2, b'{"account":"open"}'), StandingRow("u-2", 0, b'{"account":"unknown"}'),
            StandingRow("u-3", 5, b'{"account":"open"}'),
        ),
    )  # fmt: skip
    assert found.users[0].standing is found.users[2].standing
    assert answered({**ANSWER, "view": ["ask"]}).view == EVERY_ASK
    assert answered({**ANSWER, "view": []}).view == frozenset()


WRONG: dict[str, dict[str, Any]] = {
    "another user": {"users": [["u-1", 2, 0], ["u-9", 0, 1], ["u-3", 5, 0]]},
    "another order": {"users": [["u-2", 2, 0], ["u-1", 0, 1], ["u-3", 5, 0]]},
    "a user less": {"users": ANSWER["users"][:2]},
    "a user twice": {"users": [*ANSWER["users"], ANSWER["users"][0]]},
    "an index past the end": {"users": [["u-1", 2, 0], ["u-2", 0, 2], ["u-3", 5, 0]]},
    "an index from the end": {"users": [["u-1", 2, 0], ["u-2", 0, -1], ["u-3", 5, 0]]},
    "an index that is none": {"users": [["u-1", 2, 0], ["u-2", 0, "1"], ["u-3", 5, 0]]},
    "a version below 0": {"users": [["u-1", 2, 0], ["u-2", -1, 1], ["u-3", 5, 0]]},
    "a field more": {"users": [["u-1", 2, 0], ["u-2", 0, 1, True], ["u-3", 5, 0]]},
    "a field less": {"users": [["u-1", 2, 0], ["u-2", 0], ["u-3", 5, 0]]},
    "an unknown view": {"view": ["ask:everything"]},
    "another scope for a view": {"view": ["read"]},
    "no view": {"view": None},
    "a standing that is too long": {"standings": [ONE, {"account": "x" * MAX_STANDING_BYTES}]},
    "an unknown field": {"suspended": True},
    "another nonce": {"nonce": "m"},
    "a time without its zone": {"at": "2026-11-29T00:00:00"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_what_is_unknown_is_refused(wrong: dict[str, Any]) -> None:
    """An answer that is not what was asked, whatever is wrong with it, gives no standing."""
    with pytest.raises(Failure, match="cannot be believed"):
        answered(ANSWER | wrong)


@pytest.mark.parametrize("name", ["standings", "users", "view", "cursor", "at"])
def test_nothing_may_be_missing(name: str) -> None:
    """No field has a default, and a page lacks none of what a load has."""
    for exchange, answer in (
        (standing_exchange.standings(USERS), ANSWER), (standing_exchange.list_standings(None, 3), PAGE),
    ):  # fmt: skip
        rest = {key: value for key, value in answer.items() if key != name}
        with pytest.raises(Failure, match="it is malformed"):
            exchange.result("n", 200, JSON, wire.encode(rest))


def test_a_page_goes_on_after_its_users() -> None:
    """A page has its users in order, and where to go on; the last one says so, and one may be empty."""
    page = standing_exchange.list_standings("u-0", 3).result("n", 200, JSON, wire.encode(PAGE))
    assert ([row.user_id for row in page.users], page.after) == (USERS, "u-3")
    for answer in ({**PAGE, "after": None}, {**PAGE, "after": "u-5"}, {**PAGE, "users": [], "after": "u-1"}):
        exchange = standing_exchange.list_standings("u-0", 3)
        assert exchange.result("n", 200, JSON, wire.encode(answer)).after == answer["after"]


@pytest.mark.parametrize(
    ("after", "wrong"),
    [
        ("u-1", {}),
        ("u-2", {}),
        (None, {"users": [["u-2", 0, 1], ["u-1", 2, 0]]}),
        (None, {"users": [["u-1", 0, 1], ["u-1", 2, 0]]}),
        (None, {"after": "u-2"}),
        ("u-0", {"users": [], "after": "u-0"}),
        ("u-0", {"users": [], "after": "t"}),
        (None, {"users": [[" u", 0, 1]]}),
        (None, {"after": ""}),
    ],
)
def test_a_page_never_goes_back(after: str | None, wrong: dict[str, Any]) -> None:
    """A page with users that were there before, out of order, or that leads back, is refused, so that a list ends."""
    with pytest.raises(Failure, match="cannot be believed"):
        standing_exchange.list_standings(after, 3).result("n", 200, JSON, wire.encode(PAGE | wrong))


def test_a_list_asks_no_more_than_one_may() -> None:
    """A larger limit is cut to a thousand; one below 1 is an error of the caller."""
    body, _ = standing_exchange.list_standings(None, 5_000).encode()
    assert wire.read(body, standing_messages.StandingsListQuestion).limit == 1_000
    with pytest.raises(ValueError, match="limit is at least 1"):
        standing_exchange.list_standings(None, 0)


def test_pages_of_one_load_are_of_one_history_and_view() -> None:
    """Several answers are one only if later ones go on from the first; then they are as of the first."""
    first = answered(ANSWER)
    later = answered({**ANSWER, "cursor": {**CURSOR, "position": 9}})
    joined = join_standings([first, later])
    assert (joined.cursor, joined.users) == (first.cursor, first.users * 2)
    for other in (
        {**ANSWER, "cursor": {**CURSOR, "position": 6}},
        {**ANSWER, "cursor": {**CURSOR, "epoch": "other"}},
        {**ANSWER, "view": ["ask"]},
    ):
        with pytest.raises(StoreUnavailable, match="changed between two pages"):
            join_standings([first, answered(other)])


def test_rows_show_nobody() -> None:
    """The text of a row names no user and nothing of the standing."""
    text = repr(answered(ANSWER)) + repr(answered(ANSWER).users)
    assert "u-1" not in text
    assert "open" not in text
