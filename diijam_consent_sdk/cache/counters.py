"""What a client counts, for its status and its metrics. No user is named in it."""

from __future__ import annotations

from collections import Counter

from ..decisions import DECISIONS, Decision
from ..vocabulary import Reason


class DecisionCounter:
    """
    A decision, and how often the guards of one client gave it. Guards in one step find it in the place of the decision:
    to count is then all but free.
    """

    __slots__ = ("decision", "denied", "hits")

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.hits = 0  # by guards in one step, from memory
        self.denied = 0  # by guards of a user


class Counters:
    """How often a client's users were there, and what its guards answered. Counted without a lock."""

    __slots__ = ("by_decision", "found", "misses")

    def __init__(self) -> None:
        self.found = 0  # users that were asked for
        self.misses = 0
        self.by_decision = {decision: DecisionCounter(decision) for decision in DECISIONS.values()}

    @property
    def hits(self) -> int:
        """How often a user was there."""
        return self.found + sum(count.hits for count in self.by_decision.values())

    @property
    def denials(self) -> dict[Reason, int]:
        """How many guards said no, by reason."""
        denials: Counter[Reason] = Counter()
        for count in self.by_decision.values():
            if not count.decision.allowed:
                denials[count.decision.reason] += count.hits + count.denied
        return dict(+denials)
