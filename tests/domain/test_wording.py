"""Sentences that customers read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from string import Formatter
from typing import get_args

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Ask, Market, Process, Retain, Share, Show
from diijam_consent_sdk.record import END_OF_TIME
from diijam_consent_sdk.vocabulary import Channel, Field, Language
from diijam_consent_sdk.wording import describe_answer, describe_event, format_day, format_instant, list_labels
from diijam_consent_sdk.wording.texts import ANSWERS, SENTENCES

from .history import opened
from .samples import EACH_ASK, EACH_EVENT, NEEDED
from .test_policy import is_vietnamese

LANGUAGES: tuple[Language, ...] = ("vi", "en")
NOON = datetime(2026, 3, 3, 5, 0, 5, tzinfo=UTC)
NOONS = ("12:00:05 ngày 03/03/2026 (GMT+7)", "3 March 2026, 12:00:05 (GMT+7)")
MORE_EVENTS: tuple[e.Event, ...] = (
    e.AccountOpened(),
    e.Granted("surveys", "n-1", expires_at=NOON),
    e.Withdrawn("marketing"),
    e.Withdrawn("surveys"),
    e.Restricted(),
    e.RestrictionLifted(),
    e.RequestFiled("q-1", "rectification", received_at=NOON),
    e.RequestFiled("q-1", "erasure"),
    e.RequestFiled("q-1", "complaint"),
    e.RequestResolved("q-1", "fulfilled"),
    e.RequestResolved("q-1", "cancelled"),
    e.HoldPlaced("h-1", "debt", ["payment"], until=NOON),
    e.Erased(),
)
RECORD = opened(*NEEDED).record


def placeholders(text: str) -> set[str | None]:
    """What a sentence leaves to be filled in."""
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


@pytest.mark.parametrize("key", SENTENCES)
def test_both_languages_say_the_same(key: str) -> None:
    """The Vietnamese is Vietnamese, the English English, and both name the same things."""
    vi, en = SENTENCES[key]
    assert is_vietnamese(vi)
    assert not is_vietnamese(en)
    assert placeholders(vi) == placeholders(en)
    assert (vi.strip(), en.strip()) == (vi, en)


def kind(value: object) -> str:
    """Name a case by its class: the order of a set's words in a `repr` differs between processes."""
    return type(value).__name__


@pytest.mark.parametrize("event", [*EACH_EVENT, *MORE_EVENTS], ids=kind)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_event_is_told_in_whole_sentences(language: Language, event: e.Event) -> None:
    """Each begins with a capital letter and ends with a full stop; nothing of the ledger's names is left."""
    text = describe_event(language, event, RECORD)
    assert text[0].isupper()
    assert text.endswith(".")
    assert not re.search(r"[{}_]|None|True|False", text)
    assert is_vietnamese(text.replace("Diijam", "")) is (language == "vi")


def test_every_event_and_every_sentence_is_in_these_tests() -> None:
    """The samples have every kind of event, and no sentence is there that none of them needs."""
    assert {type(event) for event in EACH_EVENT} == set(get_args(e.Event))
    told = " ".join(describe_event("en", event, RECORD) for event in [*EACH_EVENT, *MORE_EVENTS])
    for _, en in SENTENCES.values():
        assert max(re.split(r"\{\w+\}", en), key=len) in told, en


