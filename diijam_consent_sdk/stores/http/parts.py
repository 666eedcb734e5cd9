"""
The parts of a poll that is answered in parts: when each is due, and how it is read. Both faces share it, and it needs
no network.

Each line is checked as a whole answer. A part that is late, cut, of another stream or out of its order is an error, so
that it renews nothing (protocol.md, "A poll in parts").
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from .. import message_fields, messages
from .._retry import Failure
from ..answers import Changes, Cursor
from .exchange import MAX_RESPONSE_BYTES, Exchange, Mismatched

PARTS_TYPE = "application/jsonl"
MAX_PART_BYTES = 2 * message_fields.LOAD_BODY_BYTES  # the longest ids of `MAX_CHANGES` users, their positions, the rest


class Parts:
    """
    The parts of one answer. Only one thread or task uses it.

    Args:
        after: Where the first part begins.

        wait: Seconds for which the service sends parts.

        beat: Seconds after which it sends one without news.

        limit: How many entries a part goes on at most.

        client: Names the asking client, which has one stream at a time. None: a new client for this stream.

        silence: Seconds without a part after which the stream is over; None: *beat* and *deadline*.

        deadline: Seconds for the first part, and for the end after *wait*.
    """

    def __init__(
        self,
        after: Cursor,
        *,
        wait: float,
        beat: float,
        limit: int,
        client: str | None,
        silence: float | None,
        deadline: float,
    ) -> None:
        wait = min(wait, message_fields.MAX_STREAM_SECONDS)
        beat = min(max(beat, message_fields.MIN_BEAT_SECONDS), message_fields.MAX_BEAT_SECONDS)
        fields = {
            "after": after, "wait": wait, "limit": min(limit, message_fields.MAX_CHANGES),
            "stream": True, "beat": beat, "client": client or secrets.token_hex(16),
        }  # fmt: skip
        self.exchange = Exchange(
            messages.ChangesQuestion, fields, messages.ChangesAnswer, self._read,
            is_repeatable=False, wait=wait, answer_type=PARTS_TYPE,
        )  # fmt: skip
        self._after = after
        self._silence = beat + deadline if silence is None else silence
        self._deadline = deadline
        self._ends_at: float | None = None  # None: nothing was sent
        self._buffer = bytearray()
        self._searched = self._received = 0
        self._has_begun = False
        self.body, self.nonce = self.exchange.encode()

    def seconds(self, now: float) -> float:
        """Return how long to wait for the next part from *now* on, by a monotonic clock."""
        if self._ends_at is None:
            self._ends_at = now + self.exchange.wait + self._deadline
        return min(self._silence if self._has_begun else self._deadline, self._ends_at - now)

    def begin(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """
        Look at the response's head. *body* is that of a refusal; of parts, none is read yet.

        Raises:
            Failure, Exception: it is no answer in parts; as `Exchange.result` raises it.
        """
        self.exchange.check_head(status, headers, body)

    def receive(self, chunk: bytes) -> bool:
        """
        Add *chunk* to what was received before. Empty, it is the end. Return whether there is more to come.

        Raises:
            Failure: the response was cut before its first part or within one, or is too long.
        """
        if not chunk and (self._buffer or not self._has_begun):
            raise Failure("the answer of the consent service was cut", maybe_written=False)
        self._received += len(chunk)
        self._buffer += chunk
        if self._received > MAX_RESPONSE_BYTES:
            raise Failure("the parts of an answer of the consent service are too long", maybe_written=False)
        return bool(chunk)

    def take(self) -> Changes | None:
        """
        Return the next part; None until more was received.

        Raises:
            Failure: the part is not right, or too long.
        """
        end = self._buffer.find(b"\n", self._searched)
        if max(end, len(self._buffer) if end < 0 else 0) > MAX_PART_BYTES:
            raise Failure("a part of an answer of the consent service is too long", maybe_written=False)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched, self._has_begun = 0, True
        part: Changes = self.exchange.read_answer(self.nonce, line)
        self._after = part.cursor
        return part

    def _read(self, answer: messages.ChangesAnswer) -> Changes:
        if answer.after != self._after:
            raise Mismatched
        return answer.result()
