"""The conformance suite misses each rule of holders that a store does not keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import attrs
import pytest

from diijam_consent_sdk.events import AccountClosed, AccountOpened, Event, LedgerEntry, RequestFiled, RequestResolved
from diijam_consent_sdk.holders import Erasure, HolderRegistry, erasure_after, holder_refusals
from diijam_consent_sdk.testing.conformance import CaseOutcome, load_cases, run
from tests.conformance.broken import Sound


def owes(change: Callable[..., bool]) -> tuple[str, Any]:
    """Holders that owe something else: *change* gets the registration, the beginning and whether it is confirmed."""

    def owes(holders: HolderRegistry, holder: str, erasure: Erasure | None) -> bool:
        """Whether the holder owes the erasure."""
        at = holders.registered.get(holder)
        if erasure is None or at is None:
            return False
        return change(at, erasure.began_at, holder in erasure.confirmed)

    return "diijam_consent_sdk.holders.HolderRegistry.owes", owes


def after(change: Callable[..., Erasure | None]) -> tuple[str, Any]:
    """Erasures that begin or go on otherwise: *change* gets what is right, what was before, and the entry."""

    def wrong(known: Erasure | None, entry: LedgerEntry, **now: bool) -> Erasure | None:
        """What the holders owe after an entry."""
        return change(erasure_after(known, entry, **now), known, entry.event)

    return "diijam_consent_sdk.record.erasure_after", wrong


def without_refusal(reason: str) -> tuple[str, Any]:
    """All refusals for the sake of holders but one."""

    def without(event: Event, erasure: Erasure | None, holders: HolderRegistry) -> Iterator[tuple[bool, str]]:
        """All rules but the one."""
        return (test for test in holder_refusals(event, erasure, holders) if reason not in test[1])

    return "diijam_consent_sdk.record.holder_refusals", without


def keeps(*kinds: type[Event]) -> tuple[str, Any]:
    """What was confirmed counts on after these events."""
    return after(lambda right, known, event: known if right and known and isinstance(event, kinds) else right)


HOLDER_RULES: dict[str, tuple[str, Any]] = {
    "erased waits for nobody": without_refusal("retire the holder"),
    "anybody confirms": without_refusal("no such holder"),
    "a holder confirms twice": without_refusal("already"),
    "a holder owes what began before it was there": owes(lambda at, began, confirmed: not confirmed),
    "a holder owes nothing of the same instant": owes(lambda at, began, confirmed: at < began and not confirmed),
    "a confirmation counts for nothing": owes(lambda at, began, confirmed: at <= began),
    "a closing is owed to nobody": after(
        lambda right, known, event: None if isinstance(event, AccountClosed) and not known else right
    ),
    "each request begins anew": after(
        lambda right, known, event: (
            right and attrs.evolve(right, confirmed=frozenset()) if isinstance(event, RequestFiled) else right
        )
    ),
    "a closing begins anew": after(
        lambda right, known, event: (
            right and attrs.evolve(right, confirmed=frozenset()) if isinstance(event, AccountClosed) else right
        )
    ),
    "a request on a closed account goes on": keeps(RequestFiled),
    "opening goes on": keeps(AccountOpened),
    "the end of a request on a closed account goes on": keeps(RequestResolved),
}


@pytest.mark.parametrize("rule", HOLDER_RULES.values(), ids=list(HOLDER_RULES))
def test_a_rule_of_holders_that_is_not_kept_is_missed(monkeypatch: pytest.MonkeyPatch, rule: tuple[str, Any]) -> None:
    """A store with another rule of what holders owe fails a case."""
    cases = [case for case in load_cases() if case.id.startswith("6-holders")]
    monkeypatch.setattr(*rule)
    with closing(Sound()) as sound:
        results = run(sound, cases, tick=sound.wall.tick, new_ledger=lambda: closing(Sound()))
        assert any(result.outcome is CaseOutcome.FAILED for result in results)
