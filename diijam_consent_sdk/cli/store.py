"""
Open the ledger that `--url` or the environment names.

Each command opens one the same way, so the URL, the token and the limits mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..client import ConsentClient
from ..errors import StoreUnavailable, StoreUnusable
from ..stores._addresses import checked_address
from ..stores.protocol import Store
from ..stores.url import (
    INSECURE_HOSTS_VARIABLE,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
    URL_VARIABLE,
    insecure_hosts_from_env,
    token_from_env,
)
from ..stores.url import open_store as open_store_at

BUSY_SECONDS = 5.0  # to wait for another process's lock, since people would rather wait than start over
DEADLINE_SECONDS = 10.0
CAPACITY = 10_000  # users kept in memory; a list names each of them once, so more would not help
FILE_SCHEME = "sqlite:///"
START = "check --url, or start a ledger with diijam-consent record"

Url = Annotated[
    str | None,
    Parameter(
        name="--url",
        env_var=URL_VARIABLE,
        help="Where the ledger is: sqlite:///consents.db (four slashes for an absolute path),"
        " postgresql://user@host/database, or the https:// URL of a"
        f" consent service, whose token {TOKEN_VARIABLE} holds, or the file"
        f" {TOKEN_FILE_VARIABLE} names. Plain http:// is for this machine, and for the hosts"
        f" that {INSECURE_HOSTS_VARIABLE} names.",
    ),
]

DatabaseUrl = Annotated[
    str | None,
    Parameter(
        name="--url",
        env_var=URL_VARIABLE,
        help="Where the ledger is: sqlite:///consents.db (four slashes for an absolute path), or"
        " postgresql://user@host/database. A consent service cannot do this for you: run it where the database is.",
    ),
]


def require_url(url: str | None, option: str = "--url") -> str:
    """
    Return what *option* or the environment gave, checked.

    Raises:
        ValueError: neither gave a URL, or it is malformed.
    """
    if not url:
        variable = f", or set {URL_VARIABLE}" if option == "--url" else ""
        raise ValueError(f"which ledger? Give {option} sqlite:///consents.db{variable}")
    return checked_address(url)


def check_apart(source: str, target: str | None) -> None:
    """
    Check that two URLs do not lead to one ledger, as far as their spelling and the files tell.

    Raises:
        ValueError: they do.
    """
    one, other = source.removeprefix(FILE_SCHEME), (target or "").removeprefix(FILE_SCHEME)
    is_same = source == target
    with suppress(OSError, ValueError):  # what is no file is opened next, which names what is wrong
        is_same |= source != one and target != other and Path(one).samefile(other)
    if is_same:
        raise ValueError("both URLs lead to the same ledger: see which is the other one")


@contextmanager
def open_store(
    url: str | None, *, create: bool = False, deadline: float = DEADLINE_SECONDS, option: str = "--url"
) -> Iterator[Store]:
    """
    Open the store at *url*, and close it after the block.

    Args:
        url: What `--url` or the environment gave.

        create: Whether to make a missing database.

        deadline: Seconds that one call may take.

        option: What gave the URL, for the error.

    Raises:
        ValueError: there is no URL, or the store would not outlive the command.

        StoreUnavailable, StoreUnusable: as `stores.url.open_store` raises them, or there is no database and *create* is
            not set.

        ImportError: the store needs an extra that is not installed.
    """
    url = require_url(url, option)
    if url == "memory:":
        raise ValueError(f"a memory: ledger would be gone with this command: give {option} sqlite:///consents.db")
    if not create:
        _check_file(url, START if option == "--url" else f"check {option}")
    try:
        store: Store = open_store_at(
            url,
            token=token_from_env(url),
            deadline=deadline,
            busy_seconds=min(BUSY_SECONDS, deadline),
            create=create,
            insecure_hosts=insecure_hosts_from_env(),
        )
    except ValueError as error:
        if option != "--url":
            error.add_note(f"see {option}")
        raise
    try:
        yield store
    finally:
        store.close()


def make_client(store: Store) -> ConsentClient:
    """Make a client over *store* for the questions of one command."""
    return ConsentClient(store, follow=False, deadline=DEADLINE_SECONDS, capacity=CAPACITY)


def _check_file(url: str, advice: str) -> None:
    """Check that a SQLite file has a ledger, since SQLite's own error is vague and an empty file would become one."""
    path = url.removeprefix(FILE_SCHEME)
    if path in {url, ""}:
        return
    try:
        size = Path(path).stat().st_size
    except FileNotFoundError:
        raise StoreUnavailable(f"there is no database {path}: {advice}") from None
    except OSError:
        return  # opening the file raises a clearer error
    if size == 1:  # empty to SQLite
        raise StoreUnusable(f"the file {path} is not a ledger: {advice}")
    if size == 0:
        raise StoreUnavailable(f"the file {path} is empty, there is no ledger in it: {advice}")
