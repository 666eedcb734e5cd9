"""
The values that stores answer with, and the cursors and writes that they are given.

They are the same for every store, so that the cache and the client need to know no store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs
import msgspec

from ..due import OwedErasure
from ..errors import ConsentError
from ..events import Event, LedgerEntry, Provenance
from ..record import ConsentRecord
from ..standing import EVERY_ASK, View

MAX_LOAD_BYTES = 32 * 2**20  # of the records or standings of one call, as JSON
MAX_POSITION = 2**63 - 1
MAX_TOKEN_CHARACTERS = 1_024  # of a cursor's token: far more than any has
BEFORE_FIRST = "00" * 32  # the chain hash before the first entry, in hex


@attrs.frozen
class Cursor:
    """
    A place in one unbroken history. `str(cursor)` makes a token of it, `Cursor.parse` reads the token.

    `epoch` is the random id of the history, `position` the entry's (0 before the first), `hash` its chain hash in hex.
    """

    epoch: str
    position: int
    hash: str

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}.{self.hash}"

    def beginning(self) -> Cursor:
        """Return the place before the first entry of the same history."""
        return Cursor(self.epoch, 0, BEFORE_FIRST)

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """
        Read the cursor that a token stands for.

        Raises:
            TypeError: *token* is not a string.

            ValueError: *token* is not what `Appended.token` or `Entries.token` gives.
        """
        if not isinstance(token, str):
            raise TypeError(f"a token is a string, not {type(token).__name__}")
        is_visible = token.isascii() and token.isprintable() and len(token) <= MAX_TOKEN_CHARACTERS
        epoch, _, rest = token.partition(".")
        position, _, chain = rest.partition(".")
        # No store is asked about a place that none can have: its refusal would read as an outage.
        if not (is_visible and epoch and chain and position.isdigit() and int(position) <= MAX_POSITION):
            raise ValueError("malformed token: pass the .token of an answer as it is")
        return cls(epoch, int(position), chain)


@attrs.frozen
class Loaded:
    """
    Records of the ids asked, in order, as of `cursor`, which was the store's head at `at` by its wall clock (UTC).

    An id that was given twice has one record, at its first place.
    """

    cursor: Cursor
    at: datetime
    records: tuple[ConsentRecord, ...] = attrs.field(repr=False)


class StandingRow(
    msgspec.Struct, frozen=True, gc=False
):  # a cold cache makes one for each user: attrs takes 5 times longer
    """
    One user's standing: the version of the record that it was made of, and its bytes (`stores.standings`). A user
    without entries has version 0.
    """

    user_id: str
    version: int
    standing: bytes

    def __repr__(self) -> str:
        return f"StandingRow(version={self.version})"


@attrs.frozen
class Standings:
    """
    Standings of the ids asked, in order, as of `cursor`, which was the store's head at `at` by its wall clock (UTC).

    An id that was given twice has one row, at its first place. Each standing is made for `at`, so that the ends in it
    lie after `at`, and for the asks of `view`.
    """

    cursor: Cursor
    at: datetime
    view: View
    users: tuple[StandingRow, ...] = attrs.field(repr=False)


@attrs.frozen
class StandingsPage:
    """
    Standings of users with entries, erased ones too, in order of their ids by the bytes of their UTF-8. The rest as in
    `Standings`.

    `after` is the id to go on from; None after the last page. A page that has fewer users than asked for may still have
    a next one.
    """

    cursor: Cursor
    at: datetime
    view: View
    users: tuple[StandingRow, ...] = attrs.field(repr=False)
    after: str | None = attrs.field(repr=False)


@attrs.frozen
class OpenRequests:
    """
    A page of the users with open requests, in order of their ids, as of the store's time `at`.

    `after` is the id to go on from; None after the last page.
    """

    at: datetime
    records: tuple[ConsentRecord, ...] = attrs.field(repr=False)
    after: str | None = attrs.field(repr=False)


ErasurePlace = tuple[datetime | None, str]  # in the order of `OwedErasures`: `due_at` and user


@attrs.frozen
class OwedErasures:
    """
    A page of the erasures that a holder has yet to confirm, as of the store's time `at`: in order of `due_at`, those
    without one last, and of user ids.

    `after` is where to go on; None after the last page. A page that has fewer erasures than asked for may still have a
    next one.
    """

    at: datetime
    erasures: tuple[OwedErasure, ...] = attrs.field(repr=False)
    after: ErasurePlace | None = attrs.field(repr=False)


@attrs.frozen
class Appended:
    """
    A durable append.

    `cursor` is that of its last entry, and `version` the one that this entry gave the user's record. `is_repeat`: the
    same key and events were written before, and nothing was now; `cursor`, `version` and `record` are of that time. A
    call that tried again after a fault says so of a try of its own, too. `record` is what the append made of the user;
    None if the service's token may not read records.
    """

    cursor: Cursor
    version: int
    is_repeat: bool
    record: ConsentRecord | None = attrs.field(repr=False)

    @property
    def token(self) -> str:
        """The token for `client.user(id, at_least=token)`, by which another process sees at least this write."""
        return str(self.cursor)


@attrs.frozen
class Write:
    """The arguments of one `Store.append`, for `append_many`."""

    user_id: str = attrs.field(repr=False)
    events: Sequence[Event] = attrs.field(repr=False)
    expected_version: int | None = None
    idempotency_key: str | None = attrs.field(default=None, repr=False)
    provenance: Provenance | None = attrs.field(default=None, repr=False)


WriteResult = Appended | ConsentError | ValueError  # of one of many; the error is what `append` would raise


@attrs.frozen
class Changes:
    """
    The users changed in (`after`, `cursor`], each with the position of its last change there, in order of position.

    `complete` is true if `cursor` is the store's head. `waited` is how many seconds the store waited before it looked.
    `view` is that of the standings which the store gives.
    """

    after: Cursor
    cursor: Cursor
    user_ids: Mapping[str, int] = attrs.field(repr=False)
    complete: bool
    waited: float
    view: View = EVERY_ASK

    def is_continuation(self) -> bool:
        """Whether `after` is in the store's history; if not, the answer holds only the head of another history."""
        return bool(self.user_ids) or self.cursor == self.after

    def is_within_page(self) -> bool:
        """Whether each change lies after `after`, and not past `cursor`."""
        first, last = self.after.position, self.cursor.position
        return all(first < position <= last for position in self.user_ids.values())


@attrs.frozen
class Entries:
    """
    The entries in (`after`, `cursor`], in order of position. Those that an erasure blanked are left out; the `Erased`
    of the same user follows.

    `complete` is true if `cursor` is the store's head.
    """

    after: Cursor
    cursor: Cursor
    entries: tuple[LedgerEntry, ...] = attrs.field(repr=False)
    complete: bool

    @property
    def token(self) -> str:
        """The token to go on from, once the entries were taken in."""
        return str(self.cursor)

    def is_continuation(self) -> bool:
        """Whether `after` is in the store's history; if not, the answer holds only the head of another history."""
        return bool(self.entries) or self.cursor == self.after
