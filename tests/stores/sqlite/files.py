"""What the tests of a ledger in a file stand on: the calls to make, and a short way to a version."""

from __future__ import annotations

from collections.abc import Callable

from diijam_consent_sdk.stores import SqliteStore, Store

from ..contract import OPENED, head

BUSY_SECONDS = 0.3
CALLS: dict[str, Callable[[SqliteStore], object]] = {
    "load": lambda store: store.load(["u-1"]),
    "standings": lambda store: store.standings(["u-1"]),
    "list": lambda store: store.list_standings(None),
    "append": lambda store: store.append("new", [OPENED]),
    "changes": lambda store: store.changes(head(store), wait=0),
    "history": lambda store: store.history("u-1"),
    "verify": lambda store: store.verify(),
}


def version(store: Store, user_id: str) -> int:
    """The version of a user's record."""
    return store.load([user_id]).records[0].version
