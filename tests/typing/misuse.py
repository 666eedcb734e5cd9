"""
Slips that would read as yes, and what mypy and pyright say of each. Never run: both read it, and complain of each line
below that they no longer report.
"""

# pyright: reportUnusedCallResult=true

from __future__ import annotations

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, Decision, Market, UserConsent
from diijam_consent_sdk.events import Withdrawn


def a_guard_is_not_called(user: UserConsent, consent: ConsentClient) -> str:
    """Reported by mypy as it comes."""
    if user.can_market:  # type: ignore[truthy-function]  # pyright: ignore[reportUnnecessaryComparison]
        print("sent")
    if consent.can_market:  # type: ignore[truthy-function]  # pyright: ignore[reportUnnecessaryComparison]
        print("sent")
    print([one.user_id for one in consent.users(["u-1"]) if one.can_market])  # type: ignore[truthy-function]  # pyright: ignore[reportUnnecessaryComparison]
    takes_a_bool(user.can_market)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return "shown" if user.is_public else "hidden"  # type: ignore[truthy-function]  # pyright: ignore[reportUnnecessaryComparison]


def a_no_is_not_called(user: UserConsent) -> None:
    """Reported by mypy as it comes, and that nothing is ever kept back."""
    if not user.can_process:  # type: ignore[truthy-function]  # pyright: ignore[reportUnnecessaryComparison]
        print("kept back")  # type: ignore[unreachable]


def a_condition_is_not_called(user: UserConsent) -> Decision:
    """Reported by mypy as it comes."""
    return user.can_retain and user.can_process("payment")  # type: ignore[truthy-function]


def what_is_no_answer(consent: ConsentClient) -> None:
    """Reported with `enable_error_code = truthy-bool`."""
    user = consent.user("u-1")
    if user:  # type: ignore[truthy-bool]  # pyright: ignore[reportGeneralTypeIssues]
        print("sent")
    if consent.permitted(["u-1"], Market("email")):  # type: ignore[truthy-bool]
        print("sent")
    if consent.users(["u-1"]):  # type: ignore[truthy-bool]
        print("sent")


async def an_await_is_forgotten(consent: AsyncConsentClient) -> None:
    """Reported by mypy as it comes, but for the last three, which take `truthy-bool`."""
    consent.user("u-1")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine, reportUnusedCallResult]
    consent.record("u-1", Withdrawn("marketing"))  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine, reportUnusedCallResult]
    consent.user("u-1").can_market("email")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    consent.can_market("u-1", "email")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    for _ in consent.permitted(["u-1"], Market("email")):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        print("sent")
    if consent.user("u-1"):  # type: ignore[truthy-bool]  # pyright: ignore[reportUnnecessaryComparison]
        print("sent")
    if await consent.user("u-1"):  # type: ignore[truthy-bool]  # pyright: ignore[reportGeneralTypeIssues]
        print("sent")
    if consent.permitted(["u-1"], Market("email")):  # type: ignore[truthy-bool]
        print("sent")


def an_answer_is_ignored(user: UserConsent, consent: ConsentClient) -> None:
    """Reported by pyright with `reportUnusedCallResult`; mypy has nothing like it."""
    user.can_market("email")  # pyright: ignore[reportUnusedCallResult]
    user.can_process("surveys").or_raise()  # pyright: ignore[reportUnusedCallResult]
    consent.permitted(["u-1"], Market("email"))  # pyright: ignore[reportUnusedCallResult]
    _ = user.can_process("surveys").or_raise()


def takes_a_bool(answer: bool) -> None:
    """A function of the service."""
    print(answer)
