"""`verify` finds what was done to a ledger behind its store's back, and says where; it never accuses an honest one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, LedgerBroken, StoreError
from diijam_consent_sdk.record import fold
from diijam_consent_sdk.stores import Cursor, MemoryStore, SqliteStore, wire
from diijam_consent_sdk.stores.sql.dialect import insert_link
from diijam_consent_sdk.stores.sql.hash_chain import GENESIS, Link, Verifier, _digest, _hash, _link
from diijam_consent_sdk.stores.sql.records import record_row
from diijam_consent_sdk.stores.sqlite.dialect import put_filled_record
from tests import strategies
from tests.strategies import START

from ..contract import AGREED, OPENED, TOLD, WallClock, append_each, erase, folded, head

# Who wrote each position. "gone" has been erased: its entries 3 and 5 are, 12 is the tombstone.
#   1  2  3    4    5    6  7  8  9  10   11   12   13 14
#   a  b  gone a    gone b  a  c  b  gone gone gone a  c
ERASED, TOMBSTONE, LAST = (3, 5, 10, 11), 12, 14
AT = START.isoformat()


def fill(store: SqliteStore) -> None:
    """The ledger that the tests break."""
    append_each(store, [("a", [OPENED]), ("b", [OPENED]), ("gone", [OPENED]), ("a", [TOLD]), ("gone", [TOLD])])
    append_each(store, [("b", [TOLD])])
    store.append("a", [AGREED], provenance=e.Provenance("mailer", "web", "form-7", "vi"))
    append_each(store, [("c", [OPENED]), ("b", [AGREED]), ("gone", [AGREED])])
    erase(store, "gone")
    append_each(store, [("a", [e.AgreementWithdrawn("n-1")]), ("c", [e.Granted("surveys", "n-1")])])


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger, closed, that nobody touched."""
    path = tmp_path_factory.mktemp("honest") / "ledger.db"
    store = SqliteStore(path, clock=WallClock())
    fill(store)
    store.close()
    return path


