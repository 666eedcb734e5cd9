"""
Count the answers of a run, for its summary.

The summary tells why customers of the list are not in the output.
"""

from __future__ import annotations

from collections import Counter

from rich.table import Table

from ....decisions import Decision
from .audience import Audience


class Tally:
    """
    Counts decisions.

    Attributes:
        total: How many decisions were counted.
    """

    def __init__(self) -> None:
        self._counts: Counter[Decision] = Counter()
        self.total = 0

    def add(self, decision: Decision) -> None:
        """Count a decision."""
        self._counts[decision] += 1
        self.total += 1

    def table(self, audience: Audience) -> Table:
        """Make a table of the counts, the most frequent first, and of what *audience* left out."""
        table = Table(box=None, pad_edge=False)
        table.add_column("answer")
        table.add_column("reason")
        table.add_column("clause", justify="right")
        table.add_column("customers", justify="right")
        permitted = sum(count for decision, count in self._counts.items() if decision.allowed)
        table.add_row("permitted", "", "", f"{permitted:,}", style="bold")
        for decision, count in sorted(self._counts.items(), key=lambda item: (not item[0].allowed, -item[1])):
            answer = "  yes" if decision else "  no"
            table.add_row(answer, str(decision.reason), str(decision.clause), f"{count:,}")
        table.add_row("duplicates", "", "", f"{audience.duplicates:,}")
        table.add_row("malformed ids", _line_numbers(audience), "", f"{audience.malformed:,}")
        return table


def _line_numbers(audience: Audience) -> str:
    """Name the lines of the first malformed ids."""
    if not audience.malformed:
        return ""
    more = ", …" if audience.malformed > len(audience.malformed_lines) else ""
    return f"lines {', '.join(map(str, audience.malformed_lines))}{more}"
