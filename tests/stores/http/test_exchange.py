"""The exchanges of `HttpStore`, without a network."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, StoreUnavailable, StoreUnusable, TooLarge
from diijam_consent_sdk.notices import RegisteredNotice
from diijam_consent_sdk.record import unopened
from diijam_consent_sdk.stores import (
    Appended,
    Cursor,
    holder_messages,
    message_fields,
    messages,
    registry_messages,
    wire,
)
from diijam_consent_sdk.stores._retry import Failure
from diijam_consent_sdk.stores.http import append_exchange, exchange, holder_exchange, problems, registry_exchange
from tests.strategies import START

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("wait", "limit", "asked"),
    [(900.0, 5_000, (60.0, 1_000)), (15.0, 1, (15.0, 1)), (0.0, 1_000, (0.0, 1_000))],
)
def test_a_poll_asks_no_more_than_one_may(wait: float, limit: int, asked: tuple[float, int]) -> None:
    """A client with a bound of an hour would wait 15 minutes: a service refuses that, so it polls more often."""
    poll = exchange.changes(Cursor("e", 0, "00"), wait, limit)
    sent = msgspec.json.decode(poll.encode()[0], type=messages.ChangesQuestion)
    assert (sent.wait, sent.limit) == asked
    assert poll.wait == asked[0]
    assert poll.is_repeatable == (wait == 0)


def test_a_refusal_from_a_cache_leaves_the_append_in_doubt() -> None:
    """A problem has no nonce, but one with an age is of an earlier question: this append may have been written."""
    append = append_exchange.append("u", [e.AccountOpened()], None, "k")
    body = b'{"type":"urn:diijam-consent:invalid-event","title":"t","status":422,"detail":"d"}'
    with pytest.raises(InvalidEvent):
        append.result("n", 422, {}, body)
    for status in (401, 422, 503):
        with pytest.raises(Failure) as failure:
            append.result("n", status, {"age": "3"}, body)
        assert failure.value.maybe_written


@pytest.mark.parametrize(
    "body", [b"<html>413 Request Entity Too Large</html>", b'{"type":"urn:diijam-consent:too-large"}']
)
@pytest.mark.parametrize(
    "operation", [exchange.load(["u"]), append_exchange.append("u", [e.AccountOpened()], None, "k")]
)
def test_too_large_is_an_error_of_its_own(operation: exchange.Exchange, body: bytes) -> None:
    """A 413, of the service or of a proxy before it, says that fewer must be asked for; nothing was written."""
    with pytest.raises(TooLarge, match="ask for fewer users") as error:
        operation.result("n", 413, {}, body)
    assert isinstance(error.value, StoreUnavailable)


def test_an_answer_that_goes_on_and_on_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an answer no more is read than the limit: fewer must be asked for; an append may have been written."""
    monkeypatch.setattr(exchange, "MAX_RESPONSE_BYTES", 10)
    with pytest.raises(TooLarge):
        exchange.load(["u"]).receive(bytearray(8), b"123")
    with pytest.raises(Failure) as failure:
        append_exchange.append("u", [e.AccountOpened()], None, "k").receive(bytearray(8), b"123")
    assert failure.value.maybe_written


CURSOR = {"epoch": "e", "position": 1, "hash": "0"}
ANSWER = {"nonce": "n", "user_id": "u", "cursor": CURSOR, "version": 1, "is_repeat": False}


@pytest.mark.parametrize("is_repeat", [False, True])
def test_an_append_may_be_answered_without_a_record(is_repeat: bool) -> None:
    """A token that may not read records learns the position, the version, and whether it is a repeat."""
    append = append_exchange.append("u", [e.AccountOpened()], None, "k")
    body = msgspec.json.encode({**ANSWER, "is_repeat": is_repeat})
    assert append.result("n", 200, JSON, body) == Appended(Cursor("e", 1, "0"), 1, is_repeat=is_repeat, record=None)


@pytest.mark.parametrize("wrong", [{"user_id": "v"}, {"record": None}, {"record": unopened("u")}])
def test_an_append_s_answer_is_of_its_user_and_version(wrong: dict[str, Any]) -> None:
    """An answer about another user, or with a record that the append did not make, leaves the append in doubt."""
    append = append_exchange.append("u", [e.AccountOpened()], None, "k")
    with pytest.raises(Failure) as failure:
        append.result("n", 200, JSON, wire.encode({**ANSWER, **wrong}))
    assert failure.value.maybe_written


