"""OpenFeature, through its own client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagEvaluationOptions
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import ProviderStatus

from diijam_consent_sdk.decisions import NOT_ENTITLED
from diijam_consent_sdk.integrations.openfeature import ConsentProvider
from diijam_consent_sdk.testing import ConsentForTests


@pytest.fixture
def flags(consent: ConsentForTests) -> Iterator[OpenFeatureClient]:
    """A client of OpenFeature over the provider."""
    consent.agreed("u-1", "acme-records", ["username", "email"], "surveys")
    consent.published("u-1", "avatar")
    api.set_provider_and_wait(ConsentProvider(consent), "consent")
    yield api.get_client("consent")
    api.clear_providers()


SHARED: dict[str, Any] = {"data": ["username"], "purpose": "surveys"}


class Heard(Hook):
    """Keeps the codes of errors, and `after` for what went well."""

    def __init__(self) -> None:
        self.heard: list[str | ErrorCode] = []

    def after(self, *_: Any, **__: Any) -> None:
        """See OpenFeature."""
        self.heard.append("after")

    def error(self, hook_context: HookContext, exception: Exception, hints: HookHints) -> None:
        """See OpenFeature."""
        assert isinstance(exception, OpenFeatureError)
        self.heard.append(exception.error_code)


def user(user_id: str = "u-1", **attributes: Any) -> EvaluationContext:
    """The context that names a user."""
    return EvaluationContext(user_id, attributes)


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
    ("flag", "context", "code", "complaint"),
    [
        ("market.email", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING, "targeting key"),
        ("market.fax", user(), ErrorCode.FLAG_NOT_FOUND, "unknown Channel 'fax'"),
        ("process.marketing", user(), ErrorCode.FLAG_NOT_FOUND, "ask Market"),
        ("sell.email", user(), ErrorCode.FLAG_NOT_FOUND, "a key begins with market., process."),
        ("market", user(), ErrorCode.FLAG_NOT_FOUND, "unknown Channel ''"),
        ("share.", user(**SHARED), ErrorCode.FLAG_NOT_FOUND, ""),
        ("share.acme-records", user(data=["username"]), ErrorCode.INVALID_CONTEXT, "share needs purpose"),
        ("share.acme-records", user(), ErrorCode.INVALID_CONTEXT, "share needs data and purpose"),
        ("share.acme-records", user(**{**SHARED, "data": []}), ErrorCode.INVALID_CONTEXT, ""),
        ("market.email", user(data="email"), ErrorCode.INVALID_CONTEXT, "a set of Field is needed"),
        ("market.email", user("bad\x00id"), ErrorCode.INVALID_CONTEXT, "holds no control"),
    ],
    ids=str,
)
def test_what_cannot_be_answered(
    flags: OpenFeatureClient, flag: str, context: EvaluationContext, code: ErrorCode, complaint: str
) -> None:
    """A mistake in the call is off too, never the default; the details say what to do, and a hook hears the code."""
    details = flags.get_boolean_details(flag, True, context)
    assert (details.value, details.reason) == (False, "ERROR")
    assert complaint in str(details.error_message)
    hook = Heard()
    details = flags.get_boolean_details(flag, False, context, FlagEvaluationOptions([hook]))
    assert (details.value, details.reason, details.error_code) == (False, "ERROR", code)
    assert hook.heard == [code]


def test_the_store_is_out_of_reach(flags: OpenFeatureClient, consent: ConsentForTests) -> None:
    """If nothing is known the flag is off, with a reason that shows it."""
    with consent.offline():
        details = flags.get_boolean_details("market.email", True, user("u-3"))
        checked = flags.get_boolean_details("market.email", False, user("u-3"))
    assert (details.value, details.variant, details.reason) == (False, "unavailable", "STALE")
    assert (checked.value, checked.variant, checked.error_code) == (False, "unavailable", ErrorCode.GENERAL)


def test_a_token_that_is_not_for_the_ask(flags: OpenFeatureClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag is off, and the details name the scope that the token lacks, and who gives it."""
    monkeypatch.setattr(ConsentForTests, "decide", lambda *_: NOT_ENTITLED)
    details = flags.get_boolean_details("market.email", False, user())
    assert (details.value, details.variant, details.reason) == (False, "not_entitled", "ERROR")
    assert details.error_code is ErrorCode.GENERAL
    assert "lacks the scope ask:marketing, which Market needs: who runs the consent service" in str(
        details.error_message
    )
    assert flags.get_boolean_value("market.email", True, user()) is False


def test_a_closed_client(flags: OpenFeatureClient, consent: ConsentForTests) -> None:
    """Its provider is in error, also one that is set after, and every flag off, whatever the default."""
    assert flags.get_provider_status() is ProviderStatus.READY
    consent.close()
    assert flags.get_provider_status() is ProviderStatus.ERROR
    assert flags.get_boolean_value("market.email", True, user()) is False
    with pytest.raises(ProviderNotReadyError, match="make a new one"):
        api.set_provider_and_wait(ConsentProvider(consent), "late")
    late = api.get_client("late")
    assert late.get_provider_status() is ProviderStatus.ERROR
    assert late.get_boolean_value("market.email", True, user()) is False


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
