"""`diijam-consent copy` between SQLite and PostgreSQL: the copy verifies as the original does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, LedgerBroken, StoreUnavailable
from diijam_consent_sdk.events import LedgerEntry
from diijam_consent_sdk.stores import Cursor, PostgresStore, SqliteStore
from diijam_consent_sdk.stores.sql import copy as sql_copy
from diijam_consent_sdk.stores.sql import hash_chain
from diijam_consent_sdk.stores.sql.dialect import insert_link
from tests.cli.conftest import Cli, Ledger
from tests.domain.samples import NEEDED
from tests.stores.contract import AGREED, TOLD, erase, sign_up

NOTICE = NoticeText("n-1", {"vi": "lời"}, ["marketing"], ["email"], "acme-records")


def fill(store: SqliteStore | PostgresStore) -> None:
    """A ledger with several users, one of them erased."""
    sign_up(store, *(f"u-{number}" for number in range(5)))
    store.append("u-1", [TOLD, AGREED], idempotency_key="k-1")
    store.append("u-2", NEEDED)
    erase(store, "u-2", key="k-2")
    sign_up(store, *(f"v-{number}" for number in range(5)))


def head(result: str) -> tuple[str, str]:
    """Position and hash, without the epoch, of what `copy` and `verify` print."""
    cursor = Cursor.parse(result.split()[1])
    return str(cursor.position), cursor.hash


@pytest.mark.parametrize("page", [1, 3, 500])
def test_a_ledger_moves(page: int, cli: Cli, url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries keep position and hash, records and kept answers come along, `verify` passes on both."""
    monkeypatch.setattr(sql_copy, "PAGE", page)
    with closing(SqliteStore(ledger.path)) as old:
        fill(old)
        cli("init", "--url", url)
        copied = cli("copy", "--from", ledger.url, "--to", url)
        assert (copied.status, copied.err) == (0, "")
        with closing(PostgresStore(url, deadline=5)) as new:
            before, after = old.load(["u-1", "u-2", "u-3", "nobody"]), new.load(["u-1", "u-2", "u-3", "nobody"])
            assert after.records == before.records
            assert (after.cursor.position, after.cursor.hash) == (before.cursor.position, before.cursor.hash)
            assert after.cursor.epoch != before.cursor.epoch
            assert [new.history(u) for u in ("u-1", "u-2")] == [old.history(u) for u in ("u-1", "u-2")]
            again = new.append("u-1", [TOLD, AGREED], idempotency_key="k-1")
            assert again.cursor.hash == old.append("u-1", [TOLD, AGREED], idempotency_key="k-1").cursor.hash
            assert new.load([]).cursor == after.cursor
    assert head(cli("verify", "--url", url).out) == head(cli("verify", "--url", ledger.url).out) == head(copied.out)


def test_a_ledger_moves_back(cli: Cli, url: str, ledger: Ledger) -> None:
    """From PostgreSQL to a file as well."""
    cli("init", "--url", url)
    with closing(PostgresStore(url, deadline=5)) as old:
        fill(old)
    assert cli("copy", "--from", url, "--to", ledger.url).status == 0
    assert head(cli("verify", "--url", url).out) == head(cli("verify", "--url", ledger.url).out)


def test_registered_notices_move(cli: Cli, url: str, ledger: Ledger) -> None:
    """They come along as they are, however many, with time, writer and digest, and so does that they are required."""
    cli("init", "--url", url)
    texts = [attrs.evolve(NOTICE, notice=f"n-{number:02}") for number in range(25)]
    with closing(SqliteStore(ledger.path)) as old, closing(PostgresStore(url, deadline=5)) as new:
        for text in texts:
            old.register_notice(text, by="dpo")
        assert cli("copy", "--from", ledger.url, "--to", url).status == 0
        sign_up(new, "u-1")  # the first copy says nothing of requiring notices
        new.append("u-1", [e.Granted("surveys", "unregistered")])
        assert [new.notice(text.notice) for text in texts] == [old.notice(text.notice) for text in texts]
    assert cli("verify", "--url", url).status == 0


def test_a_copy_requires_notices_as_the_ledger_does(cli: Cli, url: str, ledger: Ledger) -> None:
    """What is registered and required while a ledger is copied is there after the next run."""
    cli("init", "--url", url)
    with closing(SqliteStore(ledger.path)) as old, closing(PostgresStore(url, deadline=5)) as new:
        fill(old)
        assert cli("copy", "--from", ledger.url, "--to", url).status == 0
        old.require_notices()
        old.register_notice(NOTICE)
        assert cli("copy", "--from", ledger.url, "--to", url).status == 0
        assert new.notices() == old.notices() == [old.register_notice(NOTICE)]
        with pytest.raises(InvalidEvent, match="this ledger requires notices"):
            new.append("v-1", [e.Granted("surveys", "unregistered")])


