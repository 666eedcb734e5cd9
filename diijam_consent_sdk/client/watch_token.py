"""
The token of a watch: where it goes on, kept by the consumer with the work that its items caused.

It is a cursor, with what a consumer's items rest on beside it: the head at which their answers were read, past the
cursor. A store that lost that head (a restored copy, a failover) is recognised when the token comes back, though the
cursor itself is still in its history. In a snapshot it has the last user's id too, so keep it as private as ids are.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error

import attrs

from ..identifiers import identifier
from ..stores.answers import Cursor

HEAD, LAST = "+", "~"
MALFORMED = "malformed token: pass Watched.token as it is"


@attrs.frozen
class WatchToken:
    """
    A place in a watch.

    `cursor` is where changes go on, or in a snapshot where they will. `rests_on` is the head that items rest on, if it
    lies past the cursor. `last` is the last user of the snapshot that was handed out, "" before the first, None once
    the snapshot is over.
    """

    cursor: Cursor
    rests_on: Cursor | None = None
    last: str | None = attrs.field(default=None, repr=False)

    def reached(self, cursor: Cursor) -> WatchToken:
        """Return the same place without a head that is no further than the cursor."""
        return attrs.evolve(self, rests_on=None) if self.rests_on == cursor else self

    def __str__(self) -> str:
        head = "" if self.rests_on is None else HEAD + str(self.rests_on)
        last = "" if self.last is None else LAST + urlsafe_b64encode(self.last.encode()).decode()
        return f"{self.cursor}{head}{last}"

    @classmethod
    def parse(cls, token: str) -> WatchToken:
        """
        Read a token.

        Raises:
            TypeError: *token* is not a string.

            ValueError: *token* is not what `Watched.token` gives.
        """
        if not isinstance(token, str):
            raise TypeError(f"a token is a string, not {type(token).__name__}")
        rest, in_snapshot, last = token.partition(LAST)
        cursor, has_head, head = rest.partition(HEAD)
        try:
            return cls(
                Cursor.parse(cursor), Cursor.parse(head) if has_head else None, _user_id(last) if in_snapshot else None
            )
        except ValueError:
            raise ValueError(MALFORMED) from None


def _user_id(encoded: str) -> str:
    try:
        last = b64decode(encoded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (Error, UnicodeError):
        raise ValueError(MALFORMED) from None
    return identifier(last) if last else ""
