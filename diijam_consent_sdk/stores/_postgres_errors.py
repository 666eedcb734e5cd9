"""What PostgreSQL's errors mean here: one table of its SQLSTATEs. What it says in words may hold a user's id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from ..errors import StoreError, StoreUnavailable, StoreUnusable
from . import wire
from ._tries import Failure

V = TypeVar("V")

LOST = "the connection to PostgreSQL was lost"
NO_LEDGER = "the database holds no ledger: run diijam-consent init --url postgresql://…"
DAMAGED = "the database is damaged: restore it from a backup"
REPLICA = "this server is a replica: name the primary, or all servers with target_session_attrs=read-write"
REFUSED = "PostgreSQL refuses this user or password: look at the URL and at pg_hba.conf"

# Where trying again may help: the whole code, or its class.
PASSING = {
    "40001": "another transaction was in the way",
    "40P01": "another transaction was in the way",
    "55P03": "another writer held the ledger locked",
    "25006": REPLICA,
    "55000": REPLICA,
    "25P03": "the transaction took too long",
    "57014": "PostgreSQL cancelled the statement",
    "08": LOST,
    "53": "PostgreSQL has no resources left (connections, memory or disk)",
    "57": "PostgreSQL is starting or stopping",
}
LASTING: dict[str, tuple[type[StoreError], str]] = {
    "3D000": (StoreUnusable, "there is no such database: create it, then run diijam-consent init on it"),
    "3F000": (StoreUnusable, NO_LEDGER),
    "42P01": (StoreUnusable, NO_LEDGER),
    "42501": (StoreUnavailable, "the role may not do this: grant it what docs/postgresql.md lists"),
    "28": (StoreUnavailable, REFUSED),
    "42": (StoreUnusable, "the database does not hold a ledger as this version knows it"),
    "23": (StoreUnusable, "the ledger contradicts itself: run diijam-consent verify, restore what it names"),
    "XX": (StoreUnusable, DAMAGED),
}


class Late(psycopg.OperationalError):
    """The call's time is up."""


def meaning(error: psycopg.Error, *, is_lost: bool, maybe_written: bool) -> Exception:
    """
    What to raise in place of *error*: a `Failure` that another try may mend, or an error for the caller.

    Args:
        error: What psycopg raised.

        is_lost: Whether the connection is gone.

        maybe_written: Whether a commit was under way, whose fate a lost connection leaves open.
    """
    if isinstance(error, Late):
        return Failure("PostgreSQL did not answer in time", maybe_written=maybe_written)
    state = error.sqlstate or ""
    if (is_lost or not state) and (maybe_written or state[:2] not in LASTING):
        return Failure(_of(PASSING, state) or LOST, maybe_written=maybe_written)
    if passing := _of(PASSING, state):
        return Failure(passing, maybe_written=False)
    kind, advice = _of(LASTING, state) or (StoreUnavailable, "PostgreSQL refused")
    return kind(f"{advice} ({state})")


def _of(table: Mapping[str, V], state: str) -> V | None:
    return table.get(state) or table.get(state[:2])


@contextmanager
def translated() -> Iterator[None]:
    """Raise what PostgreSQL or a malformed row says as an error of this library, for what is not tried again."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        if error.sqlstate is None:  # psycopg's own, and it repeats parts of the URL
            raise ValueError("this URL is none that PostgreSQL understands: postgresql://user@host/database") from None
        raise meaning(error, is_lost=False, maybe_written=False) from None
    except psycopg.Error as error:
        found = meaning(error, is_lost=error.sqlstate is None, maybe_written=False)
        if isinstance(found, Failure):
            raise StoreUnavailable(_why(error, found)) from None
        raise found from None
    except wire.Malformed as error:
        raise StoreUnusable(f"the database holds what is no ledger: {error}") from error


def _why(error: psycopg.Error, failure: Failure) -> str:
    """What to say where libpq gives no code because it could not connect."""
    said = str(error)
    for words, advice in (("authentication failed", REFUSED), ("does not exist", LASTING["3D000"][1])):
        if error.sqlstate is None and words in said:
            return advice
    return f"{'PostgreSQL cannot be reached' if error.sqlstate is None else failure.why}: try again"