def test_holders_move_as_they_are(cli: Cli, url: str, ledger: Ledger) -> None:
    """With time and writer; who was retired since the last run is gone after the next, and what is owed is the same."""
    cli("init", "--url", url)
    with closing(SqliteStore(ledger.path)) as old, closing(PostgresStore(url, deadline=5)) as new:
        for holder in ("mailer", "warehouse"):
            old.register_holder(holder, by="dpo")
        old.append("u-1", [e.RequestFiled("q-1", "erasure"), e.ErasureConfirmed("mailer")])
        assert cli("copy", "--from", ledger.url, "--to", url).status == 0
        assert new.holders() == old.holders()
        assert new.erasures("warehouse").erasures == old.erasures("warehouse").erasures != ()
        with pytest.raises(InvalidEvent, match="warehouse"):
            new.append("u-1", [e.Erased()])
        old.retire_holder("warehouse")
        old.register_holder("search")
        assert cli("copy", "--from", ledger.url, "--to", url).status == 0
        assert new.holders() == old.holders()
    assert cli("verify", "--url", url).status == 0


def test_another_registration_is_not_written_over(cli: Cli, url: str, ledger: Ledger) -> None:
    """A target that has other content under an id is refused, and keeps it."""
    cli("init", "--url", url)
    with closing(SqliteStore(ledger.path)) as old, closing(PostgresStore(url, deadline=5)) as new:
        old.register_notice(NOTICE)
        other = new.register_notice(attrs.evolve(NOTICE, texts={"vi": "lời khác"}))
        result = cli("copy", "--from", ledger.url, "--to", url)
        assert (result.status, "another registration of a notice" in result.err) == (2, True)
        assert new.notice(NOTICE.notice) == other


