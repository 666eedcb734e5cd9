"""`diijam-consent holder add|list|retire|owed|confirm`, and how `due` and `record` show holders."""

from __future__ import annotations

import json
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore
from tests.cli.conftest import Cli, Ledger

ERASURE = e.RequestFiled("q-1", "erasure")


@pytest.fixture
def holding(cli: Cli, ledger: Ledger) -> Ledger:
    """A ledger with two holders, who owe the erasure of three customers."""
    for name in ("warehouse", "mailer"):
        assert cli("holder", "add", name, "--actor", "privacy-team").status == 0
    ledger.record("u-asked", e.AccountOpened(), e.HoldPlaced("h-1", "tax", ["payment"]), ERASURE)
    ledger.record("u-unknown", ERASURE)
    ledger.record("u-closed", e.AccountOpened(), e.AccountClosed())
    return ledger


def test_holders_are_listed(cli: Cli, holding: Ledger) -> None:
    """By name, with time and writer; for machines as one object."""
    lines = cli("holder", "list").out.splitlines()
    assert lines[0].split() == ["holder", "registered", "at", "by"]
    assert [(line.split()[0], line.split()[-1]) for line in lines[1:]] == [
        ("mailer", "privacy-team"), ("warehouse", "privacy-team"),
    ]  # fmt: skip
    holders = json.loads(cli("holder", "list", "--json").out)["holders"]
    assert [(known["holder"], known["by"]) for known in holders] == [
        ("mailer", "privacy-team"), ("warehouse", "privacy-team"),
    ]  # fmt: skip


def test_adding_twice_changes_nothing(cli: Cli, holding: Ledger) -> None:
    """The first registration is shown again."""
    before = cli("holder", "list", "--json").out
    shown = cli("holder", "add", "mailer", "--actor", "somebody")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.splitlines()[0] == "holder      mailer"
    assert shown.out.splitlines()[2] == "by          privacy-team"
    assert cli("holder", "list", "--json").out == before


def test_retiring_ends_what_is_owed(cli: Cli, holding: Ledger) -> None:
    """Nobody waits for the holder; again, or for an unknown one, it changes nothing."""
    for _ in range(2):
        assert cli("holder", "retire", "warehouse").status == 0
    assert [known["holder"] for known in json.loads(cli("holder", "list", "--json").out)["holders"]] == ["mailer"]
    refused = cli("holder", "owed", "warehouse")
    assert (refused.status, refused.out) == (2, "")
    assert "no such holder is registered" in refused.err


def test_what_is_owed(cli: Cli, holding: Ledger) -> None:
    """Customers in the order that they are due, with what a hold keeps; who only closed the account comes last."""
    rows = [line.split() for line in cli("holder", "owed", "mailer").out.splitlines()]
    assert rows[0] == ["due", "at", "user", "kept", "by", "a", "hold"]
    assert [row[1:] for row in rows[1:]] == [["u-asked", "payment"], ["u-unknown", "-"], ["u-closed", "-"]]
    assert rows[-1][0] == "-"
    owed = json.loads(cli("holder", "owed", "mailer", "--json").out)
    assert owed["holder"] == "mailer"
    assert [(it["user_id"], it["kept"], it["due_at"] is None) for it in owed["erasures"]] == [
        ("u-asked", ["payment"], False), ("u-unknown", [], False), ("u-closed", [], True),
    ]  # fmt: skip


