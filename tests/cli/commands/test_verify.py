"""`diijam-consent verify`."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from diijam_consent_sdk.stores import SqliteStore
from tests.cli.conftest import MAILABLE, Cli, Ledger


def test_verify(mailable: Ledger, cli: Cli) -> None:
    """A whole ledger shows its head and its size."""
    store = SqliteStore(mailable.path)
    head = store.verify()
    store.close()
    result = cli("verify")
    assert (result.status, result.out, result.err) == (0, f"head     {head}\nentries  2\n", "")


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "UPDATE entries SET event = replace(event, 'promo', 'other') WHERE position = 2",
            "2: its content was altered",
        ),
        ("DELETE FROM entries WHERE position = 1", "1: the entry is missing"),
        ("DELETE FROM records", "3: 2 users have entries, 0 have a record"),
        ("UPDATE entries SET at = 'never' WHERE position = 1", "1: its time is missing or malformed"),
    ],
)
def test_verify_broken(mailable: Ledger, cli: Cli, statement: str, why: str) -> None:
    """A broken ledger exits 1, and the first bad entry is named."""
    mailable.record("u-2", MAILABLE[0])
    mailable.tamper(statement)
    result = cli("verify")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith(f"error: the ledger is broken at position {why}; trust nothing from there on")


def test_verify_says_whose_clock_it_was(tmp_path: Path, cli: Cli) -> None:
    """A note names a ledger that a caller's clock stamped once, copied or not."""
    path, copied = tmp_path / "tested.db", tmp_path / "copied.db"
    with closing(SqliteStore(path, clock=lambda: datetime(2020, 1, 1, tzinfo=UTC))) as store:
        store.append("u-1", MAILABLE)
    with closing(SqliteStore(path)) as store:
        store.append("u-2", MAILABLE)
    assert cli("copy", "--from", f"sqlite:///{path}", "--to", f"sqlite:///{copied}").status == 0
    for ledger in (path, copied):
        result = cli("verify", "--url", f"sqlite:///{ledger}")
        assert (result.status, result.err.count("\n")) == (0, 1)
        assert result.err.startswith("note: entries were stamped by a clock that a caller gave")


def test_verify_says_who_may_read_it(mailable: Ledger, cli: Cli) -> None:
    """A ledger that others than its owner may read is whole, and that is said."""
    mailable.path.chmod(0o644)
    assert "others than its owner may read" in cli("verify").err


@pytest.mark.usefixtures("failing")
def test_verify_where_it_cannot_be(cli: Cli) -> None:
    """A store that cannot verify itself from here says where it can be."""
    result = cli("verify", "--url", "https://consent.example/")
    assert (result.status, result.out) == (2, "")
    assert result.err == "error: this store cannot be verified from here: run verify where its database is\n"
