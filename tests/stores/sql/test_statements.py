"""Batches of statements: how many rows go into one."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from diijam_consent_sdk.stores.sql.statements import MAX_ROWS, Statement, merged


def numbered(count: int) -> list[Statement]:
    """That many rows of one table."""
    return [("INSERT INTO t (a, b) VALUES (?, zeroblob(?)) ON CONFLICT (a) DO NOTHING", (n, n)) for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, MAX_ROWS - 1, MAX_ROWS, 3 * MAX_ROWS + 5])
def test_rows_of_one_table_go_together(count: int) -> None:
    """All rows are inserted, in order, by statements of few different lengths."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
        statements = list(merged(numbered(count)))
        for statement in statements:
            db.execute(*statement)
        assert db.execute("SELECT a, length(b) FROM t ORDER BY rowid").fetchall() == [(n, n) for n in range(count)]
    assert len(statements) <= count // MAX_ROWS + MAX_ROWS.bit_length()
    assert {len(values) // 2 for _, values in statements} <= {1 << power for power in range(MAX_ROWS.bit_length())}


def test_other_statements_stay_as_they_are() -> None:
    """A deletion, and an insertion of fixed values, come once for each, where they stood."""
    others: list[Statement] = [("DELETE FROM t WHERE a = ?", (1,)), ("DELETE FROM t WHERE a = ?", (2,))]
    fixed: list[Statement] = [("INSERT INTO t VALUES ('x', 'y')", ())] * 2
    assert list(merged([*numbered(1), *others, *fixed, *numbered(1)])) == [
        *numbered(1), *others, *fixed, *numbered(1),
    ]  # fmt: skip
