"""`diijam-consent replay`: after a restore of an older copy, the lost noes are in force again."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diijam_consent_sdk import Market, Process, Show
from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import decide
from diijam_consent_sdk.errors import TooLarge
from diijam_consent_sdk.stores import Loaded, PostgresStore, SqliteStore
from diijam_consent_sdk.stores.sql import users
from tests.cli.conftest import Cli, Ledger

MAIL = e.Granted("marketing", "n", ["email"])
SIGNED_UP: list[e.Event] = [e.AccountOpened(), MAIL, e.Granted("surveys", "n"), e.Published("avatar")]
ERASURE = e.RequestFiled("q-1", "erasure")
LOST: dict[str, list[e.Event]] = {
    "u-1": [e.Withdrawn("marketing", ["email"])],
    "u-2": [e.Objected("surveys"), e.Hidden("avatar")],
    "u-3": [e.AccountClosed()],
    "u-4": [ERASURE, e.Erased()],
    "u-5": [ERASURE, e.Erased()],
    "u-6": [e.Withdrawn("surveys"), e.Granted("surveys", "n-2")],
    "new": [e.AccountOpened(), e.Withdrawn("surveys")],
}


@pytest.fixture
def old(ledger: Ledger, tmp_path: Path) -> Ledger:
    """A ledger whose older copy, at `ledger`, was restored; u-1 and u-5 have said more to the copy since."""
    later = Ledger(tmp_path / "later.db")
    for number in range(1, 8):
        ledger.record(f"u-{number}", *SIGNED_UP)
    shutil.copy(ledger.path, later.path)
    for user_id, said in LOST.items():
        later.record(user_id, *said)
    with closing(SqliteStore(ledger.path)) as store:
        store.begin_epoch()
    ledger.record("u-1", MAIL)
    ledger.record("u-5", e.HoldPlaced("h-1", "tax", ["payment"]))
    return later


def answers(ledger: Ledger) -> dict[str, tuple[bool, bool, bool]]:
    """May everybody be sent mail, be asked, and be shown?"""
    with closing(SqliteStore(ledger.path)) as store:
        loaded = store.load([*(f"u-{number}" for number in range(1, 8)), "new"])
    asks = (Market("email"), Process("surveys", ()), Show("avatar"))
    return {
        record.user_id: tuple(bool(decide(record, ask, loaded.at)) for ask in asks)  # type: ignore[misc]
        for record in loaded.records
    }


def test_every_lost_no_is_in_force_again(old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """Whoever said no is denied, nobody else is; what a later yes or a hold stands against is listed, with 1."""
    result = cli("replay", "--from", old.url, "--url", ledger.url)
    assert (result.status, result.out.splitlines()[0]) == (1, "written                   8 noes of 6 users")
    assert result.out.splitlines()[1] == "against a later yes  u-1  Withdrawn"
    assert result.out.splitlines()[2].startswith("not done            u-5  Erased: ")
    assert "h-1" in result.out
    assert "are to be asked again" in result.err
    assert answers(ledger) == {
        "u-1": (False, True, True), "u-2": (True, False, False), "u-3": (False,) * 3, "u-4": (False,) * 3,
        "u-5": (False,) * 3, "u-6": (True, True, True), "u-7": (True, True, True), "new": (False,) * 3,
    }  # fmt: skip
    assert cli("verify", "--url", ledger.url).status == 0


def test_the_same_ledger_twice(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, however it is spelled: "0 noes" would read as if none was lost."""
    ledger.record("u-1", *SIGNED_UP)
    monkeypatch.chdir(ledger.path.parent)
    for source in (ledger.url, f"sqlite:///{ledger.path.name}"):
        result = cli("replay", "--from", source, "--url", ledger.url)
        assert (result.status, result.out) == (2, "")
        assert "both URLs lead to the same ledger" in result.err
    assert "both URLs" in cli("replay", "--from", "postgresql:///d", "--url", "postgresql:///d").err
    assert "check --from\n" in cli("replay", "--from", "sqlite:///none.db", "--url", ledger.url).err


