"""Count the lines of an import, and describe how it went."""

from __future__ import annotations

import attrs

from .import_checkpoint import Progress


@attrs.define
class Summary:
    """How many lines of an import were written, were there already, or were not written because the policy says so."""

    total: int
    done: Progress
    outdated: int = 0  # lines already there whose customer changed since
    outdated_lines: list[int] = attrs.field(factory=list)  # the first of them

    def lines(self) -> list[str]:
        """Format the result for people."""
        done = self.done
        return [
            f"{'written':<15}{done.new:>9,} lines",
            f"{'already there':<15}{done.known:>9,} lines",
            f"{'left as it is':<15}{done.kept:>9,} lines",
            f"{'refused':<15}{done.refused:>9,} lines",
        ]

    def note(self) -> str:
        """Describe what was done when the import had to stop."""
        done = self.done
        left = self.total - done.counted
        return (
            f"of {self.total:,} lines {done.new:,} were written, {done.known:,} were already there,"
            f" {done.kept:,} were left as they are, {done.refused:,} were refused; {left:,} are still to do:"
            " run the same command again to finish"
        )

    def warning(self) -> str | None:
        """Warn of customers whose lines were there already and who have changed since; None if nobody has."""
        if not self.outdated:
            return None
        some = ", ".join(map(str, self.outdated_lines)) + (", …" if self.outdated > len(self.outdated_lines) else "")
        return (
            f"note: the customers of {self.outdated:,} batches of lines already there have changed since these were"
            f" written (lines {some}): to count the lines again, run with another --label"
        )
