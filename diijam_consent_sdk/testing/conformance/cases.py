"""
Load the shipped cases.

They are data, so that each is read the same way in any language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import attrs

FORMAT = 1
Step = Mapping[str, Any]
TIMED = {"append", "explain", "register", "holder"}  # steps in which the store's clock counts
FOR_ITSELF = {"require", "holder"}  # which change what others may write


@attrs.frozen
class Case:
    """
    One history, what must be answered on the way, and what must be refused.

    Attributes:
        id: The clause and a number.

        clause: The clause of the policy, 1 to 7.

        title: What holds, in a sentence.

        steps: What is done and expected, as `schema.json` describes it.
    """

    id: str
    clause: int
    title: str
    steps: Sequence[Step] = attrs.field(repr=False)

    def needs_clock(self) -> bool:
        """Whether the store's time matters after a wait. For asks it does not: the time is passed to `decide`."""
        actions = [step["do"] for step in self.steps]
        return "wait" in actions and not TIMED.isdisjoint(actions[actions.index("wait") :])

    def needs_new_ledger(self) -> bool:
        """Whether the case changes what others may write, so that it has to have a ledger for itself."""
        return any(step["do"] in FOR_ITSELF for step in self.steps)


def load_cases() -> list[Case]:
    """Load all cases, in order."""
    found: list[Case] = []
    for source in sorted(files(__package__).joinpath("cases").iterdir(), key=lambda source: source.name):
        if source.name.startswith("clause_"):
            found += (Case(**case) for case in json.loads(source.read_text(encoding="utf-8"))["cases"])
    return found
