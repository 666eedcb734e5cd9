"""The stores of a ledger (`MemoryStore`, `SqliteStore`, `PostgresStore`, `HttpStore`) and the protocol they keep."""

from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from .._extras import ExtraMissing, needs_extra
from .answers import Appended, Changes, Cursor, Loaded, Write
from .async_protocol import AsyncStore
from .protocol import Store
from .sqlite.memory import MemoryStore
from .sqlite.store import SqliteStore
from .url import POSTGRES_EXTRA

if TYPE_CHECKING:
    from .http.async_store import AsyncHttpStore
    from .http.store import HttpStore
    from .postgres.async_store import AsyncPostgresStore
    from .postgres.sync_store import PostgresStore

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
    "Write",
]


LATER = {
    "HttpStore": ".http.store",
    "AsyncHttpStore": ".http.async_store",
    "PostgresStore": ".postgres.sync_store",
    "AsyncPostgresStore": ".postgres.async_store",
}


def __getattr__(name: str) -> object:
    """Import a store that needs an extra, or is slow to import, when it is first used."""
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        with needs_extra(*POSTGRES_EXTRA):
            return getattr(import_module(LATER[name], __name__), name)
    except ExtraMissing as error:
        return _without_extra(name, str(error))


def _without_extra(name: str, message: str) -> type:
    """Make a class that can be imported beside the others, and says what to install where a store is made of it."""

    def refuse(_: type, *_args: object, **_options: object) -> NoReturn:
        raise ExtraMissing(message)

    return type(name, (), {"__module__": __name__, "__doc__": message, "__new__": refuse})
