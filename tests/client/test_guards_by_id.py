"""Guards by id, on the sync client."""

from __future__ import annotations

import pytest

from diijam_consent_sdk import ConsentClient, Process, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.testing import FaultyStore, LeaseClock
from tests.client.conftest import SIGNED_UP, Face


def test_guards_of_data_read_it_once(client: Face, store: FaultyStore) -> None:
    """Fields given by an iterator count in full: no restriction is missed because a first look used them up."""
    store.inner.append("u", [e.AccountOpened(), e.Restricted({"phone"})])
    user = client.user("u")
    assert user.can_process("fraud_detection", (field for field in ["phone"])).reason is Reason.RESTRICTED
    assert user.decide(Process("fraud_detection", iter(["email"]))).allowed


def test_an_answer_asked_again_is_no_denial(store: FaultyStore, clock: LeaseClock) -> None:
    """A guard by id that found the lease over and loaded the user again counts no denial."""
    with ConsentClient(store, follow=False, clock=clock) as consent:
        consent.record("u", *SIGNED_UP)
        for _ in range(2):
            assert consent.can_market("u", "email")
            clock.tick(60)
        assert not any(consent.status().denials.values())


class _Everything:
    """Equals whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_what_only_claims_to_be_no_data_is_a_mistake(client: Face, store: FaultyStore) -> None:
    """The short way of `can_market` is for no data alone, not for an object that claims to equal it."""
    store.inner.append("u", SIGNED_UP)
    with pytest.raises(TypeError, match="a set of Field"):
        client.user("u").can_market("email", data=_Everything())  # type: ignore[arg-type]


def test_a_view_of_what_is_no_mapping_is_a_mistake(client: Face) -> None:
    """`public_view` of a list raises, and names the type it needs."""
    with pytest.raises(TypeError, match="takes a mapping"):
        client.user("u").public_view(["avatar"])  # type: ignore[arg-type]
