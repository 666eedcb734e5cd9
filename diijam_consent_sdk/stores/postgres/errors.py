"""What PostgreSQL's errors mean here, by SQLSTATE. Its messages are not repeated: they may hold a user's id."""

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
READ_ONLY = (
    "transactions are read-only by default: set default_transaction_read_only = off for the role, the database or the"
    " server, whichever has it on"
)
READ_ONLY_STATE = "25006"  # of a replica, and of a transaction that is read-only for another reason
POOLER = "XX000"  # which poolers answer with when they are full, and PostgreSQL with what it did not foresee
MAX_MESSAGE_CHARACTERS = 300

# What to do about a connection that libpq cannot make, by a part of its message. There is no SQLSTATE then, and the
# message holds no more than the URL's host, user, database and files.
CONNECTING = (
    (r'role "[^"]*" does not exist', "create it (CREATE ROLE … LOGIN), or name another in the URL"),
    (r'database "[^"]*" does not exist', "create it, then run diijam-consent init on it"),
    (r"authentication failed|no password supplied|pg_hba\.conf", "look at the user and password, and at pg_hba.conf"),
    (r"permission denied for database", "grant the role CONNECT on the database"),
    (r"root certificate file", "name the CA's certificate with sslrootcert=FILE"),
    (r"does not match host name", "name the host as its certificate does, or give the server one for this name"),
    (r"certificate|SSL error|private key", "look at sslrootcert, sslcert and sslkey, and at the server's certificate"),
    (r"does not support SSL", "turn ssl on at the server"),
    (r"translate host name|resolve host", "no name server has this host: look at the URL"),
    (r"definition of service|service file", "look at service= and at pg_service.conf"),
    (r"Connection refused|No such file", "look at the host and port, and whether PostgreSQL runs there"),
    (r"unsupported startup parameter", "a pooler is in between: leave that setting out of the URL and the environment"),
)

# Where another attempt may help, by the whole SQLSTATE or its class.
TRANSIENT = {
    "40001": "another transaction was in the way",
    "40P01": "another transaction was in the way",
    "55P03": "another writer held the ledger locked",
    READ_ONLY_STATE: f"{REPLICA}; or {READ_ONLY}",
    "55000": REPLICA,
    "25P03": "the transaction took too long",
    "57014": "PostgreSQL cancelled the statement",
    "08P01": "a pooler in between failed (see its log), or takes no transactions: set its pool_mode to transaction",
    "08": LOST,
    "53": "PostgreSQL has no resources left (connections, memory or disk)",
    "57": "PostgreSQL is starting or stopping",
    "58": "PostgreSQL or a pooler in between failed (58): its own log says why",
    POOLER: "PostgreSQL or a pooler in between failed (XX000): its own log says why",
}
OF_POOLERS = (POOLER, "08", "58")  # what poolers answer with, by their state or its class
PERMANENT: dict[str, tuple[type[StoreError], str]] = {
    "3D000": (StoreUnusable, "there is no such database: create it, then run diijam-consent init on it"),
    "3F000": (StoreUnusable, NO_LEDGER),  # no such schema
    "42P01": (StoreUnusable, NO_LEDGER),  # no such table
    "42501": (StoreUnavailable, "the role may not do this: grant it what docs/postgresql.md lists"),
    "28": (StoreUnavailable, "PostgreSQL refuses this user or password: look at the URL and at pg_hba.conf"),
    "42": (StoreUnusable, "the database does not hold a ledger as this version knows it"),
    "23": (StoreUnusable, "the ledger contradicts itself: run diijam-consent verify, restore what it names"),
    "XX001": (StoreUnusable, DAMAGED),  # not `POOLER`
    "XX002": (StoreUnusable, DAMAGED),
}


class DeadlineExceeded(psycopg.OperationalError):
    """The call's time is up."""


def error_for(error: psycopg.Error, *, is_lost: bool, maybe_written: bool, is_replica: bool | None = None) -> Exception:
    """
    Choose what to raise in place of *error*: a `Failure` where another attempt may help, or an error for the caller.

    Args:
        error: What psycopg raised.

        is_lost: Whether the connection is gone.

        maybe_written: Whether a commit was under way, so that a lost connection leaves its outcome open.

        is_replica: Whether the server is one; None if that is not known.
    """
    if isinstance(error, DeadlineExceeded):
        return Failure("PostgreSQL did not answer in time", maybe_written=maybe_written)
    state = error.sqlstate or ""
    if state == READ_ONLY_STATE and is_replica is not None:
        return Failure(REPLICA if is_replica else READ_ONLY, maybe_written=False)
    if (is_lost or not state) and (maybe_written or _look_up(PERMANENT, state) is None):
        return Failure(_look_up(TRANSIENT, state) or LOST, maybe_written=maybe_written)
    if passing := _look_up(TRANSIENT, state):
        # Of a commit, a pooler's own error says nothing of what the server did.
        return Failure(passing, maybe_written=maybe_written and state.startswith(OF_POOLERS))
    kind, advice = _look_up(PERMANENT, state) or (StoreUnavailable, "PostgreSQL refused")
    return kind(f"{advice} ({state})")


def _look_up(table: Mapping[str, V], state: str) -> V | None:
    return table.get(state) or table.get(state[:2])


@contextmanager
def translated() -> Iterator[None]:
    """Raise errors of psycopg's and malformed rows in the block as errors of this library."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        if error.sqlstate is None:  # made by psycopg, and it repeats parts of the URL
            raise ValueError("PostgreSQL does not understand this URL: postgresql://user@host/database") from None
        raise error_for(error, is_lost=False, maybe_written=False) from None
    except psycopg.Error as error:
        found = error_for(error, is_lost=error.sqlstate is None, maybe_written=False)
        if isinstance(found, Failure):
            raise StoreUnavailable(f"{connection_failure(error) or found.why}: try again") from None
        raise found from None
    except wire.Malformed as error:
        raise no_ledger(error) from error


def connection_failure(error: psycopg.Error) -> str | None:
    """Describe why no connection was made, and what to do; None if *error* has another reason."""
    is_of_libpq = isinstance(error, psycopg.OperationalError) and not isinstance(error, DeadlineExceeded)
    if error.sqlstate is not None or not is_of_libpq:
        return None
    message = re.sub(r"^connection (failed|is bad): ", "", str(error).partition("\n")[0])
    message = "".join(character for character in message[:MAX_MESSAGE_CHARACTERS] if character.isprintable())
    advice = [f": {advice}" for part, advice in CONNECTING if re.search(part, message)]
    return f"PostgreSQL cannot be reached ({message})" + "".join(advice[:1])
