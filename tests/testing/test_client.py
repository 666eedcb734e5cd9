"""The client that tests of services get: real leases and rules, time and store in the test's hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from diijam_consent_sdk import Channel, Field, Purpose, Reason, UserConsent, errors
from diijam_consent_sdk.decisions import UNAVAILABLE
from diijam_consent_sdk.due import Due
from diijam_consent_sdk.errors import (
    ClientClosed,
    ConsentDenied,
    ConsentError,
    HeadNotContinued,
    HistoryChanged,
    InvalidEvent,
    KeyReused,
    LedgerBroken,
    NotEntitled,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
    StoreUnusable,
    TooLarge,
    VersionConflict,
)
from diijam_consent_sdk.events import AccountClosed, AccountOpened, Granted, RequestFiled, Withdrawn
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.testing import ConsentForTests
from diijam_consent_sdk.testing.faulty import Raised


@pytest.fixture
def consent() -> Iterator[ConsentForTests]:
    """The client, whether or not the plugin is installed."""
    with ConsentForTests() as client:
        yield client


def test_histories_in_one_line(consent: ConsentForTests) -> None:
    """Each helper leaves a user with exactly that state."""
    assert consent.opened("u-1").can_process(Purpose.PAYMENT)
    user = consent.opted_in("u-2", Channel.EMAIL, Purpose.SURVEYS)
    assert user.can_market("email")
    assert user.can_process("surveys")
    assert not user.can_market("call")
    user = consent.opted_out("u-2", Channel.EMAIL)
    assert user.can_market("email").reason is Reason.WITHDRAWN
    assert user.can_process("surveys")
    user = consent.agreed("u-2", "acme-records", {Field.USERNAME}, Purpose.MARKETING)
    assert user.can_share("acme-records", ["username"], "marketing")
    assert user.can_share("acme-records", ["email"], "marketing").reason is Reason.BEYOND_NOTICE
    assert consent.agreed("u-2", "acme-records", {Field.EMAIL}, Purpose.MARKETING).can_share(
        "acme-records", ["email"], "marketing"
    )
    assert consent.published("u-2", Field.AVATAR).public_view({"avatar": 1, "email": 2}) == {"avatar": 1}
    user = consent.given("u-3", AccountOpened(), Granted("contests", "n-1"), Withdrawn("contests"))
    assert (user.can_process("contests").reason, user.version) == ("withdrawn", 3)


def test_a_user_who_left_comes_back(consent: ConsentForTests) -> None:
    """A helper opens the account of one who left, and does not touch one that is open."""
    consent.given("u-1", AccountOpened(), AccountClosed())
    assert consent.opted_in("u-1", "email").version == 4
    assert consent.opted_in("u-1", "call").version == 5


def test_opting_out_of_everything(consent: ConsentForTests) -> None:
    """`MARKETING` as a purpose is a no to every channel; a yes to it names its channels."""
    consent.opted_in("u-1", *Channel)
    user = consent.opted_out("u-1", Purpose.MARKETING)
    assert not any(user.can_market(channel) for channel in Channel)
    with pytest.raises(InvalidEvent, match="names its channels"):
        consent.opted_in("u-1", Purpose.MARKETING)


def test_a_word_that_is_none(consent: ConsentForTests) -> None:
    """A word that is neither channel nor purpose raises, and so does opting in to nothing."""
    with pytest.raises(ValueError, match="unknown Purpose 'fax'"):
        consent.opted_in("u-1", "fax")
    with pytest.raises(ValueError, match="no events"):
        consent.opted_in("u-1")


def test_time_passes_when_told(consent: ConsentForTests) -> None:
    """A consent expires, on a held user and on a new one, when the clock has come to it and not before."""
    user = consent.opted_in("u-1", "email", expires_at=consent.clock.later(30))
    consent.clock.tick(29)
    assert user.can_market("email")
    assert consent.can_market("u-1", "email")
    consent.clock.tick(1)
    assert user.can_market("email").reason is Reason.STALE
    assert consent.can_market("u-1", "email").reason is Reason.EXPIRED


def test_without_the_store(consent: ConsentForTests) -> None:
    """What is known answers until its lease is over, a write is refused, and all is well again after the block."""
    consent.opted_in("u-1", "email")
    with consent.offline():
        assert consent.can_market("u-1", "email")
        assert consent.can_market("u-2", "email").reason is Reason.UNAVAILABLE
        with pytest.raises(StoreUnavailable):
            consent.record("u-3", AccountOpened())
        consent.clock.tick(60)
        assert consent.can_market("u-1", "email").reason is Reason.UNAVAILABLE
    assert consent.can_market("u-1", "email")
    assert consent.can_market("u-2", "email").reason is Reason.UNKNOWN_USER


ERRORS: list[Raised] = [
    StoreError("failed"),
    StoreUnavailable("away"),
    TooLarge("ask for fewer"),
    NotEntitled("the token lacks the scope write:refusals", ("write:refusals",)),
    OutcomeUnknown("lost", "key"),
    StoreUnusable("of a newer version"),
    LedgerBroken(1, "another hash"),
    HeadNotContinued(1, "another hash"),
    InvalidEvent("refused"),
    KeyReused("another key"),
    VersionConflict(1, 2),
]
# The base, a guard's no, the error of a closed client, and that of a token of another history.
OTHERWISE = {ConsentError, ConsentDenied, ClientClosed, HistoryChanged}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_can_be_had(error: Raised, consent: ConsentForTests) -> None:
    """A service can be tried with each error that `record` raises, and all is well after the block."""
    with consent.failing(error), pytest.raises(type(error)):
        consent.record("u-1", AccountOpened())
    assert consent.opted_in("u-2", "email").can_market("email")


def test_no_error_is_left_out(consent: ConsentForTests) -> None:
    """Each class of errors is raised on demand, or comes of a no or a closed client; any other is a TypeError."""
    known = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ConsentError)}
    assert {type(error) for error in ERRORS} | OTHERWISE == known
    with pytest.raises(TypeError, match="no store raises ConsentDenied"), consent.failing(ConsentDenied(UNAVAILABLE)):  # type: ignore[arg-type]
        pass
    with pytest.raises(ConsentDenied):
        consent.can_market("u-1", "email").or_raise()
    with pytest.raises(HistoryChanged):
        consent.entries(MemoryStore().append("u-1", [AccountOpened()]).token)
    consent.close()
    with pytest.raises(ClientClosed):
        consent.record("u-1", AccountOpened())


@pytest.mark.parametrize("written", [True, False])
def test_an_outcome_that_becomes_known(written: bool, consent: ConsentForTests) -> None:
    """Within the block the user is denied; after it the client finds out, and the no stands in any case."""
    consent.opted_in("u-1", "email")
    with consent.failing(OutcomeUnknown("lost", "key"), written=written):
        with pytest.raises(OutcomeUnknown):
            consent.record("u-1", Withdrawn("marketing"))
        assert consent.can_market("u-1", "email").reason is Reason.UNAVAILABLE
    until = time.monotonic() + 20
    while consent.can_market("u-1", "email").reason is Reason.UNAVAILABLE:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert consent.can_market("u-1", "email").reason is Reason.WITHDRAWN


def test_the_work_list(consent: ConsentForTests) -> None:
    """Both faces tell what is due."""
    consent.given("u-1", AccountOpened(), RequestFiled("r-1", "access"))

    async def ask() -> Due:
        """What a service would do."""
        async with consent.asynchronous() as client:
            return await client.due()

    assert [owed.user_id for owed in consent.due().requests] == ["u-1"]
    assert [owed.user_id for owed in asyncio.run(ask()).requests] == ["u-1"]
    with consent.offline(), pytest.raises(StoreUnavailable):
        consent.due()


def test_nothing_runs_beside_the_test(consent: ConsentForTests) -> None:
    """No feed is polled: the store is called for what the test asked alone."""
    consent.opened("u-1")
    consent.clock.tick(600)
    assert set(consent.store.calls) == {"load", "standings", "append"}
    assert consent.status().feed == "off"


def test_the_asyncio_face(consent: ConsentForTests) -> None:
    """The asynchronous client sees the same store and the same clocks."""
    consent.opted_in("u-1", "email", expires_at=consent.clock.later(30))

    async def ask() -> list[str]:
        """What a service would do."""
        async with consent.asynchronous() as client:
            before = await client.user("u-1")
            assert before.can_market("email")
            consent.clock.tick(30)
            users = [before, await client.user("u-1"), *[user async for user in client.users(["u-1", "u-2"])]]
            return [user.can_market("email").reason for user in users]

    assert asyncio.run(ask()) == ["stale", "expired", "expired", "unknown_user"]


def test_a_coroutine_is_no_answer(consent: ConsentForTests) -> None:
    """A forgotten await raises where it is read as a yes; and what was not forgotten works in every way."""
    consent.opted_in("u-1", "email")
    client = consent.asynchronous()
    with pytest.raises(TypeError, match="await it"):
        bool(client.user("u-1"))

    async def ask() -> list[UserConsent]:
        """What a service would do."""
        task = asyncio.create_task(client.user("u-1"))
        gathered = await asyncio.gather(client.user("u-1"), asyncio.wait_for(client.user("u-1"), 5))
        return [await client.user("u-1"), await task, *gathered]

    assert all(user.can_market("email") for user in asyncio.run(ask()))
