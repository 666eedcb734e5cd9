"""The centre's words: both languages, none missing, none too many."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diijam_consent_sdk import Channel, Field, HoldKind, Origin, Outcome, Purpose, RequestKind
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.vocabulary import Language, Word
from examples import centers, privacy_center
from examples.privacy_center import timeline
from examples.privacy_center.customers import CHOSEN
from examples.privacy_center.holders import HOLDERS
from examples.privacy_center.pages import NOTES, PAGES
from examples.privacy_center.services import ASKS
from examples.privacy_center.views import MAY_BE_OBJECTED_TO, OPT_IN
from examples.privacy_center.words import Words, texts

VIETNAMESE, ENGLISH = Words("vi"), Words("en")
FOLDER = Path(privacy_center.__file__).parent
LATER = datetime(2036, 5, 1, 20, tzinfo=UTC)


def keys_asked_for() -> set[str]:
    """Every key that a template, or a module, can ask for."""
    folders = FOLDER, Path(centers.__file__).parent
    sources = [path for folder in folders for pattern in ("templates/*.html", "*.py") for path in folder.glob(pattern)]
    literal = r'(?:\bt|words)\(\s*f?["\']([a-z_.{}]+?)["\'](?: if .*? else "([a-z_.{}]+)")?'
    found = {key for path in sources for key in re.findall(literal, path.read_text(encoding="utf-8")) if any(key)}
    keys = {key for pair in found for key in pair if key and "{" not in key and not key.endswith(".")}
    members = {
        "nav": PAGES, "note": NOTES, "about": [*CHOSEN.values(), "other"], "panel": ASKS, "field": Field,
        "outcome": Outcome, "hold": HoldKind, "sharing": ["agreed", "not_agreed", "withdrawn", "expired"],
        "panel.ask": [ask for asks in ASKS.values() for ask in asks],
        "holder": HOLDERS,
        "said": [*(f"opened_{origin}" for origin in Origin), *Outcome],
    }  # fmt: skip
    keys |= {f"{prefix}.{member}" for prefix, named in members.items() for member in named}
    keys |= {f"channel.{channel}.{part}" for channel in Channel for part in ("name", "phrase")}
    keys |= {f"kind.{kind}.{part}" for kind in RequestKind for part in ("name", "hint")}
    keys |= {f"purpose.{purpose}.phrase" for purpose in Purpose}
    keys |= {f"purpose.{purpose}.name" for purpose in MAY_BE_OBJECTED_TO}
    keys |= {f"purpose.{purpose}.hint" for purpose in OPT_IN}
    problems = (
        "not_written", "outcome", "unavailable", "not_found", "forbidden",
        "bad_form", "broken", "signed_out", "elsewhere", "not_entitled",
    )  # fmt: skip
    return keys | {f"problem.{problem}{more}" for problem in problems for more in ("", "_text")}


def test_every_key_is_there_and_used() -> None:
    """What the centre asks for is what `words.toml` has, no more and no less."""
    assert keys_asked_for() == set(texts())


@pytest.mark.parametrize("key", sorted(texts()))
def test_both_languages(key: str) -> None:
    """A key says something in both languages, with the same values in it, and no spaces around it."""
    text = texts()[key]
    fields = [{name for _, name, _, _ in string.Formatter().parse(said) if name} for said in (text.vi, text.en)]
    assert fields[0] == fields[1]
    assert text.vi.strip() == text.vi != ""
    assert text.en.strip() == text.en != ""


def test_vietnamese_is_no_english() -> None:
    """Only names and words that both languages share read the same in both."""
    same = {key for key, text in texts().items() if text.vi == text.en}
    assert same == {"channel.email.phrase", "field.email", "timeline.diijam"}


def test_missing_word() -> None:
    """A key or a value that is missing is an error, not an empty place on the page."""
    with pytest.raises(KeyError):
        VIETNAMESE("nav.nothing")
    with pytest.raises(KeyError):
        VIETNAMESE("note.heard")


def test_days_are_those_of_vietnam() -> None:
    """What happened at eight in the evening UTC happened the next day in Vietnam."""
    assert (VIETNAMESE.day(LATER), ENGLISH.day(LATER), VIETNAMESE.time(LATER)) == ("2/5/2036", "2 May 2036", "03:00")


def story() -> list[e.LedgerEntry]:
    """Everything that can happen to a user but the erasure, by the ledger."""
    clock = iter(datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(999))
    store = MemoryStore(clock=lambda: next(clock))
    told = e.Notified("n-1", "tre-xanh-records", {Field.USERNAME, Field.EMAIL}, Purpose.MARKETING)
    for event in (
        e.AccountOpened(Origin.GOOGLE),
        e.Granted(Purpose.MARKETING, "n", {Channel.CALL, Channel.EMAIL}, LATER),
        e.Granted(Purpose.SURVEYS, "n"),
        e.Withdrawn(Purpose.MARKETING, {Channel.CALL}),
        e.Withdrawn(Purpose.MARKETING),
        e.Withdrawn(Purpose.SURVEYS),
        e.Objected(Purpose.PAYMENT),
        e.ObjectionLifted(Purpose.PAYMENT),
        e.Restricted({Field.EMAIL}),
        e.RestrictionLifted({Field.EMAIL}),
        e.Restricted(),
        e.RestrictionLifted(),
        told,
        e.Agreed("n-1"),
        e.AgreementWithdrawn("n-1"),
        e.Published(Field.AVATAR),
        e.Hidden(Field.AVATAR),
        e.RequestFiled("q-1", RequestKind.ACCESS),
        e.RequestReplied("q-1"),
        e.RequestExtended("q-1", "archive"),
        e.RequestResolved("q-1", Outcome.REFUSED, "not-yours"),
        e.RequestFiled("q-2", RequestKind.COMPLAINT),
        e.RequestResolved("q-2", Outcome.CANCELLED),
        e.HoldPlaced("h-1", HoldKind.DEBT, {Field.PAYMENT}, LATER),
        e.HoldReleased("h-1"),
        e.AccountClosed(),
    ):
        store.append("u-1", [event])
    store.register_holder("warehouse")
    store.append("u-1", [e.ErasureConfirmed("warehouse")])
    history = store.history("u-1")
    store.close()
    return history


SHARED = "Tre Xanh Records, for promotions, marketing and advertising"
SENTENCES: dict[Language, list[str]] = {
    "en": [
        "You opened your Diijam account with Google.",
        "You allowed offers by phone call, email.",
        "You allowed your data to be used for running surveys.",
        "You said no to offers by phone call.",
        "You said no to offers by any channel.",
        "You said no to your data being used for running surveys.",
        "You objected to your data being used for handling payments.",
        "You took back your objection to handling payments.",
        "You restricted: email.",
        "You lifted the restriction of: email.",
        "You restricted all your data.",
        "You lifted every restriction.",
        f"Diijam told you it would like to share with {SHARED}: email, username.",
        "You agreed to sharing with Tre Xanh Records.",
        "You said no to sharing with Tre Xanh Records.",
        "You made public: profile picture.",
        "You hid: profile picture.",
        "You asked: “See my data”.",
        "Diijam confirmed your request and is working on it: “See my data”.",
        "Diijam told you that it needs more time for your request: “See my data”.",
        "Diijam refused your request: “See my data”.",
        "You complained.",
        "The request “Complain” was cancelled.",
        "Diijam has to keep, because of an open debt: payment details.",
        "The reason to keep data is gone: an open debt.",
        "You closed your account, which ended everything you had allowed.",
        "The copy of your data in the data warehouse was erased.",
    ],
    "vi": [
        "Bạn mở tài khoản Diijam bằng Google.",
        "Bạn cho phép gửi ưu đãi qua điện thoại, email.",
        "Bạn cho phép dùng dữ liệu để khảo sát nhu cầu, thị hiếu.",
        "Bạn không nhận ưu đãi qua điện thoại.",
    ],
}


@pytest.mark.parametrize("language", SENTENCES)
def test_timeline(language: Language) -> None:
    """Each event is one sentence, the newest first, with its end where it has one, and who did it."""
    lines = [line for day in timeline.days(story(), Words(language)) for line in day.lines][::-1]
    expected = SENTENCES[language]
    assert [line.text for line in lines][: len(expected)] == expected
    assert len(lines) == 27
    assert [number for number, line in enumerate(lines) if line.is_diijams] == [12, 18, 19, 20, 23, 24, 26]
    assert [number for number, line in enumerate(lines) if line.until] == [1, 23]
    assert [line.tone for line in lines][:4] == ["plain", "yes", "yes", "no"]


def test_a_vietnamese_sentence_is_whole() -> None:
    """What is put into a sentence stands where Vietnamese has it, and a complaint is no request by name."""
    said = {line.text for day in timeline.days(story(), VIETNAMESE) for line in day.lines}
    told = "muốn chia sẻ email, tên người dùng với Tre Xanh Records để khuyến mại, tiếp thị, quảng cáo."
    assert {f"Diijam báo trước: {told}", "Bạn gửi yêu cầu “Xem dữ liệu của tôi”.", "Bạn gửi khiếu nại."} <= said


def test_timeline_is_day_by_day() -> None:
    """Entries stand under their day in Vietnam."""
    days = timeline.days(story(), VIETNAMESE)
    assert [(day.date, len(day.lines)) for day in days] == [("2/11/2026", 10), ("1/11/2026", 17)]


def test_every_vocabulary_is_worded() -> None:
    """No member of the vocabularies that pages show lacks its words."""
    shown: dict[str, type[Word]] = {"field": Field, "outcome": Outcome, "hold": HoldKind}
    assert all(f"{prefix}.{member}" in texts() for prefix, members in shown.items() for member in members)
