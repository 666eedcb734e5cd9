"""
Run cases on a store, and report of each whether it held.

Each case has users with random ids, so a run needs no empty store.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from enum import StrEnum, auto

import attrs

from ...decisions import decide
from ...errors import StoreUnavailable
from ...stores.protocol import Store
from .cases import Case, load_cases
from .comparing import Mismatch
from .player import Decide, Player

NewLedger = Callable[[], AbstractContextManager[Store]]
NEEDS_CLOCK = "needs a store whose clock can be set"
NEEDS_LEDGER = "needs a new ledger for itself, where it changes what others may write"


class CaseOutcome(StrEnum):
    """How a case ended."""

    PASSED = auto()
    FAILED = auto()
    SKIPPED = auto()


@attrs.frozen
class Result:
    """A case, how it ended, and why it failed or was skipped."""

    case: Case
    outcome: CaseOutcome
    why: str = ""


def run(
    store: Store,
    cases: Iterable[Case] | None = None,
    *,
    tick: Callable[[float], None] | None = None,
    decide: Decide = decide,
    new_ledger: NewLedger | None = None,
) -> Iterator[Result]:
    """
    Run the cases, one after the other. Each writes users with random ids, which stay in the ledger.

    Args:
        store: The store to test. It may hold other records, and others may write to it meanwhile.

        cases: The cases to run; all if not given.

        tick: Moves the store's wall clock forward by seconds. Without it, cases that write after a wait are skipped.

        decide: Decides asks on the store's records.

        new_ledger: Makes a new, empty ledger of the same kind and on the same clock, and removes it afterwards. Without
            it, cases that require notices or register holders are skipped, because others would be refused, too.

    Raises:
        StoreUnavailable: the store is out of reach, so the case neither held nor failed.
    """
    prefix = f"conformance-{secrets.token_hex(8)}"
    for case in load_cases() if cases is None else cases:
        user_id = f"{prefix}-{case.id}"
        if not case.needs_new_ledger():
            yield _run_case(case, Player(store, user_id, tick, decide))
        elif new_ledger is None:
            yield Result(case, CaseOutcome.SKIPPED, NEEDS_LEDGER)
        else:
            with new_ledger() as own:
                yield _run_case(case, Player(own, user_id, tick, decide))


def _run_case(case: Case, player: Player) -> Result:
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
    except Exception as error:  # noqa: BLE001 - a store under test may raise anything
        return Result(case, CaseOutcome.FAILED, f"{where}: {type(error).__name__}: {error}")
    return Result(case, CaseOutcome.PASSED)
