"""A client whose store gives standings for some asks alone, as a service does for a token (policy, "Views")."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import attrs
import pytest
import structlog
from msgspec.structs import replace

from diijam_consent_sdk import Process, Purpose, Reason, Show
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import NotEntitled
from diijam_consent_sdk.standing import EVERY_ASK, AskScope, View
from diijam_consent_sdk.stores import Changes, Cursor, MemoryStore
from diijam_consent_sdk.stores.protocol import Standings
from diijam_consent_sdk.stores.standings import decode_standing, encode_standing
from diijam_consent_sdk.testing import FaultyStore
from tests.client.conftest import MAILED, SIGNED_UP, MakeClient, eventually, reason

MARKETING, PROFILE = frozenset({AskScope.MARKETING}), frozenset({AskScope.PROFILE})


class Narrowed(FaultyStore):
    """A store that narrows what it gives to a view, which may change."""

    view: View = MARKETING

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        whole = super().standings(user_ids)
        rows = [
            replace(row, standing=encode_standing(decode_standing(row.standing, whole.view).narrowed(self.view)))
            for row in whole.users
        ]
        return attrs.evolve(whole, view=self.view, users=tuple(rows))

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        return attrs.evolve(super().changes(after, wait=min(wait, 0.05), limit=limit), view=self.view)


@pytest.fixture
def store() -> Iterator[Narrowed]:
    """Such a store, with a user who may be mailed and whose picture is public."""
    store = Narrowed(MemoryStore())
    store.inner.append("u", [*SIGNED_UP, e.Published("avatar")])
    yield store
    store.inner.close()  # ends the polls of clients that are closed


def test_guards_answer_what_the_token_is_for_and_nothing_else(make_client: MakeClient) -> None:
    """A no for want of a scope is told apart from the customer's, and counted as a denial."""
    client = make_client(follow=False)
    user = client.user("u")
    assert reason(user) is Reason.CONSENTED
    for decision in (user.is_public("avatar"), user.can_process(Purpose.PAYMENT), user.decide(Show("avatar"))):
        assert decision.reason is Reason.NOT_ENTITLED
    assert client.status().denials == {Reason.NOT_ENTITLED: 3}
    assert client.user("nobody").can_market("email").reason is Reason.UNKNOWN_USER


def test_guards_outside_the_view_are_logged_once_for_each_view(make_client: MakeClient, store: Narrowed) -> None:
    """At the next exchange, with the view and no id; a view in which nobody asks too much is not logged."""
    client = make_client(follow=False)
    with structlog.testing.capture_logs() as lines:
        for number, view in enumerate((MARKETING, PROFILE, MARKETING)):
            store.view = view
            for name in ("a", "b", "c"):
                client.user(f"{name}-{number}").can_market("email")
                client.user("u").is_public("avatar")
    logged = [line for line in lines if line["event"] == "client.not_entitled"]
    assert [(line["view"], line["log_level"]) for line in logged] == [
        (["ask:marketing"], "warning"), (["ask:profile"], "warning"), (["ask:marketing"], "warning"),
    ]  # fmt: skip
    assert "who runs the consent service" in logged[0]["advice"]
    assert "a-1" not in str(logged)
    store.view = EVERY_ASK
    with structlog.testing.capture_logs() as lines:
        for name in ("d", "e"):
            client.user(name).is_public("avatar")
    assert lines == []


def test_lists_and_masks_raise_outside_the_view(make_client: MakeClient) -> None:
    """A list without a name, or a mask of zeros, would read as everybody's no."""
    client = make_client(follow=False)
    assert list(client.permitted(["u", "nobody"], MAILED)) == ["u"]
    assert client.permitted_mask(["u", "nobody"], MAILED) == bytearray([1, 0])
    for ask, scope in ((Show("avatar"), "ask:profile"), (Process("surveys"), "ask:analytics")):
        with pytest.raises(NotEntitled, match=scope) as in_list:
            list(client.permitted(["nobody", "u"], ask))
        with pytest.raises(NotEntitled, match=scope) as in_mask:
            client.permitted_mask(["u"], ask)
        assert in_list.value.scopes == in_mask.value.scopes == (scope,)


def test_records_are_loaded_and_explained_whole(make_client: MakeClient) -> None:
    """`load` and `explain` need the scope `read`, which is another matter; they fill no cache."""
    client = make_client(follow=False)
    assert client.load("u").published == {"avatar"}
    assert client.explain("u", Show("avatar")).decision.allowed
    assert client.status().users == 0


@pytest.mark.parametrize("before", [EVERY_ASK, PROFILE], ids=["wider", "other"])
def test_a_token_that_is_exchanged_is_found_out_by_the_feed(
    make_client: MakeClient, store: Narrowed, before: View
) -> None:
    """Soon nobody answers for the old token's asks any more, though nobody is asked about meanwhile."""
    store.view = before
    client = make_client(max_staleness=10)
    user = client.user("u")
    assert user.is_public("avatar")
    assert eventually(lambda: client.status().feed == "up")
    store.view = MARKETING
    assert eventually(lambda: user.is_public("avatar").reason is Reason.STALE)
    assert client.user("u").is_public("avatar").reason is Reason.NOT_ENTITLED
    assert reason(client.user("u")) is Reason.CONSENTED
    assert eventually(lambda: client.status().feed == "up")


def test_a_store_that_lags_while_the_token_is_exchanged(make_client: MakeClient, store: Narrowed) -> None:
    """The feed, which cannot find out what the token may ask, is down, and asks no oftener than in any outage."""
    client = make_client(max_staleness=2)
    assert reason(client.user("u")) is Reason.CONSENTED
    assert eventually(lambda: client.status().feed == "up")
    old = store.inner.standings([])
    version = store.inner.append("u", [e.Hidden("avatar")]).version
    assert eventually(lambda: client.user("u").version == version)
    store.alter = {"cursor": old.cursor}
    store.view = PROFILE
    assert eventually(lambda: client.status().feed == "down")
    asked = len(store.calls)
    time.sleep(1)  # three of the longest pauses
    assert len(store.calls) - asked < 100
    assert client.status().feed == "down"


def test_standings_that_cannot_be_read_deny_and_say_so(make_client: MakeClient, store: Narrowed) -> None:
    """The user is unavailable, and the status has the cause; nobody else of the batch is left out."""
    store.inner.append("v", SIGNED_UP)
    damaged = FaultyStore(store.inner)
    client = make_client(damaged, follow=False)
    rows = damaged.standings(["u", "v"]).users
    damaged.alter = {"users": (replace(rows[0], standing=b"{}"), rows[1])}
    assert [reason(user) for user in client.users(["u", "v"])] == [Reason.UNAVAILABLE, Reason.CONSENTED]
    damaged.alter = {"users": (replace(rows[0], standing=b"{}"),)}
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert "cannot be read" in str(client.status().last_error)
