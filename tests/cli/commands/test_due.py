"""`diijam-consent due`: the work list, for people and for machines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from diijam_consent_sdk import events as e
from tests.cli.conftest import Cli, Ledger


def test_nothing_is_owed(cli: Cli, mailable: Ledger) -> None:
    """A ledger without requests has empty lists."""
    result = cli("due")
    assert (result.status, result.err) == (0, "")
    assert result.out == "open requests      0\nmay be erased now  0\nheld               0\n"


def owing(ledger: Ledger) -> None:
    """A customer who may be erased, one who is held, one who wants to see the data."""
    asked = e.RequestFiled("q-1", "erasure")
    ledger.record("u-free", e.AccountOpened(), asked)
    ledger.record("u-held", e.AccountOpened(), e.HoldPlaced("invoice-7", "tax", ["payment"]), asked)
    ledger.record("u-curious", e.AccountOpened(), e.RequestFiled("q-2", "access"))


def test_the_lists(cli: Cli, ledger: Ledger) -> None:
    """What is owed comes by its time; a held erasure names its holds and until when they keep it."""
    owing(ledger)
    lines = cli("due").out.splitlines()
    assert lines[0] == "open requests      3"
    assert [line.split()[-1] for line in lines[2:5]] == ["u-curious", "u-free", "u-held"]
    assert lines[1].split() == ["state", "due", "at", "reply", "by", "kind", "request", "user"]
    assert "may be erased now  1" in lines
    assert lines[-1].split()[1:] == ["u-held", "release", "invoice-7", "(tax)"]


def test_how_a_request_stands(cli: Cli, ledger: Ledger) -> None:
    """Each request has its state; one that was replied to says so, one that came in long ago is overdue."""
    long_ago = datetime.now(UTC) - timedelta(days=11)
    ledger.record("u-late", e.RequestFiled("q-1", "access", received_at=long_ago), e.RequestReplied("q-1"))
    ledger.record("u-new", e.RequestFiled("q-1", "access"))
    ledger.record("u-soon", e.RequestFiled("q-1", "access", received_at=long_ago + timedelta(days=2)))
    rows = [line.split() for line in cli("due").out.splitlines()[2:5]]
    assert [(row[0], row[-1]) for row in rows] == [("overdue", "u-late"), ("overdue", "u-soon"), ("on", "u-new")]
    assert ["replied" in row for row in rows] == [True, False, False]
    ledger.record("u-soon", e.RequestReplied("q-1"))
    owed = json.loads(cli("due", "--json").out)
    assert [it["state"] for it in owed["requests"]] == ["overdue", "due_soon", "on_track"]


def test_for_machines(cli: Cli, ledger: Ledger) -> None:
    """The same as one JSON object."""
    owing(ledger)
    owed = json.loads(cli("due", "--json").out)
    assert [it["request"]["kind"] for it in owed["requests"]] == ["access", "erasure", "erasure"]
    assert [it["user_id"] for it in owed["erasable"]] == ["u-free"]
    assert [(it["user_id"], it["until"], it["holds"][0]["hold"]) for it in owed["held"]] == [
        ("u-held", None, "invoice-7")
    ]  # fmt: skip


def test_a_ledger_that_cannot_be_read(cli: Cli, ledger: Ledger) -> None:
    """No list is no empty list."""
    assert cli("due").status == 2
