"""The shipped cases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import attrs

FORMAT = 1
Step = Mapping[str, Any]


@attrs.frozen
class Case:
    """
    One history, what must be answered on the way, and what must be refused.

    Attributes:
        id: Its clause and number.

        clause: Of the policy, 1 to 7.

        title: What holds, in a sentence.

        steps: As `schema.json` describes them.
    """

    id: str
    clause: int
    title: str
    steps: Sequence[Step] = attrs.field(repr=False)

    def needs_clock(self) -> bool:
        """Whether an append has to come later than others: asks about a later time need only to be told the time."""
        dones = [step["do"] for step in self.steps]
        return "wait" in dones and "append" in dones[dones.index("wait") :]


def load_cases() -> list[Case]:
    """All cases, in order."""
    found: list[Case] = []
    for source in sorted(files(__package__).joinpath("cases").iterdir(), key=lambda source: source.name):
        if source.name.startswith("clause_"):
            found += (Case(**case) for case in json.loads(source.read_text(encoding="utf-8"))["cases"])
    return found