def test_the_two_ledgers_exchanged(old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """Where nothing is missing, a note tells which ledger goes where: exchanged, they look as if none was lost."""
    later = Ledger(ledger.path.with_name("copy.db"))
    shutil.copy(ledger.path, later.path)
    later.record("u-7", e.Withdrawn("surveys"))
    exchanged = cli("replay", "--from", ledger.url, "--url", later.url)
    assert (exchanged.status, exchanged.out.split()[:2]) == (0, ["written", "0"])
    assert "nothing was missing" in exchanged.err
    assert "nothing was missing" not in cli("replay", "--from", later.url, "--url", ledger.url).err


def test_records_that_are_too_large_together(
    old: Ledger, ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are compared in smaller parts, and no lost no is left out for it."""
    load = SqliteStore.load

    def load_two(store: SqliteStore, user_ids: Iterable[str]) -> Loaded:
        """Load at most two."""
        ids = list(user_ids)
        if len(ids) > 2:
            raise TooLarge("the records are too large together: ask for fewer users")
        return load(store, ids)

    monkeypatch.setattr(SqliteStore, "load", load_two)
    result = cli("replay", "--from", old.url, "--url", ledger.url)
    assert result.out.splitlines()[0] == "written                   8 noes of 6 users"


def test_twice_is_once_also_after_a_yes_of_the_customer(old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """A second run writes nothing, and takes back nothing that was said after the first."""
    cli("replay", "--from", old.url, "--url", ledger.url)
    ledger.record("u-1", MAIL)
    old.record("u-1", e.RequestFiled("q-2", "access"))
    before = ledger.entries()
    again = cli("replay", "--from", old.url, "--url", ledger.url)
    assert again.status == 1  # u-5's erasure is still kept by a hold
    assert again.out.splitlines()[0] == "written                   0 noes of 2 users"
    assert "later yes" not in again.out
    assert ledger.entries() == before
    assert answers(ledger)["u-1"] == (True, True, True)


def test_an_erasure_from_a_clock_that_ran_ahead_is_filed(ledger: Ledger, tmp_path: Path, cli: Cli) -> None:
    """The other ledger's time lies in the future: the request is filed as received now, and never refused for that."""
    ahead = tmp_path / "ahead.db"
    ledger.record("u-3", *SIGNED_UP)
    with closing(SqliteStore(ahead, clock=lambda: datetime.now(UTC) + timedelta(days=9))) as store:
        store.append("u-1", [*SIGNED_UP, ERASURE])
        store.append("u-2", [*SIGNED_UP, ERASURE, e.Erased()])
    result = cli("replay", "--from", f"sqlite:///{ahead}", "--url", ledger.url)
    assert (result.status, result.out.splitlines()) == (0, ["written                   3 noes of 2 users"])
    assert answers(ledger)["u-1"] == answers(ledger)["u-2"] == (False, False, False)


def test_a_dry_run_writes_nothing(old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """It lists the same, as far as that can be known."""
    before = ledger.entries()
    result = cli("replay", "--from", old.url, "--url", ledger.url, "--dry-run", "--json")
    assert result.status == 0
    assert json.loads(result.out) == {
        "users": 6, "written": 9, "holders": [], "dry_run": True, "not_done": [],
        "against_later_yes": [{"user_id": "u-1", "event": "Withdrawn"}],
    }  # fmt: skip
    assert ledger.entries() == before


def test_lost_holders_are_registered_before_the_erasures_that_they_owe(old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """The restored ledger files the requests, and erases nobody before the holder has confirmed to it, too."""
    with closing(SqliteStore(old.path)) as store:
        store.register_holder("mailer")
    shown = json.loads(cli("replay", "--from", old.url, "--url", ledger.url, "--dry-run", "--json").out)
    assert (shown["holders"], cli("holder", "list", "--url", ledger.url).out) == (["mailer"], "")
    result = cli("replay", "--from", old.url, "--url", ledger.url, "--actor", "u7")
    assert result.status == 1
    assert "registered          holder mailer" in result.out.splitlines()
    assert [line.split()[2] for line in result.out.splitlines() if line.startswith("not done")] == ["u-4", "u-5"]
    assert "or retire the holder: mailer" in result.out
    with closing(SqliteStore(ledger.path)) as store:
        assert [(known.holder, known.by) for known in store.holders()] == [("mailer", "u7")]
        assert [owed.user_id for owed in store.erasures("mailer").erasures] == ["u-4", "u-5", "u-3"]
    cli("holder", "confirm", "mailer", "u-4", "--url", ledger.url)
    again = cli("replay", "--from", old.url, "--url", ledger.url)
    assert again.out.splitlines()[0] == "written                   1 noes of 2 users"
    assert "holder mailer" not in again.out
    assert answers(ledger)["u-4"] == (False,) * 3


def test_an_erasure_that_ended_after_it_was_confirmed_begins_again(ledger: Ledger, tmp_path: Path, cli: Cli) -> None:
    """The holder has to erase what came in between, and `Erased` waits for it; repeated, nothing is written."""
    later = Ledger(tmp_path / "later.db")
    with closing(SqliteStore(ledger.path)) as store:
        store.register_holder("mailer")
    for user_id in ("again", "ended", "same"):
        ledger.record(user_id, e.AccountOpened(), ERASURE, e.ErasureConfirmed("mailer"))
    shutil.copy(ledger.path, later.path)
    later.record("again", e.RequestResolved("q-1", "cancelled"), e.RequestFiled("q-2", "erasure"))
    later.record("same", e.Withdrawn("surveys"))
    later.record("ended", e.RequestResolved("q-1", "cancelled"))
    for written in ("3", "0"):
        result = cli("replay", "--from", later.url, "--url", ledger.url)
        assert (result.status, result.out.split()[1]) == (0, written)
    with closing(SqliteStore(ledger.path)) as store:
        assert {owed.user_id for owed in store.erasures("mailer").erasures} == {"again", "ended"}
        (before, filed) = store.load(["again"]).records[0].requests.values()
    assert (before.outcome, filed.received_at, filed.due_at) == ("cancelled", before.received_at, before.due_at)
    assert "mailer" in cli("record", "again", "Erased").err
    assert cli("record", "same", "Erased").status == 0


def test_the_entries_tell_where_they_come_from(old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """Their provenance is the system's, with the position in the other ledger and the actor."""
    cli("replay", "--from", old.url, "--url", ledger.url, "--actor", "u7")
    with closing(SqliteStore(ledger.path)) as store, closing(SqliteStore(old.path)) as lost:
        (said, no) = (store.history("u-1")[-1], lost.history("u-1")[-1])
    assert said.provenance == e.Provenance("u7", "system", f"replay-{no.position}")


def test_page_by_page_into_postgresql(
    old: Ledger, ledger: Ledger, cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restored ledger may be in PostgreSQL, and be the source of another replay, in pages of any size."""
    monkeypatch.setattr(users, "PAGE", 2)
    cli("init", "--url", url)
    assert cli("copy", "--from", ledger.url, "--to", url).status == 0
    assert cli("replay", "--from", old.url, "--url", url).status == 1
    with closing(PostgresStore(url, deadline=5)) as store:
        records = {record.user_id: record for record in store.load(list(LOST)).records}
    assert not records["u-1"].consents["marketing:email"].said_at
    assert records["u-1"].consents["marketing:email"].withdrawn_at is not None
    assert records["u-4"].account == "erased"
    assert cli("replay", "--from", url, "--url", ledger.url).status == 0  # an erasure is pending in both, not done
    assert answers(ledger)["u-3"] == (False,) * 3


def test_what_cannot_be_read_is_said(old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """A service lists no customers; a missing or damaged ledger is an error, and nothing is written."""
    before = ledger.entries()
    for source, why in (("https://consent.example", "lists no customers"), ("sqlite:///missing.db", "no database")):
        result = cli("replay", "--from", source, "--url", ledger.url)
        assert (result.status, result.out) == (2, "")
        assert why in result.err
    ledger.tamper("UPDATE records SET record = '{}' WHERE user_id = 'u-3'")
    result = cli("replay", "--from", old.url, "--url", ledger.url)
    assert result.status == 2
    assert "0 noes were written: run the same command again to finish" in result.err
    result = cli("replay", "--from", old.url, "--url", ledger.url, "--dry-run")
    assert result.status == 2
    assert result.err.endswith("; nothing was written, as this was a dry run\n")
    assert ledger.entries() == before


FALSE_RECORDS = {
    "an older record": "INSERT OR REPLACE INTO records SELECT * FROM restored.records WHERE user_id = 'u-2'",
    "no record": "DELETE FROM records WHERE user_id = 'u-2'",
    "a damaged record": "UPDATE records SET record = '{}' WHERE user_id = 'u-2'",
}


@pytest.mark.parametrize("statement", FALSE_RECORDS.values(), ids=FALSE_RECORDS)
def test_a_false_record_hides_no_no(statement: str, old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """The ledger that was replaced may have been broken: what its entries say is written, whatever its records are."""
    with closing(sqlite3.connect(old.path)) as db:
        db.execute("ATTACH ? AS restored", (str(ledger.path),))
        with db:
            db.execute(statement)
    assert cli("verify", "--url", old.url).status == 1
    result = cli("replay", "--from", old.url, "--url", ledger.url)
    assert result.out.splitlines()[0] == "written                   8 noes of 6 users"
    assert answers(ledger)["u-2"] == (True, False, False)


def test_a_damaged_entry_stops_no_others_noes(old: Ledger, ledger: Ledger, cli: Cli) -> None:
    """The customer is listed, and the noes of everybody else are written."""
    old.tamper("UPDATE entries SET event = x'7b' WHERE user_id = 'u-2' AND version = 2")
    result = cli("replay", "--from", old.url, "--url", ledger.url)
    assert (result.status, result.out.splitlines()[0]) == (1, "written                   6 noes of 5 users")
    assert "not done            u-2  the other ledger has entries of this customer that cannot be read" in result.out
    assert answers(ledger)["u-3"] == (False,) * 3
