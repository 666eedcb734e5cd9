"""
Numbers that the processes of one service share: what each one counts, and whether the ledger is broken.

The memory is shared before the processes start, and each writes its own row. So any process can add the rows up, a
count loses nothing when a process is killed, and nothing is left on a disk.
"""

from __future__ import annotations

import mmap

from ..errors import LedgerBroken

WHY_BYTES = 1_000  # of the cause of a broken ledger


class Board:
    """
    The shared numbers. One process writes a row, all may read it.

    Args:
        numbers: How many numbers a row has.

        processes: How many rows there are.
    """

    def __init__(self, numbers: int, processes: int = 1) -> None:
        self._rows = [memoryview(mmap.mmap(-1, 8 * numbers)).cast("d") for _ in range(processes)]
        self._broken = memoryview(mmap.mmap(-1, 16)).cast("q")  # position and length of the cause; all 0 before
        self._why = mmap.mmap(-1, WHY_BYTES)

    def row(self, process: int) -> memoryview[float]:
        """Return the numbers of one process, to be written by that process."""
        return self._rows[process]

    def sums(self) -> list[float]:
        """Add up the rows."""
        return [sum(column) for column in zip(*(row.tolist() for row in self._rows), strict=True)]

    def largest(self) -> list[float]:
        """Find the largest of each number in any row."""
        return [max(column) for column in zip(*(row.tolist() for row in self._rows), strict=True)]

    def mark_broken(self, error: LedgerBroken) -> None:
        """Let all processes see that the ledger is broken. Called by the one process that verifies it."""
        why = error.why.encode()[:WHY_BYTES]
        self._why[: len(why)] = why
        self._broken[1] = len(why)
        self._broken[0] = error.position  # last, since others look at it first

    def broken(self) -> LedgerBroken | None:
        """Return what was marked; None before."""
        position, length = self._broken
        return LedgerBroken(position, self._why[:length].decode(errors="ignore")) if position else None
