"""A slip that would read as yes raises: a guard that is not called, answers that nobody goes through."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, Market, UserConsent
from diijam_consent_sdk.cache.guard import BoundGuard
from diijam_consent_sdk.events import AccountOpened, Granted
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.testing.client import GUARDS, ConsentForTests


@pytest.fixture
def store() -> MemoryStore:
    """A store in which u-1 said yes to mail."""
    store = MemoryStore()
    store.append("u-1", [AccountOpened(), Granted("marketing", "notice-1", ["email"])])
    return store


@pytest.fixture
def consent(store: MemoryStore) -> Iterator[ConsentClient]:
    """A client as services have it."""
    with ConsentClient(store, follow=False) as consent:
        yield consent


async def awaited(store: MemoryStore) -> UserConsent:
    """u-1 from the asyncio client."""
    async with AsyncConsentClient(store, follow=False) as consent:
        return await consent.user("u-1")


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_is_not_called(consent: ConsentClient, store: MemoryStore, guard: str) -> None:
    """On a user, however come by, and on the client for tests, an uncalled guard has no truth and names itself."""
    users = [consent.user("u-1"), next(iter(consent.users(["u-1"]))), asyncio.run(awaited(store))]
    for asked in (*users, ConsentForTests()):
        with pytest.raises(TypeError, match=rf"a guard is called: write {guard}\("):
            bool(getattr(asked, guard))
        assert callable(getattr(asked, guard))


def test_every_guard_is_loud() -> None:
    """Whatever gives a decision on a user is loud, and so is `public_view`."""
    for kind in (UserConsent, ConsentClient):
        methods = dict(inspect.getmembers(kind, callable))
        public = {name: method for name, method in methods.items() if not name.startswith("_")}
        returns = {name: inspect.signature(method).return_annotation for name, method in public.items()}
        deciding = {name for name, returned in returns.items() if returned == "Decision"}
        assert deciding | {"public_view"} == set(GUARDS)


def test_a_loud_guard_is_still_the_guard(consent: ConsentClient) -> None:
    """It takes the same arguments, in the same words, tells the same of itself, and answers the same in each form."""
    user = consent.user("u-1")
    yes = user.decide(Market("email"))
    asks: list[Any] = [
        user.can_market("email"), user.can_market(channel="email", data=()), UserConsent.can_market(user, "email"),
        consent.can_market("u-1", "email"), consent.can_market(user_id="u-1", channel="email", data=()),
        ConsentClient.can_market(consent, "u-1", "email"),
    ]  # fmt: skip
    assert yes.allowed
    assert all(answer is yes for answer in asks)
    assert list(inspect.signature(user.can_market).parameters) == ["channel", "data"]
    assert list(inspect.signature(consent.can_market).parameters) == ["user_id", "channel", "data"]
    assert "clause 4" in str(UserConsent.can_market.__doc__)
    assert isinstance(user.can_market, BoundGuard)


def test_iterators_can_be_left_early(store: MemoryStore, consent: ConsentClient) -> None:
    """They close what they go through, as generators do."""
    with closing(consent.users(["u-1", "u-2"])) as users:  # type: ignore[type-var]
        assert next(users).user_id == "u-1"
    assert list(users) == []

    async def leave() -> list[str]:
        """The same on a loop."""
        async with AsyncConsentClient(store, follow=False) as client:
            async with aclosing(client.permitted(["u-1", "u-2"], Market("email"))) as ids:  # type: ignore[type-var]
                assert await anext(ids) == "u-1"
            return [user_id async for user_id in ids]

    assert asyncio.run(leave()) == []


@pytest.mark.parametrize("face", ["sync", "async"])
def test_iterators_are_no_answer(store: MemoryStore, face: str) -> None:
    """What `users` and `permitted` give has no truth, but can be gone through."""

    async def ask() -> object:
        """Ask in a loop: the asyncio client needs one."""
        client: Any = (ConsentClient if face == "sync" else AsyncConsentClient)(store, follow=False)
        for given in (client.users(["u-1"]), client.permitted(["u-1"], Market("email"))):
            with pytest.raises(TypeError, match="one by one"):
                bool(given)
        found = client.permitted(["u-2", "u-1"], Market("email"))
        if isinstance(client, ConsentClient):
            first = next(found)
            client.close()
        else:
            first = await anext(found)
            await client.close()
        return first

    assert asyncio.run(ask()) == "u-1"
