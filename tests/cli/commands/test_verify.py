"""`diijam-consent verify`."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from diijam_consent_sdk.stores import PostgresStore, SqliteStore
from tests.cli.conftest import MAILABLE, Cli, Ledger, Result
from tests.stores.cluster import shared


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


FROM_3 = ("DELETE FROM entries WHERE position > 2", "DELETE FROM records WHERE user_id = 'u-2'")
POSTGRES_FROM_3 = (
    *FROM_3,
    "UPDATE ledger SET position = 2, hash = e.hash, at = e.at FROM entries e WHERE e.position = 2",
)


def test_verify_since(mailable: Ledger, cli: Cli) -> None:
    """A ledger that continues the head says so; cut short it is whole, but does not, and the text says what to do."""
    mailable.record("u-2", MAILABLE[0])
    kept = cli("head").out.strip()
    mailable.record("u-3", MAILABLE[0])
    assert cli("verify", "--since", kept).out.endswith("since    continues the head kept at 3\n")
    assert json.loads(cli("verify", "--since", kept, "--json").out)["entries"] == 4
    mailable.tamper(*FROM_3, "DELETE FROM records WHERE user_id = 'u-3'")
    assert cli("verify").status == 0
    _assert_cut(cli("verify", "--since", kept))
    result = cli("verify", "--since", kept, "--json")
    assert json.loads(result.out)["position"] == 3
    assert result.status == 1


def test_verify_since_on_postgres(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same in PostgreSQL."""
    url = shared().ledger()
    monkeypatch.setenv("DIIJAM_CONSENT_URL", url)
    try:
        with closing(PostgresStore(url)) as store:
            store.append("u-1", MAILABLE)
            kept = store.append("u-2", MAILABLE).token
        assert cli("verify", "--since", kept).status == 0
        with psycopg.connect(url) as db:
            db.execute("SET search_path = diijam_consent")
            for statement in POSTGRES_FROM_3:
                db.execute(statement)
        assert cli("verify").status == 0
        _assert_cut(cli("verify", "--since", kept))
    finally:
        shared().give_back(url)


def _assert_cut(result: Result) -> None:
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("error: the ledger does not continue the kept head, at position 3")
    assert "diijam-consent replay" in result.err


def test_verify_since_malformed(mailable: Ledger, cli: Cli) -> None:
    """A head that was copied in part is status 2: it tells nothing about the ledger."""
    kept = cli("head").out.strip()
    for no_head in (kept[:-1], "head-2026-11-24"):
        result = cli("verify", "--since", no_head)
        assert (result.status, result.out) == (2, "")
        assert "malformed head" in result.err


def test_verify_json(mailable: Ledger, cli: Cli) -> None:
    """The head, the number of entries and the remarks; of a broken ledger the place and the reason."""
    head = cli("head").out.strip()
    whole = json.loads(cli("verify", "--json").out)
    assert whole == {"whole": True, "head": head, "entries": 2, "remarks": []}
    mailable.tamper("UPDATE entries SET event = replace(event, 'promo', 'other') WHERE position = 2")
    result = cli("verify", "--json")
    error = "the ledger is broken at position 2: its content was altered"
    assert (result.status, json.loads(result.out)) == (1, {"whole": False, "position": 2, "error": error})


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
