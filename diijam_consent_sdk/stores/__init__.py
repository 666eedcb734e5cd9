"""Where a ledger lives: `MemoryStore`, `SqliteStore`, `PostgresStore`, `HttpStore`, and the protocol they all keep."""

from typing import TYPE_CHECKING

from .memory import MemoryStore
from .protocol import Appended, AsyncStore, Changes, Cursor, Loaded, Store
from .sqlite import SqliteStore

if TYPE_CHECKING:
    from .http import AsyncHttpStore, HttpStore
    from .postgres import AsyncPostgresStore, PostgresStore

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
        from . import http  # noqa: PLC0415

        return getattr(http, name)
    if name in {"AsyncPostgresStore", "PostgresStore"}:
        from . import postgres  # noqa: PLC0415

        return getattr(postgres, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
