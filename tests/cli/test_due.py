"""`diijam-consent due`: the work list, for people and for machines."""

from __future__ import annotations

import json

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
    assert "may be erased now  1" in lines
    assert lines[-1].split()[1:] == ["u-held", "released", "invoice-7", "(tax)"]


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
