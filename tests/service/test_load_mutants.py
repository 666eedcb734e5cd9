"""Each rule of readers together switched off, one at a time: the test of that rule has to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from diijam_consent_sdk.errors import ConsentError, TooLarge
from diijam_consent_sdk.service import store_executor
from diijam_consent_sdk.service.joint_loads import JointLoads, Line, Member
from tests.service import test_joint_loads as rules

FAILURES = (AssertionError, ConsentError)
_load = JointLoads.load


async def call_under_way_joined(self: Any, caller: str, user_ids: list[str], convert: Callable[[Any], Any]) -> Any:
    """Take the answer of a call for the same users that began before."""
    calls: dict[tuple[str, ...], asyncio.Task[Any]] = self.__dict__.setdefault("calls", {})
    key = tuple(user_ids)
    if key not in calls:
        calls[key] = asyncio.ensure_future(_load(self, caller, user_ids, lambda found: found))
        calls[key].add_done_callback(lambda _: calls.pop(key))
    return convert(await calls[key])


def everybody_taken(self: Line[Any]) -> list[Member[Any]]:
    """Take all who wait, whoever has left and however many they are."""
    taken = list(self.waiting)
    self.waiting.clear()
    self.is_next_queued = False
    return taken


def failure_shared(_: object, __: str, members: list[Member[Any]], error: Exception) -> None:
    """Give the error of a joint call to all its loads."""
    for member in members:
        member.settle(error)


def slow_call_waited_for(_: object, __: str, ___: Line[Any]) -> None:
    """Begin no call beside one that is slow."""


async def one_line_for_all(self: Any, _: str, user_ids: list[str], convert: Callable[[Any], Any]) -> Any:
    """Join the loads of all callers."""
    return await _load(self, None, user_ids, convert)


MUTANTS: dict[str, tuple[Any, str, object, Callable[..., None], dict[str, Any]]] = {
    "call under way joined": (
        JointLoads, "load", call_under_way_joined, rules.test_a_load_never_joins_a_call_that_began_before, {},
    ),
    "calls of any size": (Line, "take", everybody_taken, rules.test_a_call_has_at_most_a_thousand_users, {}),
    "who left is asked for": (Line, "take", everybody_taken, rules.test_who_leaves_is_not_asked_for, {}),
    "one failure for all": (
        JointLoads, "_repeat", failure_shared, rules.test_a_joint_call_that_fails_is_asked_again_one_by_one,
        {"error": TooLarge("ask for fewer")},
    ),
    "slow call waited for": (
        JointLoads, "_begin_later", slow_call_waited_for, rules.test_a_slow_call_delays_no_later_one, {},
    ),
    "one line for all": (JointLoads, "load", one_line_for_all, rules.test_a_slow_call_delays_no_other_caller, {}),
    "large loads joined": (
        store_executor, "MAX_JOINED_USERS", 1_000, rules.test_a_larger_load_goes_alone_beside_the_joint_call, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_that_is_switched_off_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the rule fails, within seconds."""
    owner, member, mutant, rule, fixtures = MUTANTS[name]
    monkeypatch.setattr(owner, member, mutant)
    monkeypatch.setattr(rules, "HELD_SECONDS", 1.0)
    if "monkeypatch" in signature(rule).parameters:
        fixtures = {**fixtures, "monkeypatch": monkeypatch}
    with pytest.raises(FAILURES):
        rule(make=rules.make_sync, **fixtures)
