"""
Slips that would read as yes, and what mypy says of each. Never run: mypy reads it, and `warn_unused_ignores` has it
complain of each line below that it no longer reports.
"""

from __future__ import annotations

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, Decision, Market, UserConsent
from diijam_consent_sdk.events import Withdrawn


def a_guard_is_not_called(user: UserConsent, consent: ConsentClient) -> str:
    """Reported by mypy as it comes."""
    if user.can_market:  # type: ignore[truthy-function]
        print("sent")
    if consent.can_market:  # type: ignore[truthy-function]
        print("sent")
    print([one.user_id for one in consent.users(["u-1"]) if one.can_market])  # type: ignore[truthy-function]
    takes_a_bool(user.can_market)  # type: ignore[arg-type]
    return "shown" if user.is_public else "hidden"  # type: ignore[truthy-function]


def a_no_is_not_called(user: UserConsent) -> None:
    """Reported by mypy as it comes, and that nothing is ever kept back."""
    if not user.can_process:  # type: ignore[truthy-function]
        print("kept back")  # type: ignore[unreachable]


def a_condition_is_not_called(user: UserConsent) -> Decision:
    """Reported by mypy as it comes."""
    return user.can_retain and user.can_process("payment")  # type: ignore[truthy-function]


def what_is_no_answer(consent: ConsentClient) -> None:
    """Reported with `enable_error_code = truthy-bool`."""
    user = consent.user("u-1")
    if user:  # type: ignore[truthy-bool]
        print("sent")
    if consent.permitted(["u-1"], Market("email")):  # type: ignore[truthy-bool]
        print("sent")
    if consent.users(["u-1"]):  # type: ignore[truthy-bool]
        print("sent")


async def an_await_is_forgotten(consent: AsyncConsentClient) -> None:
    """Reported by mypy as it comes, but for the last three, which take `truthy-bool`."""
    consent.user("u-1")  # type: ignore[unused-coroutine]
    consent.record("u-1", Withdrawn("marketing"))  # type: ignore[unused-coroutine]
    consent.user("u-1").can_market("email")  # type: ignore[attr-defined]
    consent.can_market("u-1", "email")  # type: ignore[attr-defined]
    for user_id in consent.permitted(["u-1"], Market("email")):  # type: ignore[attr-defined]
        print(user_id)
    if consent.user("u-1"):  # type: ignore[truthy-bool]
        print("sent")
    if await consent.user("u-1"):  # type: ignore[truthy-bool]
        print("sent")
    if consent.permitted(["u-1"], Market("email")):  # type: ignore[truthy-bool]
        print("sent")


def takes_a_bool(answer: bool) -> None:
    """A function of the service."""
    print(answer)