def test_a_copy_goes_on_where_it_ended(cli: Cli, url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that broke off, and one of a ledger that lived on, erasures included, are finished by another run."""
    monkeypatch.setattr(sql_copy, "PAGE", 4)
    cli("init", "--url", url)
    with closing(SqliteStore(ledger.path)) as old, closing(PostgresStore(url, deadline=5)) as new:
        fill(old)

        def break_off(done: int, users: int) -> None:
            raise StoreUnavailable("the network is gone")

        with pytest.raises(StoreUnavailable):
            sql_copy.copy(old, new, break_off)
        assert 0 < new.load([]).cursor.position < old.load([]).cursor.position
        assert cli("copy", "--from", ledger.url, "--to", url).status == 0
        old.append("u-1", [e.AgreementWithdrawn("n-1")], idempotency_key="k-3")
        erase(old, "u-1")
        erase(old, "v-0", key="k-4")
        assert cli("copy", "--from", ledger.url, "--to", url).status == 0
        assert new.history("u-1") == old.history("u-1")
        assert new.verify().hash == old.verify().hash
    with psycopg.connect(url) as db:
        row = db.execute("SELECT count(*) FROM diijam_consent.appends").fetchone()
    assert row == (ledger.look("SELECT count(*) FROM appends"),) == (2,)


def test_another_ledger_is_not_written_over(cli: Cli, url: str, ledger: Ledger) -> None:
    """A target that holds another history is refused, and stays as it is."""
    cli("init", "--url", url)
    with closing(SqliteStore(ledger.path)) as old, closing(PostgresStore(url, deadline=5)) as new:
        fill(old)
        before = sign_up(new, "somebody")
        result = cli("copy", "--from", ledger.url, "--to", url)
        assert (result.status, "another history" in result.err) == (2, True)
        assert new.load([]).cursor == before.cursor


def test_a_broken_ledger_is_not_copied(cli: Cli, url: str, ledger: Ledger) -> None:
    """Where the chain does not hold, copying ends; what was copied before proves itself."""
    with closing(SqliteStore(ledger.path)) as old:
        fill(old)
    ledger.tamper("UPDATE entries SET event = replace(event, 'n-1', 'n-2') WHERE position = 6")
    cli("init", "--url", url)
    result = cli("copy", "--from", ledger.url, "--to", url)
    assert (result.status, "position 6" in result.err) == (2, True)
    assert cli("verify", "--url", url).status == 0


LOST = {
    "DELETE FROM entries WHERE position > 8": 9,
    "DELETE FROM entries WHERE position > 4": 5,
    "UPDATE entries SET user_id = NULL, version = NULL, at = NULL, event = NULL, salt = NULL WHERE position > 8": 19,
    "UPDATE entries SET event = 'gone' WHERE position = 7": 7,
}


@pytest.mark.parametrize("statement", LOST)
def test_a_ledger_that_lost_entries_is_not_copied(
    statement: str, cli: Cli, url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where entries are missing behind the source's back, copying ends and names the first, and does not go round."""
    monkeypatch.setattr(sql_copy, "PAGE", 4)
    cli("init", "--url", url)
    with closing(PostgresStore(url, deadline=5)) as old:
        fill(old)
    with psycopg.connect(url) as db:
        db.execute(f"SET search_path = diijam_consent; {statement}".encode())
    result = cli("copy", "--from", url, "--to", ledger.url)
    assert (result.status, f"position {LOST[statement]}:" in result.err) == (2, True), result.err


def test_entries_that_make_no_record_are_not_copied(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    """A chain that was forged around an entry that no record accepts is refused, as `verify` refuses it."""
    with closing(SqliteStore(ledger.path)) as old:
        sign_up(old, "u-1")
        db = sqlite3.connect(ledger.path, isolation_level=None)
        entry = LedgerEntry(2, "u-1", 2, old.history("u-1")[-1].at, AGREED)
        forged = hash_chain._link(entry, bytes.fromhex(old.load([]).cursor.hash), bytes(16))
        db.execute(*insert_link(forged))
        db.close()
    result = cli("copy", "--from", ledger.url, "--to", f"sqlite:///{tmp_path}/new.db")
    assert (result.status, "position 2:" in result.err) == (2, True), result.err


def test_a_copy_that_is_stopped_says_how_far_it_came(
    cli: Cli, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C during a copy does not claim that nothing was written."""
    monkeypatch.setattr(sql_copy, "PAGE", 4)
    with closing(SqliteStore(ledger.path)) as old:
        fill(old)
        total = old.load([]).cursor.position
    real, left = sql_copy._read_page, [1]

    def stopping(*arguments: Any) -> Any:
        """One page, then Ctrl-C."""
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*arguments)

    copying = ("copy", "--from", ledger.url, "--to", f"sqlite:///{tmp_path}/new.db")
    with monkeypatch.context() as patch:
        patch.setattr(sql_copy, "_read_page", stopping)
        result = cli(*copying)
    assert (result.status, result.out) == (130, "")
    assert result.err == f"stopped: 4 of {total} entries are there: run the same command again to go on\n"
    assert cli(*copying).status == 0


TAMPERED = {
    "UPDATE entries SET event = convert_to(replace(convert_from(event, 'UTF8'), 'n-1', 'n-2'), 'UTF8')": 6,
    "DELETE FROM entries WHERE position = 3": 3,
    "DELETE FROM entries WHERE position = (SELECT max(position) FROM entries)": 20,
    "UPDATE records SET record = (SELECT record FROM records WHERE user_id = 'u-0') WHERE user_id = 'u-3'": 20,
    "DELETE FROM records WHERE user_id = 'u-3'": 20,
    "UPDATE ledger SET position = position - 1": 21,
}


@pytest.mark.parametrize("statement", TAMPERED)
def test_what_was_altered_is_found(statement: str, url: str, cli: Cli) -> None:
    """`verify` on PostgreSQL names the first entry that was altered, or is missing."""
    cli("init", "--url", url)
    with closing(PostgresStore(url, deadline=5)) as store:
        fill(store)
        last = store.verify().position
        with psycopg.connect(url) as db:
            db.execute(f"SET search_path = diijam_consent; {statement}".encode())
        with pytest.raises(LedgerBroken) as caught:
            store.verify()
    assert caught.value.position == TAMPERED[statement] + (last - 20 if TAMPERED[statement] >= 20 else 0)
    assert cli("verify", "--url", url).status == 1


def test_whose_clock_it_was_moves_too(cli: Cli, url: str, tmp_path: Path) -> None:
    """Times that a caller's clock made prove nothing in the copy either, wherever it is, and `verify` says so."""
    ahead, back = (f"sqlite:///{tmp_path / name}.db" for name in ("ahead", "back"))
    with closing(SqliteStore(tmp_path / "ahead.db", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))) as store:
        store.append("u-1", [e.AccountOpened()])
    cli("init", "--url", url)
    for source, target in ((ahead, url), (url, back)):
        assert cli("copy", "--from", source, "--to", target).status == 0
        verified = cli("verify", "--url", target)
        assert verified.status == 0
        assert "stamped by a clock that a caller gave" in verified.err
