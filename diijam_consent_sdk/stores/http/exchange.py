"""One exchange with a consent service for each operation of a store. Both faces share it, and it needs no network."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ...errors import StoreUnavailable, TooLarge
from .. import (
    append_messages,
    holder_messages,
    ledger_messages,
    message_fields,
    messages,
    registry_messages,
    standing_messages,
    token_messages,
    wire,
)
from .._retry import Attempts, Failure
from ..answers import Changes, Cursor, Loaded, OpenRequests
from ..history import HistoryPage
from .causes import NO_SERVICE
from .problems import error_from

MAX_RESPONSE_BYTES = 64 * 2**20
JSON_TYPE = "application/json"
NO_JSON = "it is no JSON"
PATHS = (
    messages.PATHS
    | standing_messages.PATHS
    | append_messages.PATHS
    | ledger_messages.PATHS
    | registry_messages.PATHS
    | holder_messages.PATHS
    | token_messages.PATHS
)


class Mismatched(ValueError):
    """An answer about another user, or after another cursor, than was asked for."""


@attrs.frozen
class Exchange:
    """One operation: its question, which may be sent several times, and how its answer is read."""

    question: type[message_fields.Question]
    fields: dict[str, Any]
    answer: type[Any]
    read: Callable[[Any], Any]
    is_write: bool = False
    is_repeatable: bool = True
    idempotency_key: str = ""
    wait: float = 0.0
    answer_type: str = JSON_TYPE

    @property
    def path(self) -> str:
        """The path of the operation, below the service's base URL."""
        return PATHS[self.question]

    def encode(self) -> tuple[bytes, str]:
        """Return a body to send, and the fresh nonce that its answer must echo."""
        nonce = secrets.token_hex(16)
        return wire.encode(self.question(nonce=nonce, **self.fields)), nonce

    def attempts(self, deadline: float) -> Attempts:
        """Begin the attempts at this exchange: a long poll has its wait and *deadline* seconds."""
        seconds = self.wait + deadline
        return Attempts(seconds, is_repeatable=self.is_repeatable, idempotency_key=self.idempotency_key)

    def receive(self, received: bytearray, chunk: bytes) -> None:
        """
        Add *chunk* to what was received before.

        Raises:
            TooLarge, Failure: together they exceed `MAX_RESPONSE_BYTES`. A `Failure` if it was a write.
        """
        received += chunk
        if len(received) <= MAX_RESPONSE_BYTES:
            return
        if self.is_write:
            raise Failure("an answer of the consent service is too long", maybe_written=True)
        raise TooLarge("an answer of the consent service is too long: ask for fewer users")

    def result(self, nonce: str, status: int, headers: Mapping[str, str], body: bytes) -> Any:
        """
        Read a response, if it is the service's answer to the question with this very nonce.

        Raises:
            Failure: it is not; or the service reports that its store is out of reach, or that an outcome is unknown.

            InvalidEvent, VersionConflict, ValueError, StoreUnusable, StoreUnavailable: the service reports it.
        """
        self.check_head(status, headers, body)
        return self.read_answer(nonce, body)

    def check_head(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Check by the head of a response that its body is worth reading; raises as `result` does."""
        if status != 200 and "age" not in headers:
            raise error_from(status, headers, body, is_write=self.is_write)
        if doubt := self._doubt(headers):
            raise self._unbelievable(doubt)

    def read_answer(self, nonce: str, body: bytes) -> Any:
        """Read an answer, if it is to the question with this very nonce; raises as `result` does."""
        try:
            answer = wire.read(body, self.answer)
            if answer.nonce == nonce:
                return self.read(answer)
            doubt = "it is to another question"
        except Mismatched:
            doubt = "it is about something else than was asked"
        except ValueError:  # `wire.Malformed` among them
            doubt = "it is malformed"
        raise self._unbelievable(doubt)

    def _unbelievable(self, doubt: str) -> Failure:
        return Failure(
            f"an answer of the consent service cannot be believed: {doubt}",
            maybe_written=self.is_write,
            advice=NO_SERVICE if doubt == NO_JSON else "try again",
        )

    def _doubt(self, headers: Mapping[str, str]) -> str:
        """Return why the body is not worth reading; empty if it is."""
        if "age" in headers:
            return "it comes from a cache"
        if headers.get("content-encoding", "identity") != "identity":
            return "it is compressed"
        if headers.get("content-type", "").partition(";")[0].strip() != self.answer_type:
            return NO_JSON
        return ""


def load(user_ids: list[str]) -> Exchange:
    """Build `Store.load` of at most `message_fields.MAX_USERS` users."""

    def read(answer: messages.LoadAnswer) -> Loaded:
        if [record.user_id for record in answer.records] != user_ids:
            raise Mismatched
        return answer.result()

    return Exchange(messages.LoadQuestion, {"user_ids": user_ids}, messages.LoadAnswer, read)


def own_token() -> Exchange:
    """Build `HttpStore.own_token`."""
    return Exchange(token_messages.TokenQuestion, {}, token_messages.TokenAnswer, token_messages.TokenAnswer.result)


def changes(after: Cursor, wait: float, limit: int) -> Exchange:
    """
    Build `Store.changes`, with the wait and limit cut to what a service accepts: both are upper limits. A poll that
    waits is not repeated: the client's poller does that.
    """
    wait, limit = min(wait, message_fields.MAX_WAIT_SECONDS), min(limit, message_fields.MAX_CHANGES)

    def read(answer: messages.ChangesAnswer) -> Changes:
        if answer.after != after:
            raise Mismatched
        return answer.result()

    fields = {"after": after, "wait": wait, "limit": limit}
    return Exchange(messages.ChangesQuestion, fields, messages.ChangesAnswer, read, is_repeatable=not wait, wait=wait)


def open_requests(after: str | None, limit: int) -> Exchange:
    """Build `Store.open_requests`, for at most `message_fields.MAX_USERS` users."""
    limit = min(limit, message_fields.MAX_USERS)

    def read(answer: messages.RequestsAnswer) -> OpenRequests:
        if any(after is not None and record.user_id <= after for record in answer.records):
            raise Mismatched("the answer repeats users")
        if answer.after is not None and after is not None and answer.after <= after:
            raise Mismatched("the answer goes back")
        return answer.result()

    return Exchange(messages.RequestsQuestion, {"after": after, "limit": limit}, messages.RequestsAnswer, read)


def history(user_id: str, after: int) -> Exchange:
    """Build one page of `Store.history`, of the entries after a version."""

    def read(answer: messages.HistoryAnswer) -> HistoryPage:
        if any(entry.user_id != user_id or entry.version <= after for entry in answer.entries):
            raise Mismatched
        if answer.after is not None and (not answer.entries or answer.after != answer.entries[-1].version):
            raise Mismatched
        return HistoryPage(answer.result(), answer.after)

    return Exchange(messages.HistoryQuestion, {"user_id": user_id, "after": after}, messages.HistoryAnswer, read)


def split_into_pages(user_ids: list[str]) -> list[list[str]]:
    """Split the ids into as many loads as they need; at least one, which asks for the head."""
    size = message_fields.MAX_USERS
    return [user_ids[start : start + size] for start in range(0, max(len(user_ids), 1), size)]


def join_pages(loads: list[Loaded]) -> Loaded:
    """
    Join the pages of one load: as of the first, whose entries the later pages include.

    Raises:
        StoreUnavailable: the history changed between two pages.
    """
    first = loads[0]
    check_history([load.cursor for load in loads])
    return Loaded(first.cursor, first.at, tuple(record for load in loads for record in load.records))


def check_history(heads: list[Cursor]) -> None:
    """
    Check that the pages of one load are of one history, by the head of each.

    Raises:
        StoreUnavailable: they are not.
    """
    first = heads[0]
    if any(head.epoch != first.epoch or head.position < first.position for head in heads):
        raise StoreUnavailable("the store's history changed between two pages: try again")
