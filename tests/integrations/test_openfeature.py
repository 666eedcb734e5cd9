"""OpenFeature, through its own client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from diijam_consent_sdk.integrations.openfeature import ConsentProvider
from diijam_consent_sdk.testing import ConsentForTests


@pytest.fixture
def flags(consent: ConsentForTests) -> Iterator[OpenFeatureClient]:
    """A client of OpenFeature over the provider."""
    consent.agreed("u-1", "acme-records", ["username", "email"], "surveys")
    consent.published("u-1", "avatar")
    api.set_provider(ConsentProvider(consent), "consent")
    yield api.get_client("consent")
    api.clear_providers()


def user(user_id: str = "u-1", **attributes: Any) -> EvaluationContext:
    """The context that names a user."""
    return EvaluationContext(user_id, attributes)


SHARED = {"data": ["username"], "purpose": "surveys"}


@pytest.mark.parametrize(
    ("flag", "attributes", "reason"),
    [
        ("market.email", {}, "consented"),
        ("market.email", {"data": ["listening_history"]}, "consented"),
        ("process.payment", {}, "needed_for_service"),
        ("process.payment", {"data": []}, "needed_for_service"),
        ("show.avatar", {}, "published"),
        ("retain.email", {}, "in_service"),
        ("share.acme-records", SHARED, "agreed"),
    ],
)
def test_a_yes(flags: OpenFeatureClient, flag: str, attributes: dict[str, Any], reason: str) -> None:
    """An allowed ask is a flag that is on, its reason the variant and its clause beside it."""
    details = flags.get_boolean_details(flag, False, user(**attributes))
    assert (details.value, details.variant, details.reason) == (True, reason, "TARGETING_MATCH")
    assert details.flag_metadata["clause"] in {4, 5, 6, 7}
    assert flags.get_boolean_value(flag, False, user(**attributes)) is True


@pytest.mark.parametrize(
    ("flag", "attributes", "reason"),
    [
        ("market.call", {}, "not_consented"),
        ("process.surveys", {}, "not_consented"),
        ("show.email", {}, "not_publishable"),
        ("share.acme-records", {**SHARED, "data": ["phone"]}, "beyond_notice"),
        ("share.bolt", SHARED, "not_notified"),
    ],
)
def test_a_no(flags: OpenFeatureClient, flag: str, attributes: dict[str, Any], reason: str) -> None:
    """A denied ask is a flag that is off, whatever default was passed."""
    details = flags.get_boolean_details(flag, True, user(**attributes))
    assert (details.value, details.variant) == (False, reason)


@pytest.mark.parametrize(
    ("flag", "context", "complaint"),
    [
        ("market.email", EvaluationContext(), "targeting key"),
        ("market.fax", user(), "unknown Channel 'fax'"),
        ("process.marketing", user(), "ask Market"),
        ("sell.email", user(), "a key begins with market., process."),
        ("market", user(), "unknown Channel ''"),
        ("share.acme-records", user(data=["username"]), "share needs purpose"),
        ("share.acme-records", user(), "share needs data and purpose"),
        ("market.email", user(data="email"), "a set of Field is needed"),
        ("market.email", user("bad\x00id"), "holds no control"),
    ],
    ids=str,
)
def test_what_cannot_be_answered(
    flags: OpenFeatureClient, flag: str, context: EvaluationContext, complaint: str
) -> None:
    """A mistake in the call is off too, never the default, and the details say what to do."""
    details = flags.get_boolean_details(flag, True, context)
    assert (details.value, details.reason) == (False, "ERROR")
    assert complaint in str(details.error_message)


def test_the_store_is_out_of_reach(flags: OpenFeatureClient, consent: ConsentForTests) -> None:
    """Where nothing is known the flag is off and told apart."""
    with consent.offline():
        details = flags.get_boolean_details("market.email", True, user("u-3"))
    assert (details.value, details.variant, details.reason) == (False, "unavailable", "STALE")


def test_the_asynchronous_face(flags: OpenFeatureClient) -> None:
    """The same without holding up the event loop."""

    async def ask() -> list[bool]:
        """Ask for two flags."""
        return [await flags.get_boolean_value_async(flag, True, user()) for flag in ("market.email", "market.call")]

    assert asyncio.run(ask()) == [True, False]


def test_other_types(flags: OpenFeatureClient) -> None:
    """An ask is no string, number or object: the default, with an error."""
    found = [
        flags.get_string_details("market.email", "default", user()),
        flags.get_integer_details("market.email", 7, user()),
        flags.get_float_details("market.email", 0.5, user()),
        flags.get_object_details("market.email", {}, user()),
    ]
    assert [details.value for details in found] == ["default", 7, 0.5, {}]
    assert {details.error_code for details in found} == {ErrorCode.TYPE_MISMATCH}
