"""The ledger that a command works on: `--url`, or the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..client import ConsentClient
from ..errors import StoreUnavailable
from ..stores._addresses import checked_address
from ..stores.protocol import Store
from ..stores.url import INSECURE_HOSTS_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE, insecure_hosts_from_env, open_store

BUSY_SECONDS = 5.0  # how long to wait for another process's lock: people would rather wait than start over
DEADLINE_SECONDS = 10.0
CAPACITY = 10_000  # users kept in memory: a list names each of them once, so more would only be in the way
FILE_SCHEME = "sqlite:///"
START = "check --url, or start a ledger with diijam-consent record"

Url = Annotated[
    str | None,
    Parameter(
        name="--url",
        env_var=URL_VARIABLE,
        help="Where the ledger is: sqlite:///consents.db (four slashes for an absolute path),"
        " postgresql://user@host/database, or the https:// URL of a"
        f" consent service, whose token {TOKEN_VARIABLE} holds. Plain http:// is for this machine, and for the hosts"
        f" that {INSECURE_HOSTS_VARIABLE} names.",
    ),
]


def named(url: str | None) -> str:
    """
    What `--url` or the environment gave.

    Raises:
        ValueError: nothing, or what is no URL.
    """
    if not url:
        raise ValueError(f"which ledger? Give --url sqlite:///consents.db, or set {URL_VARIABLE}")
    return checked_address(url)


@contextmanager
def opened(url: str | None, *, create: bool = False, deadline: float = DEADLINE_SECONDS) -> Iterator[Store]:
    """
    The store that *url* names, closed after the block.

    Args:
        url: What `--url` or the environment gave.

        create: Whether to make a missing database.

        deadline: Seconds that one call may take.

    Raises:
        ValueError: there is no URL, or it names no store that outlives the command.

        StoreUnavailable, StoreUnusable: as `open_store` raises them; and if there is no database and none is made.

        ImportError: the store needs an extra that is not installed.
    """
    url = named(url)
    if url == "memory:":
        raise ValueError("a memory: ledger would be gone with this command: give --url sqlite:///consents.db")
    if not create:
        _find(url)
    store: Store = open_store(
        url,
        token=os.environ.get(TOKEN_VARIABLE),
        deadline=deadline,
        busy_seconds=min(BUSY_SECONDS, deadline),
        create=create,
        insecure_hosts=insecure_hosts_from_env(),
    )
    try:
        yield store
    finally:
        store.close()


def asking(store: Store) -> ConsentClient:
    """A client over that store for one command's questions."""
    return ConsentClient(store, follow=False, deadline=DEADLINE_SECONDS, capacity=CAPACITY)


def _find(url: str) -> None:
    """Say clearly that there is no ledger, before SQLite says something vaguer or makes one of an empty file."""
    path = url.removeprefix(FILE_SCHEME)
    if path in {url, ""}:
        return
    try:
        is_empty = Path(path).stat().st_size == 0
    except FileNotFoundError:
        raise StoreUnavailable(f"there is no database {path}: {START}") from None
    except OSError:
        return  # opening it says why
    if is_empty:
        raise StoreUnavailable(f"the file {path} is empty, there is no ledger in it: {START}")
