"""What `HttpStore` asks, what it believes and what it repeats: all about HTTP that needs no network, for both faces."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

import attrs
import msgspec

from ...errors import InvalidEvent, StoreUnavailable, StoreUnusable, TooLarge, VersionConflict
from ...events import Erased, Event, LedgerEntry
from ...vocabulary import identifier
from .. import messages, wire
from .._addresses import checked_address, is_loopback
from .._retry import Failure, Tries
from ..protocol import Appended, Changes, Cursor, Loaded, checked_version
from .causes import NO_SERVICE

MAX_ANSWER_BYTES = 64 * 2**20
MAX_SAID = 500  # characters of a problem's text that are raised here
NO_JSON = "it is no JSON"
TOO_LARGE = 413  # also from a proxy, whose answer is no problem document
NOT_REACHED = frozenset({401, 403, 404, 405, 415, 421, 431})  # no service that answers so has appended anything
PROXY = "a proxy before the service does not reach it: see that the service runs, and where the proxy sends this"
NO_PATH = "there is no consent service at this path: see that the URL (host, port, path) is right"
ADVICE = {
    401: "no token was sent, or one it does not know: set DIIJAM_CONSENT_TOKEN, or pass token=",
    403: "the token lacks the scope for this (read or write): use one made with it",
    404: NO_PATH,
    405: NO_PATH,
    421: NO_PATH,
    **dict.fromkeys((301, 302, 303, 307, 308), "it redirects, which is not followed: set the URL to where it leads"),
    **dict.fromkeys((502, 503, 504), PROXY),
    429: "something before the service limits how much is asked: look at its limits",
}

# What a problem's text is raised as.
SAID: Mapping[str, type[Exception]] = {
    "invalid-event": InvalidEvent,
    "malformed": ValueError,
    "store-unusable": StoreUnusable,
}


class OtherUser(ValueError):
    """An answer about another user, or after another cursor, than was asked."""


@attrs.frozen
class Question:
    """One call of the store, to be sent any number of times, each with a nonce of its own."""

    kind: type[messages.Question]
    fields: dict[str, Any]
    answer: type[Any]
    read: Callable[[Any], Any]
    is_write: bool = False
    is_repeatable: bool = True
    idempotency_key: str = ""
    wait: float = 0.0

    @property
    def path(self) -> str:
        """Where it is asked."""
        return messages.PATHS[self.kind]

    def body(self) -> tuple[bytes, str]:
        """What to send, and the nonce the answer must echo."""
        nonce = secrets.token_hex(16)
        return wire.encode(self.kind(nonce=nonce, **self.fields)), nonce


def load(user_ids: list[str]) -> Question:
    """The question of `Store.load`, for at most `messages.MAX_USERS` users."""

    def read(answer: messages.LoadAnswer) -> Loaded:
        if [record.user_id for record in answer.records] != user_ids:
            raise OtherUser
        return messages.loaded(answer)

    return Question(messages.LoadQuestion, {"user_ids": user_ids}, messages.LoadAnswer, read)


def append(user_id: str, events: Iterable[Event], expected_version: int | None, key: str | None) -> Question:
    """The question of `Store.append`; one without a key cannot be repeated."""

    def read(answer: messages.AppendAnswer) -> Appended:
        if answer.record.user_id != user_id:
            raise OtherUser
        return messages.appended(answer)

    fields = {
        "user_id": user_id,
        "events": [wire.event_fields(event) for event in events],
        "expected_version": checked_version(expected_version),
        "idempotency_key": None if key is None else identifier(key),
    }
    return Question(
        messages.AppendQuestion, fields, messages.AppendAnswer, read,
        is_write=True, is_repeatable=key is not None, idempotency_key=key or "",
    )  # fmt: skip


def changes(after: Cursor, wait: float, limit: int) -> Question:
    """
    The question of `Store.changes`, waiting and bringing no more than may be asked of a service: both are upper limits.
    A poll that waits is not repeated: its follower asks again.
    """
    wait, limit = min(wait, messages.MAX_WAIT_SECONDS), min(limit, messages.MAX_CHANGES)

    def read(answer: messages.ChangesAnswer) -> Changes:
        if answer.after != after:
            raise OtherUser
        return messages.changes(answer)

    fields = {"after": after, "wait": wait, "limit": limit}
    return Question(messages.ChangesQuestion, fields, messages.ChangesAnswer, read, is_repeatable=not wait, wait=wait)


def open_requests(after: str | None, limit: int) -> Question:
    """The question of `Store.open_requests`, for no more users than may be asked of a service."""
    limit = min(limit, messages.MAX_USERS)

    def read(answer: messages.RequestsAnswer) -> Any:
        if any(after is not None and record.user_id <= after for record in answer.records):
            raise OtherUser("the answer repeats users")
        if answer.after is not None and after is not None and answer.after <= after:
            raise OtherUser("the answer goes back")
        return messages.open_requests(answer)

    return Question(messages.RequestsQuestion, {"after": after, "limit": limit}, messages.RequestsAnswer, read)


@attrs.frozen
class HistoryPage:
    """Some of a user's entries, and the version to go on from; None: those were the last."""

    entries: list[LedgerEntry]
    after: int | None


