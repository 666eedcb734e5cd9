"""Stores by URL."""

from __future__ import annotations

import os

from .memory import MemoryStore
from .sqlite import SqliteStore

URL_VARIABLE, TOKEN_VARIABLE = "DIIJAM_CONSENT_URL", "DIIJAM_CONSENT_TOKEN"
KNOWN_URLS = "memory: or sqlite:///path/to/file.db (four slashes for an absolute path)"


def open_store(
    url: str,
    *,
    token: str | None = None,  # noqa: ARG001 - stores over a network will take it
    busy_seconds: float = 0.9,
    create: bool = True,
) -> SqliteStore:
    """
    The store that *url* names.

    Args:
        url: `memory:`, or `sqlite:///` and a path.

        token: For a store that asks for one; these two have no use for it.

        busy_seconds: How long a call waits for another process's lock.

        create: Whether to make a missing file.

    Raises:
        ValueError: the URL names no store. It is not repeated: it may hold a password.

        StoreUnavailable, StoreUnusable: as `SqliteStore` raises them.
    """
    if not isinstance(url, str):
        raise TypeError(f"a URL is a string, not {type(url).__name__}")
    if url == "memory:":
        return MemoryStore()
    path = url.removeprefix("sqlite:///")
    if path == url or not path:
        raise ValueError(f"this URL names no store; known: {KNOWN_URLS}")
    return SqliteStore(path, busy_seconds=busy_seconds, create=create)


def url_from_env() -> tuple[str, str | None]:
    """
    The URL and token that the environment gives.

    Raises:
        ValueError: it gives no URL.
    """
    url = os.environ.get(URL_VARIABLE)
    if not url:
        raise ValueError(f"{URL_VARIABLE} is not set: set it to {KNOWN_URLS}")
    return url, os.environ.get(TOKEN_VARIABLE)
