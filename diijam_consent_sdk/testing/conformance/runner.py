"""Plays cases on a store, and says of each whether it held."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum, auto

import attrs

from ...decisions import decide
from ...errors import StoreUnavailable
from ...stores.protocol import Store
from .cases import Case, load_cases
from .player import Decide, Mismatch, Player

NEEDS_CLOCK = "needs a store whose clock can be set"


class CaseOutcome(StrEnum):
    """How a case went."""

    PASSED = auto()
    FAILED = auto()
    SKIPPED = auto()


@attrs.frozen
class Result:
    """A case, how it went, and why it failed or was skipped."""

    case: Case
    outcome: CaseOutcome
    why: str = ""


def run(
    store: Store,
    cases: Iterable[Case] | None = None,
    *,
    tick: Callable[[float], None] | None = None,
    decide: Decide = decide,
) -> Iterator[Result]:
    """
    Play the cases, one after the other. Each writes users of its own, with random ids; they stay in the ledger.

    Args:
        store: What is tested. It may hold others' records, and others may write to it meanwhile.

        cases: Which; all if none are given.

        tick: Sets the store's wall clock forward by seconds. Without it, cases that write after a wait are skipped.

        decide: What decides asks on the store's records.

    Raises:
        StoreUnavailable: the store is out of reach; that says nothing of a case.
    """
    prefix = f"conformance-{secrets.token_hex(8)}"
    for case in load_cases() if cases is None else cases:
        yield _result(case, Player(store, f"{prefix}-{case.id}", tick, decide))


def _result(case: Case, player: Player) -> Result:
    if player.tick is None and case.needs_clock():
        return Result(case, CaseOutcome.SKIPPED, NEEDS_CLOCK)
    where = "before step 1"
    try:
        player.begin()
        for number, step in enumerate(case.steps, 1):
            where = f"step {number}"
            player.play(step)
        where = "after the last step"
        player.end()
    except StoreUnavailable:
        raise
    except Mismatch as mismatch:
        return Result(case, CaseOutcome.FAILED, f"{where}: {mismatch}")
    except Exception as error:  # noqa: BLE001 - whatever a store raises where it should answer
        return Result(case, CaseOutcome.FAILED, f"{where}: {type(error).__name__}: {error}")
    return Result(case, CaseOutcome.PASSED)