@pytest.mark.parametrize(
    ("key", "status", "kind"),
    [("invalid-event", 422, InvalidEvent), ("malformed", 400, ValueError), ("store-unusable", 500, StoreUnusable)],
)
def test_a_service_s_text_is_cut_and_obeys_nobody(key: str, status: int, kind: type[Exception]) -> None:
    """The text of a problem is raised without escape sequences and direction marks, and cut."""
    detail = "\x1b[2J\u202egone\r\n\u2028" + "long " * 1_000
    body = msgspec.json.encode({"type": f"urn:diijam-consent:{key}", "title": "", "status": status, "detail": detail})
    with pytest.raises(kind) as error:
        exchange.load(["u"]).result("n", status, {}, body)
    assert str(error.value).isprintable()
    assert "gone" in str(error.value)
    assert len(str(error.value)) == problems.MAX_DETAIL_CHARACTERS


NOTICE = NoticeText("n-1", {"vi": "lời"}, ["surveys"])
REGISTERED = RegisteredNotice(NOTICE, NOTICE.digest, START, "dpo")


def answered(operation: exchange.Exchange, answer: message_fields.Answer) -> Any:
    """What is read of an answer to the question with the nonce `n`."""
    return operation.result("n", 200, JSON, wire.encode(answer))


def test_a_notice_is_what_its_digest_says() -> None:
    """A notice is believed if its words have its digest, it is the one asked for, and it comes with its words."""
    whole = registry_messages.known_notice(REGISTERED, with_texts=True)
    load = registry_exchange.notice("n-1")

    def answer(*notices: registry_messages.KnownNotice) -> registry_messages.LoadNoticesAnswer:
        return registry_messages.LoadNoticesAnswer(nonce="n", notices=list(notices), after=None)

    assert answered(load, answer(whole)) == REGISTERED
    assert answered(load, answer()) is None
    altered = msgspec.structs.replace(whole, texts={"vi": "lời khác"})
    for wrong in ([altered], [registry_messages.known_notice(REGISTERED, with_texts=False)], [whole, whole]):
        with pytest.raises(Failure, match="cannot be believed"):
            answered(load, answer(*wrong))
    with pytest.raises(Failure, match="cannot be believed"):
        answered(registry_exchange.notice("n-2"), answer(whole))


def test_a_list_of_notices_goes_on_in_order() -> None:
    """Ids that repeat, go back or come before the page asked for are not believed: the list would never end."""

    def answer(*ids: str) -> registry_messages.LoadNoticesAnswer:
        listed = registry_messages.known_notice(REGISTERED, with_texts=False)
        notices = [msgspec.structs.replace(listed, notice=notice) for notice in ids]
        return registry_messages.LoadNoticesAnswer(nonce="n", notices=notices, after=None)

    page = registry_exchange.notice_ids("n-1", 20)
    assert answered(page, answer("n-2", "n-3")) == ["n-2", "n-3"]
    for wrong in (["n-1"], ["n-3", "n-2"], ["n-2", "n-2"]):
        with pytest.raises(Failure, match="about something else"):
            answered(page, answer(*wrong))


def test_a_list_of_what_is_owed_goes_on_in_order() -> None:
    """A page that goes back, or ends where it was to begin, is not believed: the list would never end."""
    first, second = ((START, user_id) for user_id in ("u-1", "u-2"))

    def answer(after: tuple[datetime, str], *places: tuple[datetime, str]) -> holder_messages.DueErasuresAnswer:
        owed = [
            holder_messages.DueErasure(user_id=user_id, due_at=due_at, kept=[], began_at=START)
            for due_at, user_id in places
        ]
        return holder_messages.DueErasuresAnswer(
            nonce="n", at=START, erasures=owed, after=holder_messages.Place(*after)
        )

    page = holder_exchange.erasures("mailer", first, 10)
    for right in (answer(second), answer(second, second)):
        assert answered(page, right).after == second
    for wrong in (answer(first), answer(first, first), answer(first, second)):
        with pytest.raises(Failure, match="about something else"):
            answered(page, wrong)


def test_a_registration_is_of_the_notice_sent() -> None:
    """An answer about another notice, or another digest, leaves in doubt whether this one was registered."""
    register = registry_exchange.register_notice(NOTICE, None)
    fields: dict[str, Any] = {
        "nonce": "n",
        "notice": "n-1",
        "digest": NOTICE.digest,
        "registered_at": START,
        "by": "dpo",
    }
    assert answered(register, registry_messages.RegisterNoticeAnswer(**fields)) == REGISTERED
    for changes in ({"notice": "n-2"}, {"digest": "00"}):
        with pytest.raises(Failure) as failure:
            answered(register, registry_messages.RegisterNoticeAnswer(**{**fields, **changes}))
        assert failure.value.maybe_written
