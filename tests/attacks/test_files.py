"""What others on the machine do to the ledger's files."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing

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


def test_the_ledger_is_its_owner_s_alone(served: Served) -> None:
    """S10: the file and what lies beside it are readable by their owner alone, whatever the umask."""
    assert served.ask("/v1/events/append", WITHDRAWAL)[0] == 200
    files = list(served.ledger.parent.glob("consents.db*"))
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
