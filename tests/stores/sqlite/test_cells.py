"""No row of `records` ever takes more or less of its page, so none moves and leaves a copy of what it held behind."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.sqlite.cells import CELL_BYTES, OVERFLOW_BYTES, PAGE_BYTES, filler_bytes

from ..contract import OPENED

TABLE_LEAF, TABLE_INTERIOR = 13, 5
LEAST_LOCAL = (PAGE_BYTES - 12) * 32 // 255 - 23  # of a cell that overflows, as SQLite's file format names it


def varint(data: bytes) -> tuple[int, int]:
    """A number as SQLite writes it, and how many bytes it takes."""
    size = next(place for place, byte in enumerate(data, start=1) if byte < 128)
    number = 0
    for byte in data[:size]:
        number = number << 7 | byte & 127
    return number, size


def leaf_cells(data: bytes, page: int) -> Iterator[bytes]:
    """The cells of a table's leaves, each to the end of its page."""
    page_data = data[(page - 1) * PAGE_BYTES : page * PAGE_BYTES]
    count = int.from_bytes(page_data[3:5], "big")
    start = 8 if page_data[0] == TABLE_LEAF else 12
    places = [int.from_bytes(page_data[start + 2 * n : start + 2 * n + 2], "big") for n in range(count)]
    if page_data[0] == TABLE_LEAF:
        yield from (page_data[place:] for place in places)
        return
    assert page_data[0] == TABLE_INTERIOR
    for child in [*(page_data[place : place + 4] for place in places), page_data[8:12]]:
        yield from leaf_cells(data, int.from_bytes(child, "big"))


def cell_sizes(path: Path) -> list[int]:
    """How many bytes the size of each record's row and its local content take."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'")
    sizes = []
    for cell in leaf_cells(path.read_bytes(), root):
        content, width = varint(cell)
        assert content > PAGE_BYTES - 35  # it overflows
        sizes.append(width + LEAST_LOCAL + (content - LEAST_LOCAL) % OVERFLOW_BYTES)
    return sizes


def test_all_cells_have_one_size(tmp_path: Path) -> None:
    """Whatever the rows hold, of users with any number of holds and notices, their cells have the same size."""
    chance = random.Random(7)
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        for number in range(60):
            user_id = "ư" * chance.randrange(1, 250) + str(number)
            batch: list[e.Event] = [OPENED]
            count = chance.choice([0, 1, 2, 5, 20, 200])
            batch += [e.HoldPlaced("h" * chance.randrange(1, 99) + str(n), "tax", ["payment"]) for n in range(count)]
            notices = ("n" * chance.randrange(1, 99) + str(n) for n in range(count))
            batch += [e.Notified(notice, "acme", ["email"], "surveys") for notice in notices]
            store.append(user_id, batch)
            store.append(user_id, [e.Withdrawn("surveys")])
        assert set(cell_sizes(tmp_path / "ledger.db")) == {CELL_BYTES}


@pytest.mark.parametrize("near", [0, 57, 1000, 8185, 16_383, 2_097_151])
def test_any_size_of_a_row_can_be_filled(near: int, tmp_path: Path) -> None:
    """Near each size at which a number of a row's header grows, the filler brings the cell to its size."""
    path = tmp_path / "any.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        db.execute("CREATE TABLE records (number INTEGER, word TEXT, bytes BLOB, filler BLOB)")
        step = 1 if near < 100_000 else 37
        for size in range(max(0, near - 90), near + 90, step):
            values = ((-1) ** size << size % 63, "ư" * (size % 90), bytes(size))
            db.execute("INSERT INTO records VALUES (?, ?, ?, zeroblob(?))", (*values, filler_bytes(*values)))
        db.commit()
    assert set(cell_sizes(path)) == {CELL_BYTES}
