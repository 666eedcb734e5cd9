"""
The size of a row's cell in a table of SQLite, and the filler that makes it the same for every row.

Deleted content is overwritten, but of a row that moves to another place SQLite may leave a copy behind, and rows move
when one of a page grows. So each row of `records` takes `CELL_BYTES` of its page, whatever it holds. The rest of it
stands on overflow pages, which never move (https://www.sqlite.org/fileformat2.html, sections 1.6 and 2.1).
"""

from __future__ import annotations

PAGE_BYTES = 2048
OVERFLOW_BYTES = PAGE_BYTES - 4  # of a row's content, on each overflow page
CELL_BYTES = 499  # the size of the content and as much of it as stands on the row's own page: four rows fit on one
INTEGER_BYTES = tuple(next(size for size in (1, 2, 3, 4, 6, 8) if bits <= 8 * size) for bits in range(65))  # by bits
HEADER_BYTES = 1 + 2  # of the header's size, and of the filler's, which takes two bytes from `LEAST_FILLER` on
LEAST_FILLER = 58


def filler_bytes(*values: str | bytes | int | None) -> int:
    """Count the bytes of filler that, as one more column, bring the cell of a row of *values* to `CELL_BYTES`."""
    content = HEADER_BYTES + sum(map(_column_bytes, values)) + LEAST_FILLER
    cell = CELL_BYTES + OVERFLOW_BYTES
    while cell - _varint(cell) < content:
        cell += OVERFLOW_BYTES
    return cell - _varint(cell) - content + LEAST_FILLER


def _varint(number: int) -> int:
    return 1 if number < 128 else (number.bit_length() + 6) // 7


def _column_bytes(value: str | bytes | int | None) -> int:
    """Count the bytes that a value takes, and those of its serial type in the header."""
    if value is None:
        return 1
    if isinstance(value, int):
        bits = (value if value >= 0 else ~value).bit_length() + 1
        return 1 if 0 <= value <= 1 else 1 + INTEGER_BYTES[bits]
    size = len(value if isinstance(value, bytes) else value.encode())
    return _varint(2 * size + 12) + size  # of a text 13, which takes as many bytes
