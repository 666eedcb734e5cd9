"""Holders and what they owe, through either client."""

from __future__ import annotations

import threading

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import ClientClosed, InvalidEvent, OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.stores import Write
from diijam_consent_sdk.testing import FaultyStore
from tests.client.conftest import Face, MakeClient

ERASURE = e.RequestFiled("q-1", "erasure")


def test_holders_are_registered_and_retired(client: Face, store: FaultyStore) -> None:
    """The names are listed in order; the first registration is given again, with the writer that the client names."""
    assert client.holders() == []
    first = client.register_holder("warehouse")
    assert store.inner.holders() == [first]
    client.register_holder("mailer")
    assert client.register_holder("warehouse") == first
    assert client.holders() == ["mailer", "warehouse"]
    client.retire_holder("warehouse")
    client.retire_holder("warehouse")
    assert client.holders() == ["mailer"]


def test_the_actor_is_the_writer(make_client: MakeClient, store: FaultyStore) -> None:
    """A registration names who made it."""
    assert make_client(actor="privacy-team").register_holder("mailer").by == "privacy-team"


def test_what_a_holder_owes_until_it_confirms(client: Face) -> None:
    """`Erased` is refused with the names of who is missing, the work list has them, and the last one frees it."""
    client.register_holder("mailer")
    client.register_holder("warehouse")
    client.record("u-1", e.AccountOpened(), ERASURE)
    client.record("u-2", e.AccountOpened(), e.AccountClosed())
    owed = client.erasures("mailer")
    assert [(erasure.user_id, erasure.due_at is None) for erasure in owed] == [("u-1", False), ("u-2", True)]
    client.record("u-1", e.ErasureConfirmed("mailer"))
    assert [owed.user_id for owed in client.erasures("mailer")] == ["u-2"]
    (held,) = client.due().held
    assert (held.user_id, held.missing) == ("u-1", ("warehouse",))
    with pytest.raises(InvalidEvent, match=r"or retire the holder: warehouse$"):
        client.record("u-1", e.Erased())
    client.record("u-1", e.ErasureConfirmed("warehouse"))
    (erasable,) = client.due().erasable
    assert (erasable.user_id, erasable.missing) == ("u-1", ())
    client.record("u-1", e.Erased())


def test_all_that_is_owed_is_listed_however_much(client: Face, store: FaultyStore) -> None:
    """Several pages make one list."""
    client.register_holder("mailer")
    users = [f"u-{number:04}" for number in range(1_003)]
    for start in range(0, len(users), 500):
        store.inner.append_many([_asked(user_id) for user_id in users[start : start + 500]])
    assert [owed.user_id for owed in client.erasures("mailer")] == users
    assert store.calls.count("erasures") == 2


def _asked(user_id: str) -> Write:
    return Write(user_id, [ERASURE])


@pytest.mark.parametrize("name", ["", " mailer", 7])
def test_a_malformed_name_is_a_plain_error(client: Face, store: FaultyStore, name: str) -> None:
    """It is told before the store is asked; a holder that is not registered is a `ValueError`, too."""
    for call in (client.register_holder, client.retire_holder, client.erasures):
        with pytest.raises((ValueError, TypeError), match="id"):
            call(name)
    assert store.calls == []
    with pytest.raises(ValueError, match="no such holder is registered"):
        client.erasures("mailer")


def test_a_registration_that_takes_too_long_may_have_been_written(make_client: MakeClient, store: FaultyStore) -> None:
    """`StoreUnavailable` would promise that nothing was written, so a write is `OutcomeUnknown`, a read is not."""
    client = make_client(deadline=0.2)
    held = threading.Event()
    store.hold.update(dict.fromkeys(("register_holder", "retire_holder", "holders", "erasures"), held))
    for write in (client.register_holder, client.retire_holder):
        with pytest.raises(OutcomeUnknown, match="make the same call again"):
            write("mailer")
    store.inner.register_holder("mailer")
    for read in (client.holders, lambda: client.erasures("mailer")):
        with pytest.raises(StoreUnavailable, match="did not answer within"):
            read()
    held.set()


def test_a_closed_client_asks_nothing(client: Face, store: FaultyStore) -> None:
    """Each call raises `ClientClosed`, and the store is not asked."""
    client.close()
    store.calls.clear()
    for call in (client.register_holder, client.retire_holder, client.erasures):
        with pytest.raises(ClientClosed):
            call("mailer")
    with pytest.raises(ClientClosed):
        client.holders()
    assert store.calls == []
