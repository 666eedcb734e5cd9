"""A load of many users that is too large or late is made in parts, and only users who are too large are left out."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from diijam_consent_sdk import Market, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client.halving import MAX_FAILURES
from diijam_consent_sdk.errors import StoreUnavailable, TooLarge
from diijam_consent_sdk.stores.protocol import Standings
from diijam_consent_sdk.testing import FaultyStore
from tests.client.conftest import MakeClient

MAILED = Market("email")
SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", notice="promo", channels={"email"}))
USERS = [f"u{number}" for number in range(56)]
GUILTY = {"u3", "u4", "u20", "u41", "u55"}
DEADLINE = 0.2


class Heavy(FaultyStore):
    """A store with large users: two of them together, or each, make a load fail or late."""

    late = False
    together = 1

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        wanted = list(user_ids)
        self.loaded.append(tuple(wanted))
        if len(GUILTY.intersection(wanted)) >= self.together:
            if not self.late:
                raise TooLarge("ask for fewer users")
            time.sleep(DEADLINE)
            raise StoreUnavailable("did not answer in time")
        return self.inner.standings(wanted)


@pytest.fixture
def heavy(store: FaultyStore) -> Heavy:
    """A store with everybody signed up."""
    for user_id in USERS:
        store.inner.append(user_id, SIGNED_UP)
    return Heavy(store.inner)


@pytest.mark.parametrize("late", [False, True], ids=["too large", "late"])
def test_only_the_guilty_stay_unchecked(make_client: MakeClient, heavy: Heavy, *, late: bool) -> None:
    """Five users who are too large among 56 leave out no others, in `users`, in `permitted` and when asked again."""
    heavy.late = late
    client = make_client(heavy, follow=False, deadline=DEADLINE)
    answers = {user.user_id: user.decide(MAILED).reason for user in client.users(USERS)}
    assert {user_id for user_id, why in answers.items() if why is Reason.UNAVAILABLE} == GUILTY
    assert {why for user_id, why in answers.items() if user_id not in GUILTY} == {Reason.CONSENTED}
    assert client.status().ready


def test_what_is_too_much_only_together_is_had_in_halves(make_client: MakeClient, heavy: Heavy) -> None:
    """Large users whose answers do not fit together are all answered."""
    heavy.together = 2
    client = make_client(heavy, follow=False, deadline=5)
    assert list(client.permitted(USERS, MAILED)) == USERS
    assert client.permitted_mask(USERS, MAILED) == bytearray([1] * len(USERS))


def test_two_users_are_halved_too(make_client: MakeClient, heavy: Heavy) -> None:
    """Of two users, the one that is too large leaves out the other no more than of many."""
    client = make_client(heavy, follow=False, deadline=5)
    assert list(client.permitted(["u3", "u5"], MAILED)) == ["u5"]
    assert heavy.loaded == [("u3", "u5"), ("u3",), ("u5",)]


def test_a_load_gives_up_after_many_failures(make_client: MakeClient, heavy: Heavy) -> None:
    """A store to which every user is too large is not asked about each of them."""
    heavy.together = 0
    client = make_client(heavy, follow=False, deadline=5)
    reasons = {user.decide(MAILED).reason for user in client.users(f"u{number}" for number in range(200))}
    assert reasons == {Reason.UNAVAILABLE}
    assert len(heavy.loaded) == MAX_FAILURES + 1


def test_a_mask_without_the_guilty_is_none(make_client: MakeClient, heavy: Heavy) -> None:
    """A mask over a user who is too large raises."""
    client = make_client(heavy, follow=False, deadline=5)
    with pytest.raises(StoreUnavailable):
        client.permitted_mask(USERS, MAILED)
    assert len(client.permitted_mask([u for u in USERS if u not in GUILTY], MAILED)) == 51


def test_one_user_who_is_too_much_is_a_quick_no(make_client: MakeClient, heavy: Heavy) -> None:
    """A load of one user is not made in parts, and does not count as an outage."""
    client = make_client(heavy, follow=False, deadline=5)
    assert client.user("u3").decide(MAILED).reason is Reason.UNAVAILABLE
    assert heavy.loaded == [("u3",)]
    assert client.status().ready


def test_a_store_that_is_away_is_not_asked_in_parts(make_client: MakeClient, heavy: Heavy) -> None:
    """A batch that fails at once is not repeated; for one that is late, the store's head is asked once."""
    client = make_client(heavy, follow=False, deadline=DEADLINE)

    pause = [0.0]

    def fail(user_ids: Iterable[str]) -> Standings:
        heavy.loaded.append(tuple(user_ids))
        time.sleep(pause[0])
        raise StoreUnavailable("away")

    heavy.standings = fail  # type: ignore[method-assign]
    for pause[0], loads in ((0.0, 1), (DEADLINE, 2)):
        heavy.loaded.clear()
        assert {user.decide(MAILED).reason for user in client.users(USERS)} == {Reason.UNAVAILABLE}
        time.sleep(2 * DEADLINE)
        assert len(heavy.loaded) == loads