TOLD = {
    e.Granted("marketing", "promo", ["call", "email"]): (
        "Bạn đồng ý nhận khuyến mại, tiếp thị, quảng cáo qua email, điện thoại, theo nội dung “promo” đã cho bạn xem.",
        "You consented to promotions, marketing and advertising by email, phone call, as put in the notice “promo”.",
    ),
    e.HoldPlaced("h-2", "tax", ["payment"], until=NOON): (
        f"Diijam phải giữ lại vì nghĩa vụ thuế (mã “h-2”): thông tin thanh toán. Thời hạn giữ: đến {NOONS[0]}.",
        f"Diijam has to keep, because of tax duties (hold “h-2”): payment details. It lasts until {NOONS[1]}.",
    ),
    e.Agreed("n-1"): (
        "Bạn đồng ý chia sẻ dữ liệu với acme-records, theo lời báo trước “n-1”.",
        "You agreed to the sharing with acme-records, as put in the notice “n-1”.",
    ),
    e.RequestResolved("q-1", "refused", "not-yours"): (
        "Diijam từ chối khiếu nại của bạn (mã “q-1”). Lý do: “not-yours”.",
        "Diijam refused your complaint (“q-1”). The reason: “not-yours”.",
    ),
    e.RequestResolved("q-1", "fulfilled"): (
        "Diijam đã giải quyết xong khiếu nại của bạn (mã “q-1”).",
        "Diijam dealt with your complaint (“q-1”).",
    ),
    e.HoldReleased("h-1"): (
        "Lý do phải giữ dữ liệu không còn nữa: khoản nợ chưa thanh toán (mã “h-1”).",
        "The reason to keep data is gone: an open debt (hold “h-1”).",
    ),
    e.ErasureConfirmed("mailer"): (
        "Nơi giữ bản sao dữ liệu của bạn (“mailer”) xác nhận đã xóa bản sao đó.",
        "The holder of a copy of your data (“mailer”) confirmed that it erased the copy.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("event", TOLD, ids=kind)
def test_what_an_event_is_told_as(event: e.Event) -> None:
    """What an event names by an id alone is named from the record; ends are times of Vietnam with their zone."""
    assert (describe_event("vi", event, RECORD), describe_event("en", event, RECORD)) == TOLD[event]


@pytest.mark.parametrize("ask", EACH_ASK, ids=kind)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_is_one_sentence(language: Language, ask: Ask) -> None:
    """The yes and the no of an ask are sentences, and differ."""
    yes, no = (describe_answer(language, ask, is_allowed=allowed) for allowed in (True, False))
    assert yes != no
    for text in (yes, no):
        assert text.startswith("Diijam ")
        assert text.endswith(".")
        assert not re.search(r"[{}_]|None", text)


def test_answers() -> None:
    """Every ask has its two sentences, which name what is asked."""
    assert set(ANSWERS) == set(get_args(Ask))
    asks: list[Ask] = [
        Process("surveys"), Market("email"), Share("acme", {"username", "email"}, "contests"),
        Show("avatar"), Retain("payment"),
    ]  # fmt: skip
    assert [describe_answer("vi", ask, is_allowed=True) for ask in asks] == [
        "Diijam được dùng dữ liệu của bạn vào mục đích “khảo sát nhu cầu, thị hiếu”.",
        "Diijam được gửi khuyến mại, tiếp thị, quảng cáo cho bạn qua email.",
        "Diijam được chia sẻ với acme, vào mục đích “cuộc thi, rút thăm trúng thưởng”: tên người dùng, email.",
        "Diijam được hiển thị công khai: ảnh đại diện.",
        "Diijam được lưu giữ: thông tin thanh toán.",
    ]
    assert [describe_answer("en", ask, is_allowed=False) for ask in asks] == [
        "Diijam may not use your data for surveys.",
        "Diijam may not send you promotions, marketing and advertising by email.",
        "Diijam may not share with acme, for contests and lucky draws: username, email.",
        "Diijam may not show publicly: profile picture.",
        "Diijam may not keep: payment details.",
    ]


def test_labels_come_in_the_order_of_their_vocabulary() -> None:
    """A list reads the same whatever the order of its set; of nothing it is empty."""
    assert list_labels("en", {Channel.CALL, Channel.EMAIL}) == "email, phone call"
    assert list_labels("vi", [Field.EMAIL, Field.AVATAR]) == "ảnh đại diện, email"
    assert list_labels("en", []) == ""


def test_times_are_those_of_vietnam() -> None:
    """A day and an instant read as in Vietnam; only past the year 9999 they are in UTC, and say so."""
    late = datetime(2026, 12, 31, 17, 0, tzinfo=UTC)
    assert (format_day("vi", late), format_day("en", late)) == ("01/01/2027", "1 January 2027")
    assert format_instant("vi", late) == "00:00:00 ngày 01/01/2027 (GMT+7)"
    assert format_instant("en", END_OF_TIME) == "31 December 9999, 23:59:59 (UTC)"
