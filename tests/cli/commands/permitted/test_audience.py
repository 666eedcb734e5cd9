"""What a long list costs, and what happens when there is no room for it."""

from __future__ import annotations

import io

import pytest

from diijam_consent_sdk.cli.commands.permitted import seen_ids
from diijam_consent_sdk.cli.commands.permitted.audience import Audience
from tests.cli.conftest import Cli, Ledger
from tests.memory import peak_of

ONE_TWICE = b"".join(b"customer-%d\n" % (number % 29_999) for number in range(30_000))


def read_list() -> None:
    """Read thirty thousand ids, one of them twice."""
    audience = Audience(io.BytesIO(ONE_TWICE), None)
    assert sum(1 for _ in audience) == 29_999
    assert audience.duplicates == 1


def test_memory_stays_the_same() -> None:
    """Rows and ids that came by leave nothing in memory, and a duplicate is found however far back it was."""
    assert peak_of(read_list) < 500_000  # a set of the ids takes several million


@pytest.mark.parametrize("data", [b"user_id,name\nu-1,Lan\n", b"u-1,Lan,lan@example.vn\n"], ids=str)
def test_csv_taken_for_ids(mailable: Ledger, cli: Cli, data: bytes) -> None:
    """CSV without `--column` is no list of unknown customers: it is refused, and none of it is shown."""
    result = cli("permitted", "market", "email", stdin=data)
    assert (result.status, result.out) == (2, "")
    wanted = "error: this looks like CSV: add --column with the name of the one that holds the ids"
    assert result.err == f"{wanted}; nothing was written\n"


def test_no_room(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends the command with a line that says what to do, and with no output."""
    monkeypatch.setattr(seen_ids, "SCHEMA", seen_ids.SCHEMA + "PRAGMA max_page_count=4;")
    result = cli("permitted", "market", "email", stdin=b"".join(b"customer-%d\n" % n for n in range(5_000)))
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: no room to remember the ids of the list (database or disk is full): free some")
