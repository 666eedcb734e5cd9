"""Standings of every store with a database: what a load of records would give, made for guards."""

from __future__ import annotations

from diijam_consent_sdk import events as e
from diijam_consent_sdk.standing import EVERY_ASK, standing_of
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.stores.standings import decode_standing


def test_standings_are_those_of_the_records() -> None:
    """Each user asked for has a row once, in order; the list has whoever has entries, in order of ids."""
    store = MemoryStore()
    for user in ("u-2", "u-1", "ư-3"):
        store.append(user, [e.AccountOpened(), e.Granted("marketing", "n-1", {"email"})])
    found = store.standings(["u-2", "u-9", "u-2", "ư-3"])
    loaded = store.load(["u-2", "u-9", "ư-3"])
    assert (found.cursor, found.view) == (loaded.cursor, EVERY_ASK)
    assert [(row.user_id, row.version) for row in found.users] == [("u-2", 2), ("u-9", 0), ("ư-3", 2)]
    for row, record in zip(found.users, loaded.records, strict=True):
        assert decode_standing(row.standing, found.view) == standing_of(record, found.at)
    first = store.list_standings(None, 2)
    assert ([row.user_id for row in first.users], first.after) == (["u-1", "u-2"], "u-2")
    last = store.list_standings(first.after, 2)
    assert ([row.user_id for row in last.users], last.after) == (["ư-3"], None)