@pytest.fixture
def path(honest: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    return Path(shutil.copy(honest, tmp_path))


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    """A way into the ledger past its store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def broken(path: Path) -> LedgerBroken:
    """What `verify` finds."""
    store = SqliteStore(path)
    with pytest.raises(LedgerBroken) as caught:
        store.verify()
    store.close()
    return caught.value


def test_an_honest_ledger_verifies(path: Path) -> None:
    """`verify` returns the head that the whole chain leads to, erased entries and all."""
    store = SqliteStore(path)
    assert store.verify() == head(store)
    assert store.verify().position == LAST
    store.close()


def test_an_empty_ledger_verifies() -> None:
    """Nothing is in order."""
    store = MemoryStore()
    assert store.verify() == Cursor(head(store).epoch, 0, GENESIS.hex())


# What to set in which entry.
ALTERED: dict[str, tuple[int, str]] = {
    "event": (4, "event = replace(event, 'acme', 'acne')"),
    "event of another entry": (4, "event = (SELECT event FROM entries WHERE position = 7)"),
    "event spelled otherwise": (4, "event = CAST(replace(event, ':', ': ') AS BLOB)"),
    "event made text": (4, "event = CAST(event AS TEXT) || ' '"),
    "event unknown": (9, 'event = \'{"type":"Forgiven"}\''),
    "event no JSON": (9, "event = x'ff00'"),
    "event a number": (9, "event = 7"),
    "event empty": (9, "event = x''"),
    "event of the last": (14, "event = replace(event, 'surveys', 'contests')"),
    "event of the tombstone": (12, "event = replace(event, 'false', 'true')"),
    "time": (7, "at = replace(at, '2026', '2025')"),
    "time spelled otherwise": (7, "at = replace(at, '+00:00', 'Z')"),
    "time naive": (7, "at = replace(at, '+00:00', '')"),
    "time no time": (7, "at = 'yesterday'"),
    "time a number": (7, "at = 7"),
    "time not UTF-8": (7, "at = CAST(x'ff41' AS TEXT)"),
    "time gone": (7, "at = NULL"),
    "user": (7, "user_id = 'b'"),
    "user not text": (7, "user_id = x'ff'"),
    "user gone": (7, "user_id = NULL"),
    "version": (7, "version = version + 1"),
    "version no number": (7, "version = 'three'"),
    "provenance": (7, "provenance = replace(provenance, 'form-7', 'form-8')"),
    "provenance spelled otherwise": (7, "provenance = CAST(replace(provenance, ':', ': ') AS BLOB)"),
    "provenance made text": (7, "provenance = CAST(provenance AS TEXT) || ' '"),
    "provenance with another field": (7, "provenance = CAST(replace(provenance, 'by', 'cc') AS BLOB)"),
    "provenance no object": (7, "provenance = x'5b5d'"),
    "provenance no JSON": (7, "provenance = x'ff'"),
    "provenance a number": (7, "provenance = 7"),
    "provenance gone": (7, "provenance = NULL"),
    "provenance empty": (7, "provenance = x'7b7d'"),
    "provenance of the tombstone": (12, "provenance = x'7b7d' || ' '"),
    "notice's digest": (7, "notice_digest = printf('%064d', 0)"),
    "notice's digest a number": (7, "notice_digest = x'00'"),
    "salt": (7, "salt = zeroblob(16)"),
    "salt made text": (7, "salt = 'salt'"),
    "salt gone": (7, "salt = NULL"),
    "digest": (7, "digest = zeroblob(32)"),
    "digest made text": (7, "digest = 'digest'"),
    "digest of an erased entry": (5, "digest = zeroblob(32)"),
    "hash": (7, "hash = zeroblob(32)"),
    "hash made text": (7, "hash = 'hash'"),
    "hash of an erased entry": (5, "hash = zeroblob(32)"),
    "hash of the last": (14, "hash = zeroblob(32)"),
    "erased, event alone": (7, "event = NULL"),
    "erased but for the user": (5, "user_id = 'gone'"),
    "erased but for the version": (5, "version = 2"),
    "erased but for the time": (5, f"at = '{AT}'"),
    "erased but for the provenance": (5, "provenance = x'7b7d'"),
    "erased but for the notice's digest": (5, "notice_digest = printf('%064d', 0)"),
    "erased but for the salt": (5, "salt = zeroblob(16)"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_entry_is_found(what: str, path: Path, db: sqlite3.Connection) -> None:
    """Whatever of an entry was altered, it is named by its position."""
    position, change = ALTERED[what]
    db.execute(f"UPDATE entries SET {change} WHERE position = {position}")
    assert broken(path).position == position


@pytest.mark.parametrize("position", [1, 5, 7, 12, 13], ids=["first", "erased", "middle", "tombstone", "last but one"])
def test_a_removed_entry_is_found(position: int, path: Path, db: sqlite3.Connection) -> None:
    """The first entry that is missing is named."""
    db.execute(f"DELETE FROM entries WHERE position = {position}")
    assert broken(path).position == position


@pytest.mark.parametrize(("position", "found"), [(0, 1), (15, 15)], ids=["before the first", "after the last"])
def test_an_added_entry_is_found(position: int, found: int, path: Path, db: sqlite3.Connection) -> None:
    """An entry that was put before or after all others is named, or the one that it pushed out of its place."""
    copied = "'d', 1, at, event, provenance, notice_digest, salt, digest, hash FROM entries WHERE position = 8"
    db.execute(f"INSERT INTO entries SELECT {position}, {copied}")
    assert broken(path).position == found


# Done so that the chain itself still fits: found by what it leaves behind, at the position named.
ERASED_COLUMNS = ("user_id", "version", "at", "event", "provenance", "notice_digest", "salt")
BLANK: dict[str, Any] = dict.fromkeys(ERASED_COLUMNS)
ERASE = f"UPDATE entries SET {', '.join(f'{name} = NULL' for name in ERASED_COLUMNS)} WHERE position ="
VALUES = "version, standing_version, standing_format, made_at, next_change_at, erasure_due_at, standing, record, filler"
SUBTLER: dict[str, tuple[int, str]] = {
    "erased without tombstone, the user goes on": (7, f"{ERASE} 4"),
    "erased without tombstone, the first of a user": (14, f"{ERASE} 8"),
    "erased without tombstone, the last of a user": (LAST, f"{ERASE} 13"),
    "erased without tombstone, a user": (LAST, f"{ERASE} 8; {ERASE} 14; DELETE FROM records WHERE user_id = 'c'"),
    "last entry removed": (13, "DELETE FROM entries WHERE position = 14"),
    "last entries removed": (12, "DELETE FROM entries WHERE position > 12"),
    "last entry and record removed": (
        13,
        "DELETE FROM entries WHERE position = 14; DELETE FROM records WHERE user_id = 'c'",
    ),
    "all entries removed": (0, "DELETE FROM entries"),
    "record altered": (LAST, "UPDATE records SET record = replace(record, 'acme', 'acne') WHERE user_id = 'a'"),
    "record of another user": (LAST, "UPDATE records SET record = (SELECT record FROM records WHERE user_id = 'b')"),
    "record made text": (LAST, "UPDATE records SET record = CAST(record AS TEXT) WHERE user_id = 'a'"),
    "record empty": (LAST, "UPDATE records SET record = x'' WHERE user_id = 'a'"),
    "record missing": (LAST, "DELETE FROM records WHERE user_id = 'b'"),
    "record of the erased missing": (LAST, "DELETE FROM records WHERE user_id = 'gone'"),
    "records missing": (LAST, "DELETE FROM records"),
    "record of nobody": (LAST, f"INSERT INTO records SELECT 'd', {VALUES} FROM records WHERE user_id = 'a'"),
    "record under another name": (LAST, "UPDATE records SET user_id = 'd' WHERE user_id = 'a'"),
    "version of a record": (LAST, "UPDATE records SET version = version + 1 WHERE user_id = 'a'"),
    "standing altered": (
        13,
        "UPDATE records SET standing = replace(standing, 'withdrawn', 'agreed') WHERE user_id = 'a'",
    ),
    "standing of another user": (
        14,
        "UPDATE records SET standing = (SELECT standing FROM records WHERE user_id = 'b') WHERE user_id = 'c'",
    ),
    "standing made text": (13, "UPDATE records SET standing = CAST(standing AS TEXT) WHERE user_id = 'a'"),
    "standing of an erased user": (
        12,
        "UPDATE records SET standing = replace(standing, 'erased', 'open') WHERE user_id = 'gone'",
    ),
    "standing of another version": (9, "UPDATE records SET standing_version = 1 WHERE user_id = 'b'"),
    "standing made earlier": (9, "UPDATE records SET made_at = made_at - 1 WHERE user_id = 'b'"),
    "standing that lasts": (9, "UPDATE records SET next_change_at = next_change_at - 1 WHERE user_id = 'b'"),
}


@pytest.mark.parametrize("tampering", SUBTLER)
def test_subtler_tampering_is_found(tampering: str, path: Path, db: sqlite3.Connection) -> None:
    """What leaves the chain whole is named by the next entry that shows it, or by the last."""
    position, statements = SUBTLER[tampering]
    db.executescript(statements)
    assert broken(path).position == position


def test_swapped_entries(path: Path, db: sqlite3.Connection) -> None:
    """Two entries that changed places are found at the first of the two."""
    db.executescript(
        "UPDATE entries SET position = -6 WHERE position = 6; UPDATE entries SET position = 6 WHERE position = 7;"
        " UPDATE entries SET position = 7 WHERE position = -6;"
    )
    assert broken(path).position == 6


def test_an_entry_squeezed_in(path: Path, db: sqlite3.Connection) -> None:
    """An entry for which the later ones were moved up is found where it stands."""
    db.executescript(
        "UPDATE entries SET position = -position - 1 WHERE position >= 6;"
        " UPDATE entries SET position = -position WHERE position < 0;"
        " INSERT INTO entries SELECT 6, 'd', 1, at, event, provenance, notice_digest, salt, digest, hash FROM entries"
        " WHERE position = 1;"
    )
    assert broken(path).position == 6


def test_an_entry_cut_out_and_the_gap_closed(path: Path, db: sqlite3.Connection) -> None:
    """Renumbering the later entries hides no removed one."""
    db.executescript(
        "DELETE FROM entries WHERE position = 6; UPDATE entries SET position = -position + 1 WHERE position > 6;"
        " UPDATE entries SET position = -position WHERE position < 0;"
    )
    assert broken(path).position == 6


def rewrite(db: sqlite3.Connection, position: int, *events: e.Event) -> None:
    """Append entries by hand whose digests and hashes fit: for user "c" from *position* on."""
    (previous,) = db.execute("SELECT hash FROM entries WHERE position = ?", (position - 1,)).fetchone()
    for number, event in enumerate(events):
        link = _link(e.LedgerEntry(position + number, "c", 3 + number, START, event), previous, bytes(16))
        db.execute(*insert_link(link))
        previous = link.hash


@pytest.mark.parametrize("event", [AGREED, e.AgreementWithdrawn("n-7"), e.RequestResolved("q-1", "cancelled")])
def test_entries_that_no_record_accepts(event: e.Event, path: Path, db: sqlite3.Connection) -> None:
    """Also under hashes that fit, events that the policy refuses are a broken ledger."""
    rewrite(db, 15, event)
    assert broken(path).position == 15


def test_time_that_runs_back(path: Path, db: sqlite3.Connection) -> None:
    """Also under hashes that fit, an entry older than the one before is found."""
    (previous,) = db.execute("SELECT hash FROM entries WHERE position = 14").fetchone()
    entry = e.LedgerEntry(15, "c", 3, START.replace(year=2025), TOLD)
    db.execute(*insert_link(_link(entry, previous, bytes(16))))
    assert broken(path).position == 15


def test_a_forged_permission_is_found_by_its_record(path: Path, db: sqlite3.Connection) -> None:
    """An entry slipped in under a hash that fits shows, unless the record was forged as well."""
    rewrite(db, 15, e.Granted("marketing", "n-1", ["email"]))
    assert broken(path).position == 15
    (record,) = db.execute("SELECT record FROM records WHERE user_id = 'c'").fetchone()
    entry = e.LedgerEntry(15, "c", 3, START, e.Granted("marketing", "n-1", ["email"]))
    forged = fold(wire.decode_records(b"[%b]" % record)[0], entry)
    db.execute(*put_filled_record(record_row(forged, START)))
    store = SqliteStore(path)
    assert (
        store.verify().position == 15
    )  # so an auditor keeps cursors: that of position 14 still fits, a later one fails
    store.close()


def test_an_error_tells_where_and_what(path: Path, db: sqlite3.Connection) -> None:
    """The text of `LedgerBroken` has the position and the kind of damage, and no content."""
    db.execute("UPDATE entries SET event = replace(event, 'acme', 'acne') WHERE position = 4")
    error = broken(path)
    assert str(error) == "the ledger is broken at position 4: its content was altered"
    db.execute("UPDATE entries SET event = '{\"type\":\"Forgiven\"}', user_id = 'secret' WHERE position = 4")
    assert "secret" not in str(broken(path))


def test_a_broken_ledger_can_still_be_read_elsewhere(path: Path, db: sqlite3.Connection) -> None:
    """What is broken denies no other user."""
    db.execute("UPDATE entries SET event = x'ff' WHERE position = 4")
    store = SqliteStore(path)
    assert store.load(["b"]).records == (folded("b", store.history("b")),)
    with pytest.raises(StoreError):
        store.history("a")
    store.close()


# A ledger as `attack` finds it: all that can be done to the links in memory.
LINKS = st.sampled_from(
    ["drop", "swap", "repeat", "erase", *(name for name in Link.__struct_fields__ if name != "position")]
)


def links_of(store: MemoryStore) -> list[Link]:
    """The chain of a store."""
    with store._database.reading() as db:
        return [Link(*row) for row in db.execute("SELECT * FROM entries ORDER BY position")]


def check(links: list[Link]) -> int:
    """How far a chain verifies; `LedgerBroken` from where it does not."""
    verifier = Verifier()
    for link in links:
        verifier.add(link)
    verifier.finish()
    return verifier.position


histories = st.lists(
    st.tuples(
        st.sampled_from(["u-1", "u-2", "u-3"]),
        st.lists(strategies.events(), min_size=1, max_size=3) | st.just([e.Erased()]) | st.just([OPENED]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


def played(history: list[tuple[str, list[e.Event]]]) -> MemoryStore:
    """A store after all of a history that it accepts, with an erasure wherever one is possible at the end."""
    clock = WallClock()
    store = MemoryStore(clock=clock)
    for user_id, batch in history:
        with suppress(InvalidEvent):
            store.append(user_id, batch)
        clock.tick(1)
    return store


@given(histories)
@settings(max_examples=100)
def test_every_honest_ledger_verifies(history: list[tuple[str, list[e.Event]]]) -> None:
    """Whatever was appended and erased, in whatever order, the chain leads to the head."""
    store = played([("u-1", [OPENED]), *history])
    erase_what_may_be(store)
    assert store.verify() == head(store)
    for user_id in ("u-1", "u-2", "u-3"):
        assert store.load([user_id]).records == (folded(user_id, store.history(user_id)),)
    store.close()


def erase_what_may_be(store: MemoryStore) -> None:
    """Erase the first two users, if the policy lets them go."""
    for user_id in ("u-1", "u-2"):
        for event in (e.AccountClosed(), e.Erased()):
            with suppress(InvalidEvent):
                store.append(user_id, [event])


@given(histories, LINKS, st.integers(min_value=0), st.integers(min_value=0))
@settings(max_examples=200)
def test_any_one_change_is_found(history: list[tuple[str, list[e.Event]]], what: str, where: int, other: int) -> None:
    """Whichever link is dropped, moved or altered, the chain breaks there; an erasure too many, by the end."""
    store = played([("u-1", [OPENED]), ("u-2", [OPENED]), ("u-2", [TOLD, e.AccountClosed(), e.Erased()]), *history])
    links = links_of(store)
    store.close()
    assert check(links) == len(links)
    attacked, first = attack(links, what, where % len(links), other % len(links))
    if attacked == links or not attacked:
        return
    with pytest.raises(LedgerBroken) as caught:
        check(attacked)
    assert first <= caught.value.position <= (len(links) if what == "erase" else first)


def attack(links: list[Link], what: str, where: int, other: int) -> tuple[list[Link], int]:
    """The links after one attack, and the first position at which it shows."""
    victim, attacked = links[where], list(links)
    forged: dict[str, object] = {
        "user_id": "u-9", "version": 99, "at": "2026-03-01T00:00:00+00:00x", "event": b'{"type":"AccountClosed"} ',
        "provenance": b'{"by":"forger"}', "notice_digest": "0" * 64, "salt": b"salt",
        "digest": bytes(32), "hash": bytes(32),
    }  # fmt: skip
    match what:
        case "drop":
            del attacked[where]
            if where == len(links) - 1:  # only a cursor from before, or the user's record, can show it
                return [], 0
        case "swap":
            attacked[where], attacked[other] = attacked[other], attacked[where]
            where = min(where, other)
        case "repeat":
            attacked.insert(where + 1, victim)
            where += 1
        case "erase":
            attacked[where] = msgspec.structs.replace(victim, **BLANK)
        case _:
            attacked[where] = msgspec.structs.replace(victim, **{what: forged[what]})
    return attacked, where + 1


def test_digests_cover_user_version_time_and_event() -> None:
    """Changing any field of an entry changes its digest, and no two splits of the same text agree."""
    base = (b"salt", "u-1", 1, AT, b'{"type":"AccountClosed"}', b"{}", None)
    others = [
        (b"salu", *base[1:]), (b"salt", "u-2", *base[2:]), (b"salt", "u-1", 2, *base[3:]),
        (b"salt", "u-1", 1, AT.replace("2026", "2027"), *base[4:]), (*base[:4], b'{"type":"AccountOpened"}', *base[5:]),
        (b"salt", 'u-1","version":1', 1, AT, *base[4:]), (*base[:5], b'{"by":"mailer"}', None),
        (*base[:6], "0" * 64),
    ]  # fmt: skip
    digests = {_digest(content[0], content[1:]) for content in [base, *others]}
    assert len(digests) == 1 + len(others)
    assert len(
        {_hash(GENESIS, 1, digest) for digest in digests} | {_hash(GENESIS, 2, _digest(base[0], base[1:]))}
    ) == 2 + len(others)


def test_salts_hide_what_was_erased(path: Path, db: sqlite3.Connection) -> None:
    """Two entries of the same content have other digests, and of an erased one no salt stays to try guesses with."""
    digests = [digest for (digest,) in db.execute("SELECT digest FROM entries WHERE position IN (1, 2, 8)")]
    assert len(set(digests)) == 3
    salts = db.execute("SELECT position FROM entries WHERE salt IS NULL ORDER BY position").fetchall()
    assert salts == [(position,) for position in ERASED]
    assert db.execute("SELECT user_id FROM entries WHERE position = ?", (TOMBSTONE,)).fetchone() == ("gone",)
