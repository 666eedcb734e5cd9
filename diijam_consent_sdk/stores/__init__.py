"""Where a ledger lives: `MemoryStore`, `SqliteStore`, and the protocol both keep."""

from .memory import MemoryStore
from .protocol import Appended, AsyncStore, Changes, Cursor, Loaded, Store
from .sqlite import SqliteStore

__all__ = ["Appended", "AsyncStore", "Changes", "Cursor", "Loaded", "MemoryStore", "SqliteStore", "Store"]
