"""The ledger's format is documented well enough for a program of 60 lines that shares no code with the library."""

from __future__ import annotations

import runpy
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.stores import SqliteStore
from tests import strategies
from tests.stores.contract import OPENED, TOLD, WallClock, append_each, erase

PROGRAM = Path(__file__).parents[3] / "docs" / "verify_ledger.py"
Verify = Callable[..., tuple[int, str]]
NOTICE = NoticeText("promo-2026-11", {"vi": "Khuyến mãi “tháng 11”\n", "en": 'A "promotion"\t\u2028'}, {"marketing"})
GRANTED = e.Granted("marketing", "promo-2026-11", ["email"])
SAID = e.Provenance("relay/mailer", "app", "mẫu “7”", "vi-VN")
IMPORTED = e.Provenance(method="import", said_at=datetime(2025, 3, 1, 9, 30, 0, 500_000, tzinfo=UTC))


@pytest.fixture(scope="module")
def verify() -> Verify:
    """The program's function."""
    found: Verify = runpy.run_path(str(PROGRAM))["verify"]
    return found


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with notices, provenance, an erased user, ids beyond ASCII, and times with and without fractions."""
    path = tmp_path_factory.mktemp("honest") / "ledger.db"
    clock = WallClock()
    with closing(SqliteStore(path, clock=clock)) as store:
        store.append("before", [OPENED, GRANTED], provenance=SAID)  # no digest: the notice is not registered yet
        store.register_notice(NOTICE)
        append_each(store, [("gone", [OPENED, GRANTED, TOLD]), ("Nguyễn “A”", [OPENED, GRANTED])])
        clock.tick(0.5)
        append_each(store, [("gone", [e.Withdrawn("surveys")]), ("before", [GRANTED])])
        store.append("moved", [e.Withdrawn("surveys")], provenance=IMPORTED)
        erase(store, "gone")
        store.append("before", [e.Withdrawn("marketing")])
        store.append("Nguyễn “A”", [e.Withdrawn("marketing")])
    return path


@pytest.fixture
def path(honest: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    return Path(shutil.copy(honest, tmp_path))


def head(path: Path) -> str:
    """The head of a ledger, as a token."""
    with closing(SqliteStore(path)) as store:
        return str(store.verify())


def test_an_honest_ledger_verifies(verify: Verify, path: Path) -> None:
    """It leads to the head that the library's `verify` finds, and continues that."""
    position, chain_hash = verify(path)
    assert head(path).split(".")[1:] == [str(position), chain_hash]
    assert verify(path, head(path)) == (position, chain_hash)
    assert verify(path, "epoch.0." + "0" * 64) == (position, chain_hash)


def test_the_program_is_short_and_needs_no_library(path: Path) -> None:
    """It has at most 60 lines, and runs without the packages that this library needs."""
    assert sum(bool(line.strip()) for line in PROGRAM.read_text(encoding="utf-8").splitlines()) <= 60
    program = [sys.executable, "-I", "-S", str(PROGRAM), str(path)]
    done = subprocess.run([*program, head(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == head(path).split(".")[1:]
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE entries SET event = replace(event, 'email', 'call') WHERE position = 2")
        db.commit()
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "entry 2 was altered" in done.stderr


ALTERED = {
    "event": "event = CAST(replace(event, 'promo', 'other') AS BLOB)",
    "a space in an event": "event = CAST(replace(event, ':', ': ') AS BLOB)",
    "user": "user_id = 'somebody'",
    "version": "version = 7",
    "writer": "provenance = CAST(replace(provenance, 'mailer', 'billing') AS BLOB)",
    "a notice's digest": f"notice_digest = '{NOTICE.digest}'",
    "time": "at = replace(at, '2026', '2025')",
    "salt": "salt = x'00'",
    "digest": "digest = zeroblob(32)",
    "digest made text": "digest = 'none'",
    "hash": "hash = zeroblob(32)",
    "blanked in part": "event = NULL, salt = NULL",
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_forged_byte_is_found(verify: Verify, path: Path, name: str) -> None:
    """Whatever is altered of an entry, the program names its place."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"UPDATE entries SET {ALTERED[name]} WHERE position = 2")
        db.commit()
    with pytest.raises(ValueError, match="entry 2"):
        verify(path)


ATTACKS = {
    "an entry is missing": ["DELETE FROM entries WHERE position = 2"],
    "two entries are swapped": [
        "UPDATE entries SET position = 99 WHERE position = 2",
        "UPDATE entries SET position = 2 WHERE position = 3",
        "UPDATE entries SET position = 3 WHERE position = 99",
    ],
    "an entry is blanked": [
        "CREATE TEMP TABLE blank AS SELECT position, digest, hash FROM entries WHERE position = 2",
        "DELETE FROM entries WHERE position = 2",
        "INSERT INTO entries (position, digest, hash) SELECT * FROM blank",
    ],
    "a notice says something else": ["UPDATE notices SET texts = replace(texts, 'promotion', 'gift')"],
    "a notice names something else": ["UPDATE notices SET terms = replace(terms, 'marketing', 'surveys')"],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_found(verify: Verify, path: Path, name: str) -> None:
    """What is removed, moved or blanked shows, and so do other words under a notice's id."""
    with closing(sqlite3.connect(path)) as db:
        for statement in ATTACKS[name]:
            db.execute(statement)
        db.commit()
    with pytest.raises(ValueError, match=r"entry|entries|notice"):
        verify(path)


def test_a_cut_and_a_forgery_are_found_by_a_kept_head(verify: Verify, path: Path, tmp_path: Path) -> None:
    """A chain that is shorter, or made again, verifies, and does not continue the head."""
    kept = head(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM entries WHERE position = (SELECT max(position) FROM entries)")
        db.commit()
    assert verify(path)[0] == int(kept.split(".")[1]) - 1
    with closing(SqliteStore(tmp_path / "forged.db")) as store:
        store.append("u", [OPENED, *[e.Withdrawn("surveys")] * 30])
    assert verify(tmp_path / "forged.db")[0] == 31
    for ledger in (path, tmp_path / "forged.db"):
        with pytest.raises(ValueError, match="does not continue the head"):
            verify(ledger, kept)


histories = st.lists(st.tuples(st.sampled_from(["u", "ü", "đ"]), strategies.events()), min_size=1, max_size=15)


@given(histories)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_honest_ledger_verifies(
    verify: Verify, tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, e.Event]]
) -> None:
    """Whatever was recorded, of every kind of event, the program and the library find the same head."""
    path = tmp_path_factory.mktemp("any") / "ledger.db"
    with closing(SqliteStore(path, clock=WallClock())) as store:
        for user_id, event in [("u", OPENED), *history, ("u", e.AccountClosed()), ("u", e.Erased())]:
            with suppress(InvalidEvent):
                store.append(user_id, [event])
        found = store.verify()
    assert verify(path) == (found.position, found.hash)
