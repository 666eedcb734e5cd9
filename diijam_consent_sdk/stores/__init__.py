"""Where a ledger lives: `MemoryStore`, `SqliteStore`, `PostgresStore`, `HttpStore`, and the protocol they all keep."""

from typing import TYPE_CHECKING

from .protocol import Appended, AsyncStore, Changes, Cursor, Loaded, Store
from .sqlite.memory import MemoryStore
from .sqlite.store import SqliteStore

if TYPE_CHECKING:
    from .http.store import AsyncHttpStore, HttpStore
    from .postgres.store import AsyncPostgresStore, PostgresStore

__all__ = [
    "Appended",
    "AsyncHttpStore",
    "AsyncPostgresStore",
    "AsyncStore",
    "Changes",
    "Cursor",
    "HttpStore",
    "Loaded",
    "MemoryStore",
    "PostgresStore",
    "SqliteStore",
    "Store",
]


def __getattr__(name: str) -> object:
    """Import what needs an extra only when it is asked for."""
    if name in {"AsyncHttpStore", "HttpStore"}:
        from .http import store as http_store  # noqa: PLC0415

        return getattr(http_store, name)
    if name in {"AsyncPostgresStore", "PostgresStore"}:
        from .postgres import store as postgres_store  # noqa: PLC0415

        return getattr(postgres_store, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