def history(user_id: str, after: int) -> Question:
    """The question of `Store.history`, for the entries after a version."""

    def read(answer: messages.HistoryAnswer) -> HistoryPage:
        if any(entry.user_id != user_id or entry.version <= after for entry in answer.entries):
            raise OtherUser
        if answer.after is not None and (not answer.entries or answer.after != answer.entries[-1].version):
            raise OtherUser
        return HistoryPage(messages.history(answer), answer.after)

    return Question(messages.HistoryQuestion, {"user_id": user_id, "after": after}, messages.HistoryAnswer, read)


def whole_history(entries: list[LedgerEntry]) -> list[LedgerEntry]:
    """The entries of all pages; of a user who was erased between two of them the `Erased` alone."""
    return entries[-1:] if entries and isinstance(entries[-1].event, Erased) else entries


def believe(question: Question, nonce: str, status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """
    What an answer says, if it is the service's own to this very question.

    Raises:
        Failure: it is not; or it says that the store is out of reach, or that an outcome is unknown.

        InvalidEvent, VersionConflict, ValueError, StoreUnusable, StoreUnavailable: the service says so.
    """
    if status != 200 and "age" not in headers:
        raise _problem(question, status, headers, body)
    why = _doubt(headers)
    if not why:
        try:
            answer = wire.read(body, question.answer)
            if answer.nonce == nonce:
                return question.read(answer)
            why = "it is to another question"
        except OtherUser:
            why = "it is about something else than was asked"
        except ValueError:  # `wire.Malformed` among them
            why = "it is malformed"
    advice = NO_SERVICE if why == NO_JSON else "try again"
    why = f"an answer of the consent service cannot be believed: {why}"
    raise Failure(why, maybe_written=question.is_write, advice=advice)


def _doubt(headers: Mapping[str, str]) -> str:
    """What makes an answer unbelievable before it is read."""
    if "age" in headers:
        return "it comes from a cache"
    if headers.get("content-encoding", "identity") != "identity":
        return "it is compressed"
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return NO_JSON
    return ""


def _problem(question: Question, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
    """The error that an answer with another status than 200 stands for."""
    try:
        problem = msgspec.convert(wire.decode(body), messages.Problem)  # which may say more than is known
    except (wire.Malformed, msgspec.ValidationError):
        problem = messages.Problem(type="", title="", status=status, detail="")
    said, detail = problem.type.removeprefix(messages.PROBLEM_TYPE), printed(problem.detail)
    if said in SAID:
        return SAID[said](detail)
    if said == "version-conflict":
        return VersionConflict(problem.expected or 0, problem.actual or 0)
    if status == TOO_LARGE:
        return TooLarge("the question or its answer is too large: ask for fewer users or append fewer events")
    if status in NOT_REACHED:
        advice = ADVICE.get(status, "see that the URL is right")
        return StoreUnavailable(f"the consent service refused the call with status {status}: {advice}")
    why = f"the consent service answered with status {status}"
    maybe_written = question.is_write and said != "store-unavailable"
    # Of the service itself the problem says more than its status; anything else may not be one.
    advice = (detail or "try again") if said in messages.PROBLEMS else ADVICE.get(status, NO_SERVICE)
    pause = _seconds(headers.get("retry-after", ""))
    return Failure(why, maybe_written=maybe_written, retry_after=pause, advice=advice)


def printed(text: str) -> str:
    """The start of a text from the other side, without characters that a terminal or a log would obey or hide."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:MAX_SAID])


def _seconds(value: str) -> float:
    return float(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0.0


def tries(question: Question, deadline: float) -> Tries:
    """The tries of one question, all within its deadline."""
    seconds, key = question.wait + deadline, question.idempotency_key
    return Tries(seconds, is_repeatable=question.is_repeatable, idempotency_key=key)


def take(answer: bytearray, chunk: bytes, question: Question) -> None:
    """Add to what was read so far, up to a limit."""
    answer += chunk
    if len(answer) > MAX_ANSWER_BYTES and not question.is_write:
        raise TooLarge("an answer of the consent service is too long: ask for fewer users")
    if len(answer) > MAX_ANSWER_BYTES:
        raise Failure("an answer of the consent service is too long", maybe_written=question.is_write)


def pages(user_ids: list[str]) -> list[list[str]]:
    """The ids in as many loads as they need; at least one."""
    size = messages.MAX_USERS
    return [user_ids[start : start + size] for start in range(0, max(len(user_ids), 1), size)]


def joined(loads: list[Loaded]) -> Loaded:
    """One answer of several: as of the first, which the later ones include."""
    first = loads[0]
    if any(load.cursor.epoch != first.cursor.epoch or load.cursor.position < first.cursor.position for load in loads):
        raise StoreUnavailable("the store's history changed between two pages: try again")
    return Loaded(first.cursor, first.at, tuple(record for load in loads for record in load.records))


def checked_url(url: str, insecure_hosts: frozenset[str] = frozenset()) -> str:
    """
    The service's base URL without a trailing slash: https, or http to this machine or to one of *insecure_hosts*.

    Raises:
        ValueError: it is something else. It is not repeated: it may hold a password.
    """
    if "@" in checked_address(url):  # what urlsplit says of a password that is not encoded repeats it
        raise ValueError("the URL of a consent service holds no user or password: pass token=")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the URL of a consent service is https://host[:port][/path]")
    if parts.query or parts.fragment or not _has_port(parts):
        raise ValueError("the URL of a consent service holds no query or fragment, and its port is a number")
    if parts.scheme == "http" and not is_loopback(parts.hostname) and parts.hostname not in insecure_hosts:
        raise ValueError(
            "plain http is only for this machine: use https, or 127.0.0.1; where something below HTTP encrypts, name"
            " the host in insecure_hosts= or DIIJAM_CONSENT_INSECURE_HOSTS"
        )
    return url.rstrip("/")


def _has_port(parts: SplitResult) -> bool:
    """Whether its port, if it names one, is a number: what is none may be a part of a password."""
    with suppress(ValueError):
        return parts.port != 0
    return False


def checked_token(token: str) -> str:
    """
    *token*, if it can stand in a header. The error never repeats it.

    Raises:
        ValueError: it is empty, or holds something else than visible ASCII characters.

        TypeError: it is no string.
    """
    if not isinstance(token, str):
        raise TypeError(f"a token is a string, not {type(token).__name__}")
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError(
            "a token is made of visible ASCII characters: pass what `token new` printed, without a line end"
        )
    return token
