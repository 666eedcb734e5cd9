"""One part of a poll in parts: what is the same for all who stand at one cursor is encoded once."""

from __future__ import annotations

import functools
import math

import msgspec

from ..standing import View, view_names
from ..stores import wire
from ..stores.answers import Changes


class Part:
    """
    What one look found, for all clients that share it.

    Args:
        looked_at: When the call of the store began, on the monotonic clock.

        found: What it returned.
    """

    __slots__ = ("_before_nonce", "_before_view", "found", "looked_at")

    def __init__(self, looked_at: float, found: Changes) -> None:
        self.looked_at, self.found = looked_at, found
        first = wire.encode({"after": found.after, "complete": found.complete, "cursor": found.cursor})
        self._before_nonce = first[:-1] + b',"nonce":'
        # In order of position, which a sorted encoder would lose.
        self._before_view = b',"user_ids":' + msgspec.json.encode(found.user_ids) + b',"view":'

    def line(self, nonce: bytes, view: View, arrived_at: float) -> bytes:
        """
        Make the line for one client: a `ChangesAnswer`, with its keys in the order of canonical JSON.

        Args:
            nonce: The question's nonce, as JSON.

            view: What the client's token may ask.

            arrived_at: When the question was here.
        """
        names = _encode_names(self.found.view & view)
        waited = math.floor((self.looked_at - arrived_at) * 1000) / 1000  # never more than it was
        return b'%b%b%b%b,"waited":%r}\n' % (self._before_nonce, nonce, self._before_view, names, waited)


@functools.cache
def _encode_names(view: View) -> bytes:
    return wire.encode(view_names(view))
