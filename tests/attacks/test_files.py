"""Attacks of other users of the machine on files: of the ledger, of the tokens and of the command line."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec
import pytest

from tests.attacks.conftest import Served

WITHDRAWAL = {"user_id": "u-1", "events": [{"type": "Withdrawn", "purpose": "surveys"}]}
PLANTED = {
    "trigger": "CREATE TRIGGER planted AFTER INSERT ON entries BEGIN UPDATE entries SET event = X'7b7d'; END",
    "records": "CREATE TRIGGER planted AFTER UPDATE ON records BEGIN UPDATE records SET record = OLD.record; END",
    "view": "CREATE VIEW planted AS SELECT * FROM entries",
    "index": "CREATE INDEX planted ON entries (at)",
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_schema_swallows_no_withdrawal(served: Served, what: str) -> None:
    """S5: with a trigger, view or index that is not ours nothing is acknowledged; without it, all goes on."""
    with closing(sqlite3.connect(served.ledger)) as db:
        db.execute(PLANTED[what])
        status, answer = served.ask("/v1/events/append", WITHDRAWAL)
        assert (status, json.loads(answer)["type"]) == (500, "urn:diijam-consent:store-unusable")
        db.execute(f"DROP {PLANTED[what].split()[1]} planted")
    assert served.ask("/v1/events/append", WITHDRAWAL)[0] == 200


def test_planted_notes_empty_nothing(served: Served, bystanders: Callable[[], Any]) -> None:
    """S9: a link planted in place of the notes of an interrupted run stops the run and is not followed."""
    target = served.ledger.parent / "kept.txt"
    target.write_text("kept")
    (served.ledger.parent / "out.txt.resume").symlink_to(target)
    command = ["permitted", "market", "email", "--output", "out.txt", "--url", f"sqlite:///{served.ledger}"]
    with bystanders():
        result = subprocess.run(
            [sys.executable, "-m", "diijam_consent_sdk.cli", *command],
            check=False, cwd=served.ledger.parent, input="u-1\n", capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert (result.returncode, target.read_text()) == (2, "kept")
    assert result.stderr.startswith("error: out.txt.resume")


def test_a_revocation_that_leaves_no_trace_is_seen(served: Served) -> None:
    """S12: a token that was revoked in place, with size, times and inode kept, is refused within seconds."""
    tokens = served.ledger.parent / "tokens.json"
    before = tokens.stat()
    entries = json.loads(tokens.read_text())
    entries[0]["sha256"] = entries[0]["sha256"][::-1]
    with tokens.open("r+b") as file:
        file.write(msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n")
    os.utime(tokens, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tokens.stat().st_size, tokens.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    eventually_answers(served, 401)


def test_tokens_that_others_may_write_let_nobody_in(served: Served) -> None:
    """S12: while another user could write the tokens file, every token is refused; once that is mended, none is."""
    tokens = served.ledger.parent / "tokens.json"
    tokens.chmod(0o666)
    eventually_answers(served, 503)
    tokens.chmod(0o600)
    eventually_answers(served, 200)


def test_a_foreign_lock_on_the_tokens_stops_nobody(served: Served, bystanders: Callable[[], Any]) -> None:
    """S12: while another process keeps the tokens file locked, the service reads it and lets its callers in."""
    tokens = served.ledger.parent / "tokens.json"
    with tokens.open("rb") as file, bystanders():
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(tokens)  # so that it is read again
        time.sleep(2)
        assert served.ask("/v1/records/load", {"user_ids": []})[0] == 200


def eventually_answers(served: Served, status: int) -> None:
    """Wait until the service answers a load with this status."""
    until = time.monotonic() + 10
    while served.ask("/v1/records/load", {"user_ids": []})[0] != status:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_ledger_is_its_owner_s_alone(served: Served, bystanders: Callable[[], Any]) -> None:
    """S10: the ledger and the files next to it are readable by their owner alone, whatever the umask."""
    with bystanders():
        assert served.ask("/v1/events/append", WITHDRAWAL)[0] == 200
        files = list(served.ledger.parent.glob("consents.db*"))
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