def test_confirming(cli: Cli, holding: Ledger) -> None:
    """What is confirmed is owed no more; what is refused is named with its reason, and the rest is written."""
    done = cli("holder", "confirm", "mailer", "u-unknown", "u-closed", "--actor", "mailer")
    assert (done.status, done.out, done.err) == (0, "confirmed 2 of 2\n", "")
    again = cli("holder", "confirm", "mailer", "u-closed", "u-asked", "u-nobody")
    assert (again.status, again.out) == (2, "confirmed 1 of 3\n")
    assert "u-closed: " in again.err
    assert "has confirmed the erasure already" in again.err
    assert "u-nobody: " in again.err
    assert json.loads(cli("holder", "owed", "mailer", "--json").out)["erasures"] == []
    last = json.loads(cli("history", "u-closed", "--json").out.splitlines()[-1])
    assert (last["event"]["type"], last["provenance"]["by"]) == ("ErasureConfirmed", "mailer")
    nobody = cli("holder", "confirm", "mailer")
    assert (nobody.status, "holder confirm NAME USER_ID" in nobody.err) == (2, True)


def test_a_confirmation_names_the_erasure(cli: Cli, holding: Ledger) -> None:
    """Of one that began at another time it is refused, and so is a time that is none."""
    owed = json.loads(cli("holder", "owed", "mailer", "--json").out)["erasures"]
    (began_at,) = (it["began_at"] for it in owed if it["user_id"] == "u-closed")
    for said, status, told in (
        ("2026-01-01T00:00:00Z", 2, "u-closed: event 1 of 1, ErasureConfirmed, is refused: the erasure that began"),
        ("yesterday", 2, "--began-at 'yesterday' is no time"),
        (began_at, 0, ""),
    ):
        result = cli("holder", "confirm", "mailer", "u-closed", "--began-at", said)
        assert (result.status, told in result.err) == (status, True)


def test_one_confirmation_is_an_event_like_any(cli: Cli, holding: Ledger) -> None:
    """`record` writes it, and `Erased` names who is missing before."""
    refused = cli("record", "u-closed", "Erased")
    assert refused.status == 2
    assert "or retire the holder: mailer, warehouse" in refused.err
    for name in ("mailer", "warehouse"):
        assert cli("record", "u-closed", "ErasureConfirmed", "--holder", name).status == 0
    assert cli("record", "u-closed", "Erased").status == 0


def test_the_work_list_shows_who_is_missing(cli: Cli, holding: Ledger) -> None:
    """A held erasure names the holders that have yet to confirm, beside its holds."""
    cli("holder", "confirm", "mailer", "u-unknown")
    lines = cli("due").out.splitlines()
    assert "may be erased now  0" in lines
    rows = {line.split()[1]: line.split()[2:] for line in lines[-2:]}
    assert rows == {"u-asked": ["release", "h-1", "(tax)", "mailer,", "warehouse"], "u-unknown": ["warehouse"]}
    held = {it["user_id"]: it for it in json.loads(cli("due", "--json").out)["held"]}
    assert held["u-unknown"]["missing"] == ["warehouse"]
    assert (held["u-asked"]["missing"], held["u-asked"]["holds"][0]["hold"]) == (["mailer", "warehouse"], "h-1")


@pytest.mark.parametrize("words", [("list",), ("retire", "mailer"), ("owed", "mailer"), ("confirm", "mailer", "u-1")])
def test_a_ledger_that_is_not_there(cli: Cli, words: tuple[str, ...]) -> None:
    """Only `add` makes a ledger."""
    assert cli("holder", *words).status == 2


@pytest.mark.parametrize(
    ("words", "method"),
    [
        (("holder", "confirm", "mailer", "u-closed"), "append_many"), (("holder", "add", "crm"), "register_holder"),
        (("record", "u-1", "Withdrawn", "--purpose", "surveys"), "close"),
        (("holder", "retire", "mailer"), "retire_holder"),
    ],
)  # fmt: skip
def test_a_command_that_was_stopped_after_it_wrote(
    cli: Cli, holding: Ledger, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], method: str
) -> None:
    """It does not say that nothing was written."""
    write = getattr(SqliteStore, method)

    def write_then_stop(*args: Any, **options: Any) -> Any:
        """Be stopped by Ctrl-C once it is written."""
        write(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(SqliteStore, method, write_then_stop)
    result = cli(*words)
    assert result.status == 130
    assert result.err.startswith("stopped")
    assert "nothing was written" not in result.err
