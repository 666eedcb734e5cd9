"""What PostgreSQL's errors mean here: one table of its SQLSTATEs. What it says in words may hold a user's id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from ...errors import StoreError, StoreUnavailable, StoreUnusable
from .. import wire
from .._retry import Failure
from ..sql.dialect import no_ledger

V = TypeVar("V")

LOST = "the connection to PostgreSQL was lost"
NO_LEDGER = "the database holds no ledger: run diijam-consent init --url postgresql://…"
DAMAGED = "the database is damaged: restore it from a backup"
REPLICA = "this server is a replica: name the primary, or all servers with target_session_attrs=read-write"
MAX_WORDS = 300

# What to do about what libpq says when it cannot connect. It gives no SQLSTATE then, and its words hold no more than
# the URL's host, user, database and files.
CONNECTING = (
    (r'role "[^"]*" does not exist', "create it (CREATE ROLE … LOGIN), or name another in the URL"),
    (r'database "[^"]*" does not exist', "create it, then run diijam-consent init on it"),
    (r"authentication failed|no password supplied|pg_hba\.conf", "look at the user and password, and at pg_hba.conf"),
    (r"permission denied for database", "grant the role CONNECT on the database"),
    (r"root certificate file", "name the CA's certificate with sslrootcert=FILE, or sslrootcert=system"),
    (r"does not match host name", "name the host as its certificate does, or give the server one for this name"),
    (r"certificate|SSL error|private key", "look at sslrootcert, sslcert and sslkey, and at the server's certificate"),
    (r"does not support SSL", "turn ssl on at the server"),
    (r"translate host name|resolve host", "no name server knows this host: look at the URL"),
    (r"definition of service|service file", "look at service= and at pg_service.conf"),
    (r"Connection refused|No such file", "look at the host and port, and whether PostgreSQL runs there"),
    (r"unsupported startup parameter", "a pooler is in between: leave that setting out of the URL and the environment"),
)

# Where trying again may help: the whole code, or its class.
PASSING = {
    "40001": "another transaction was in the way",
    "40P01": "another transaction was in the way",
    "55P03": "another writer held the ledger locked",
    "25006": REPLICA,
    "55000": REPLICA,
    "25P03": "the transaction took too long",
    "57014": "PostgreSQL cancelled the statement",
    "08P01": "what is between here and PostgreSQL takes no transactions: set its pool_mode to transaction",
    "08": LOST,
    "53": "PostgreSQL has no resources left (connections, memory or disk)",
    "57": "PostgreSQL is starting or stopping",
}
LASTING: dict[str, tuple[type[StoreError], str]] = {
    "3D000": (StoreUnusable, "there is no such database: create it, then run diijam-consent init on it"),
    "3F000": (StoreUnusable, NO_LEDGER),  # no such schema
    "42P01": (StoreUnusable, NO_LEDGER),  # no such table
    "42501": (StoreUnavailable, "the role may not do this: grant it what docs/postgresql.md lists"),
    "28": (StoreUnavailable, "PostgreSQL refuses this user or password: look at the URL and at pg_hba.conf"),
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
            raise StoreUnavailable(f"{unreached(error) or found.why}: try again") from None
        raise found from None
    except wire.Malformed as error:
        raise no_ledger(error) from error


def unreached(error: psycopg.Error) -> str | None:
    """Why no connection could be made, and what to do; None if *error* is none of those."""
    if error.sqlstate is not None or isinstance(error, Late) or not isinstance(error, psycopg.OperationalError):
        return None
    said = re.sub(r"^connection (failed|is bad): ", "", str(error).partition("\n")[0])
    said = "".join(character for character in said[:MAX_WORDS] if character.isprintable())
    advice = [f": {advice}" for words, advice in CONNECTING if re.search(words, said)]
    return f"PostgreSQL cannot be reached ({said})" + "".join(advice[:1])
