"""What a client counts, for its status and its metrics. No user is named in it."""

from __future__ import annotations

from collections import Counter

from .decisions import DECISIONS, Decision
from .vocabulary import Reason


class Tally:
    """
    A decision, and how often the guards of one client gave it. Guards in one step find it in the place of the decision:
    to count is then all but free.
    """

    __slots__ = ("decision", "denied", "told")

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.told = 0  # by guards in one step, from memory
        self.denied = 0  # by guards of a user


class Counts:
    """How often a client's users were there, and what its guards answered. Counted without a lock."""

    __slots__ = ("found", "misses", "tallies")

    def __init__(self) -> None:
        self.found = 0  # users that were asked for
        self.misses = 0
        self.tallies = {decision: Tally(decision) for decision in DECISIONS.values()}

    @property
    def hits(self) -> int:
        """How often a user was there."""
        return self.found + sum(tally.told for tally in self.tallies.values())

    @property
    def denials(self) -> dict[Reason, int]:
        """How many guards said no, by reason."""
        denials: Counter[Reason] = Counter()
        for tally in self.tallies.values():
            if not tally.decision.allowed:
                denials[tally.decision.reason] += tally.told + tally.denied
        return dict(+denials)
