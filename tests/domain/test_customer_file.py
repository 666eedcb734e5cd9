"""One customer's file, as JSON and as a page."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given, settings

from diijam_consent_sdk import events as e
from diijam_consent_sdk._html import element, text
from diijam_consent_sdk.customer_file import CustomerFile, checked_language, registered_names
from diijam_consent_sdk.customer_file.shown import Shown, words_shown
from diijam_consent_sdk.decisions import Market, Process, decide
from diijam_consent_sdk.events import LedgerEntry, Provenance
from diijam_consent_sdk.notices import NoticeText, RegisteredNotice
from diijam_consent_sdk.record import fold, unopened
from diijam_consent_sdk.vocabulary import Channel, Field, Language, Method
from diijam_consent_sdk.wording.headings import HEADINGS
from tests import strategies

from .history import History
from .kept_files import kept
from .page_reader import Page
from .samples import EACH_EVENT, NEEDED
from .test_policy import is_vietnamese
from .test_wording import placeholders

START = datetime(2026, 3, 2, 17, 30, 5, tzinfo=UTC)  # already 3 March in Vietnam
KEYS = ["user_id", "made_at", "language", "head", "entries", "notices", "now", "requests", "holds"]
PROMO = NoticeText(
    "promo", {"vi": "Nhận ưu đãi qua email?", "en": "Offers by email?", "fr": "Des offres ?"}, {"marketing"}
)
WEB = Provenance("web-shop", Method.WEB, "form-7", "vi")
IMPORTED = Provenance("old-crm", Method.IMPORT, "row-9", said_at=datetime(2024, 5, 1, 2, tzinfo=UTC))
Step = tuple[e.Event, Provenance, str | None]
LANGUAGES: tuple[Language, ...] = ("vi", "en")


def registered(notice: NoticeText) -> RegisteredNotice:
    """A notice as the ledger gives it."""
    return RegisteredNotice(notice, notice.digest, START - timedelta(days=1), "editor")


def file_of(*steps: Step, language: Language = "vi", user_id: str = "u-1") -> CustomerFile:
    """The file of a customer to whom this happened, a step an hour, made an hour later."""
    record, entries = unopened(user_id), list[LedgerEntry]()
    for number, (event, provenance, digest) in enumerate(steps, start=1):
        at = START + timedelta(hours=number - 1)
        entry = LedgerEntry(100 + number, user_id, number, at, event, provenance, digest, f"{number:064x}")
        record = fold(record, entry)
        entries.append(entry)
    made_at = START + timedelta(hours=len(steps))
    return CustomerFile(language, made_at, "epoch.200.beef", record, entries, {"promo": registered(PROMO)})


def step(event: e.Event, provenance: Provenance = WEB, digest: str | None = None) -> Step:
    """One thing that happened."""
    return event, provenance, digest


SAID = (
    step(e.AccountOpened("google")),
    step(e.Granted("marketing", "promo", ["email"]), digest=PROMO.digest),
    step(e.Granted("surveys", "old"), IMPORTED),
    step(e.Restricted(["location"]), Provenance()),
    step(e.Notified("n-1", "acme-records", ["username"], "marketing")),
    step(e.RequestFiled("q-1", "access", processor=True)),
    step(e.HoldPlaced("h-1", "debt", ["payment"])),
)


def decoded(file: CustomerFile) -> Any:
    """What the JSON holds."""
    return json.loads(file.to_json())


def test_the_json_has_its_keys_in_order() -> None:
    """The keys are those of the design, and the head, language and times stand at the top."""
    found = decoded(file_of(*SAID))
    assert list(found) == KEYS
    assert (found["user_id"], found["language"], found["head"]) == ("u-1", "vi", "epoch.200.beef")
    assert found["made_at"] == "2026-03-03T00:30:05Z"


def test_an_entry_says_everything_about_what_was_said() -> None:
    """Words, event, time, writer, way, evidence, language, the words shown, position and hash stand together."""
    assert decoded(file_of(*SAID))["entries"][1] == {
        "position": 102,
        "version": 2,
        "at": "2026-03-02T18:30:05Z",
        "words": "Bạn đồng ý nhận khuyến mại, tiếp thị, quảng cáo qua email, theo nội dung “promo” đã cho bạn xem.",
        "event": {"type": "Granted", "purpose": "marketing", "notice": "promo", "channels": ["email"],
                  "expires_at": None},
        "provenance": {"by": "web-shop", "method": "web", "evidence": "form-7", "language": "vi", "said_at": None},
        "shown_in": "vi",
        "notice_digest": PROMO.digest,
        "hash": f"{2:064x}",
    }  # fmt: skip


def test_an_import_is_shown_as_the_importers_claim() -> None:
    """The claimed time is in the JSON beside the ledger's own, and the page says that it is a claim."""
    file = file_of(*SAID)
    entry = decoded(file)["entries"][2]
    assert (entry["provenance"]["said_at"], entry["at"]) == ("2024-05-01T02:00:00Z", "2026-03-02T19:30:05Z")
    assert "Theo lời bên nhập dữ liệu, bạn nói điều này lúc" in file.to_html()
    assert "09:00:00 ngày 01/05/2024 (GMT+7)" in file.to_html()
    assert "The importer claims that you said this on" in attrs.evolve(file, language="en").to_html()


def test_notices_are_there_with_all_that_their_digest_covers() -> None:
    """A named notice has its texts, from which the digest can be computed again; another says that it has none."""
    promo, old, told = decoded(file_of(*SAID))["notices"]
    names = ("notice", "texts", "purposes", "data", "recipient", "sensitive")
    again = NoticeText(**{name: promo[name] for name in names})
    assert again.digest == promo["digest"] == PROMO.digest
    assert (promo["registered_at"], promo["by"]) == ("2026-03-01T17:30:05Z", "editor")
    assert old == {"notice": "old", "is_registered": False}
    assert told["notice"] == "n-1"


def test_what_holds_now_is_decided_for_everything() -> None:
    """Each purpose, channel, told sharing and field has its answer, reason, clause and sentences."""
    file = file_of(*SAID)
    now = decoded(file)["now"]
    counts = Counter(answer["ask"] for answer in now)
    assert counts == {"process": 13, "market": 4, "share": 1, "show": 16, "retain": 16}
    assert next(answer for answer in now if answer.get("channel") == "email") == {
        "ask": "market", "channel": "email", "data": [], "allowed": True, "reason": "consented", "clause": 4,
        "words": "Diijam được gửi khuyến mại, tiếp thị, quảng cáo cho bạn qua email."
                 " Bạn đã đồng ý cho Diijam dùng dữ liệu vào mục đích này.",
    }  # fmt: skip
    share = next(answer for answer in now if answer["ask"] == "share")
    assert (share["recipient"], share["data"], share["reason"]) == ("acme-records", ["username"], "not_agreed")


def test_requests_and_holds_have_their_times_and_states() -> None:
    """An open request has its state and due times; a hold says whether it binds."""
    found = decoded(file_of(*SAID))
    (request,), (hold,) = found["requests"], found["holds"]
    assert (request["state"], request["due_at"]) == ("on_track", "2026-03-17T22:30:05Z")
    assert request["processor"] is True
    assert (hold["kind"], hold["data"], hold["is_live"], hold["until"]) == ("debt", ["payment"], True, None)
    resolved = decoded(file_of(*SAID, step(e.RequestResolved("q-1", "refused", "no-proof"))))["requests"][0]
    assert (resolved["state"], resolved["outcome"], resolved["reason"]) == (None, "refused", "no-proof")


def test_sets_are_sorted_lists() -> None:
    """The same customer's file is the same text in every process, whose sets have orders of their own."""
    hold = step(e.HoldPlaced("h-1", "debt", list(Field)))
    found = decoded(file_of(step(e.AccountOpened()), hold))
    assert found["entries"][1]["event"]["data"] == found["holds"][0]["data"] == sorted(Field)


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_an_erased_customer_the_tombstone_is_left(language: Language) -> None:
    """The file of an erased customer has the erasure and its proof, and no answer, notice, request or hold."""
    tombstone = LedgerEntry(109, "u-1", 9, START, e.Erased(anonymised=True), hash="ab" * 32)
    file = CustomerFile(language, START, "epoch.109.ab", fold(unopened("u-1"), tombstone), [tombstone], {})
    found = decoded(file)
    assert list(found) == KEYS
    assert [entry["event"] for entry in found["entries"]] == [{"type": "Erased", "anonymised": True}]
    assert [found[key] for key in KEYS[5:]] == [[], [], [], []]
    page = file.to_html()
    assert str(HEADINGS["anonymised"][LANGUAGES.index(language)]) in page
    assert "ab" * 32 in page
    assert Page(page).ids == {"proof"}


def test_of_an_unknown_customer_the_file_says_so() -> None:
    """Nothing on record is an answer too."""
    file = file_of()
    assert decoded(file)["entries"] == []
    assert {answer["reason"] for answer in decoded(file)["now"]} == {"unknown_user"}
    assert HEADINGS["nothing"][0] in file.to_html()
    assert HEADINGS["account_unknown"][0] in file.to_html()


@pytest.mark.parametrize(
    ("asked", "language", "shown", "is_asked"),
    [
        ("vi", "en", "vi", True), ("VI-vn", "en", "vi", True), ("en-GB-oxendict", "vi", "en", True),
        ("fr-CA", "vi", "fr", True), (None, "en", "en", False), (None, "vi", "vi", False), ("km", "en", "en", False),
        ("vie", "en", "en", False), ("english", "vi", "vi", False),
    ],
)  # fmt: skip
def test_words_are_shown_in_the_language_of_the_question(
    asked: str | None, language: Language, shown: str, *, is_asked: bool
) -> None:
    """The tag's own text, else that of a shorter tag, else the file's language, which proves nothing."""
    entry = LedgerEntry(
        1, "u-1", 1, START, e.Granted("marketing", "promo", ["email"]), Provenance(language=asked), PROMO.digest
    )
    assert words_shown(entry, {"promo": registered(PROMO)}, language) == Shown(registered(PROMO), shown, is_asked)


def test_words_are_shown_in_the_nearest_of_a_languages_forms() -> None:
    """Asked in Taiwan's Chinese, the customer read the text in traditional characters rather than in any Chinese."""
    notice = NoticeText("promo", {"vi": "Ưu đãi?", "zh": "优惠吗", "zh-Hant": "優惠嗎"}, {"marketing"})
    asked = Provenance(language="zh-Hant-TW")
    entry = LedgerEntry(1, "u-1", 1, START, e.Granted("marketing", "promo", ["email"]), asked, notice.digest, "00")
    shown = words_shown(entry, {"promo": registered(notice)}, "vi")
    assert shown is not None
    assert shown.tag == "zh-Hant"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("asked", "shown"), [("en", "en-GB"), ("zh", None), ("km", None), (None, None)])
def test_no_file_says_of_a_text_that_it_was_read_unless_the_entry_does(
    asked: str | None, shown: str | None, language: Language
) -> None:
    """Asked in English, the customer read the British text, in whichever language the file is; else it is unknown."""
    texts = {"vi": "Ưu đãi?", "en-GB": "Offers?", "zh-Hans": "优惠吗", "zh-Hant": "優惠嗎"}
    notice = NoticeText("promo", texts, {"contests"})
    granted = e.Granted("contests", "promo")
    entry = LedgerEntry(1, "u-1", 1, START, granted, Provenance(language=asked), notice.digest, "00")
    record = fold(unopened("u-1"), entry)
    file = CustomerFile(language, START, "epoch.1.aa", record, [entry], {"promo": registered(notice)})
    assert decoded(file)["entries"][0]["shown_in"] == shown
    unproved = [str(HEADINGS[key][LANGUAGES.index(language)]) for key in ("language_unknown", "language_missing")]
    said = [text.partition("{")[0] in file.to_html() for text in unproved]
    assert said == [asked is None, asked is not None and shown is None]


def test_a_text_in_no_such_language_is_shown_all_the_same() -> None:
    """Where the notice lacks both languages, its first text is there, as one that nobody may have read."""
    french = NoticeText("promo", {"fr": "Des offres ?"}, {"marketing"})
    entry = LedgerEntry(1, "u-1", 1, START, e.Granted("contests", "promo"), WEB, french.digest)
    assert words_shown(entry, {"promo": registered(french)}, "vi") == Shown(registered(french), "fr", is_asked=False)


def test_only_words_under_the_entrys_digest_are_shown() -> None:
    """A notice that was registered later, or with another digest, proves nothing of what was shown."""
    granted = e.Granted("contests", "promo")
    said: list[tuple[e.Event, str | None]] = [(granted, None), (granted, "0" * 64), (e.Withdrawn("contests"), None)]
    for event, digest in said:
        entry = LedgerEntry(1, "u-1", 1, START, event, WEB, digest)
        assert words_shown(entry, {"promo": registered(PROMO)}, "vi") is None
    file = file_of(step(e.AccountOpened()), step(granted))
    assert decoded(file)["entries"][1]["shown_in"] is None
    assert "Nội dung “promo” chưa được đăng ký trong sổ này khi đó" in file.to_html()
    assert registered_names(file.entries) == []
    assert registered_names(file_of(*SAID, *SAID[1:2]).entries) == ["promo"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_file_is_as_it_was_looked_at(language: Language) -> None:
    """Every word and element stays what somebody read; `python -m tests.domain.kept_files` keeps what is new."""
    for path, shown in kept(language).items():
        assert shown == path.read_text(encoding="utf-8"), path.name


def test_an_entry_without_its_hash_leaves_the_cell_empty() -> None:
    """What is not known of a proof is not made up."""
    file = file_of(step(e.AccountOpened()))
    page = attrs.evolve(file, entries=[attrs.evolve(file.entries[0], hash=None)]).to_html()
    assert page.count("<td><code></code></td>") == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_and_accessible(language: Language) -> None:
    """Its language, headings, table headers, links and texts are there; nothing is fetched and nothing runs."""
    page = file_of(*SAID, language=language).to_html()
    read = Page(page)
    assert page.startswith("<!doctype html>\n<html")
    assert read.attributes("html") == [{"lang": language}]
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 and after > 1 for before, after in pairwise(levels))
    assert {attributes["scope"] for attributes in read.attributes("th")} == {"col", "row"}
    assert all(attributes["aria-label"] for attributes in read.attributes("table"))
    links = [str(attributes["href"]) for attributes in read.attributes("a")]
    assert links
    assert {link[1:] for link in links} <= read.ids
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"(?i)<(script|img|link|iframe|form)|https?:|@import|url\(| on\w+=| style=", page)
    assert f'<blockquote lang="vi" dir="auto">{PROMO.texts["vi"]}</blockquote>' in page


def test_the_page_takes_no_other_style() -> None:
    """A browser is told the hash of the style in the page, and to load nothing at all."""
    page = file_of(*SAID).to_html()
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(meta["content"] for meta in Page(page).attributes("meta") if "http-equiv" in meta)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'"


HOSTILE = "</blockquote><script>alert('1')</script>\"&<!--\x00\x1b\x85"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_becomes_markup(language: Language) -> None:
    """Ids and words that hold HTML are shown as they are, control characters as signs."""
    hostile = NoticeText("<b id=x>", {"vi": HOSTILE, "en": HOSTILE}, {"contests"})
    odd = Provenance('"><script>', Method.APP, "<i>", "vi")
    file = file_of(
        step(e.AccountOpened()),
        (e.Granted("contests", "<b id=x>"), odd, hostile.digest),
        step(e.Granted("surveys", "<u>"), odd),
        step(e.Notified("<n>", "<recipient>", ["email"], "surveys")),
        step(e.RequestFiled("<q>", "access")),
        step(e.RequestExtended("<q>", "<reason>")),
        step(e.HoldPlaced("<h>", "tax", ["payment"])),
        language=language,
        user_id="<u-1 onload=x>",
    )
    file = attrs.evolve(file, notices={"<b id=x>": registered(hostile)}, head="<head>")
    page = file.to_html()
    read = Page(page)
    plain = Page(file_of(*SAID, language=language).to_html())
    assert {tag for tag, _ in read.tags} <= {tag for tag, _ in plain.tags}
    assert "\u2400\u241b\ufffd" in page
    shown = "".join(read.texts)
    words = (
        "</blockquote><script>alert('1')</script>\"&<!--", "<b id=x>", '"><script>', "<i>", "<u>", "<recipient>",
        "<q>", "<reason>", "<h>", "<u-1 onload=x>", "<head>",
    )  # fmt: skip
    for word in words:
        assert word in shown


def test_the_json_hides_nothing_from_a_terminal() -> None:
    """What a terminal would obey or hide is spelled as JSON spells it, and reads back as it was."""
    odd = NoticeText("promo", {"vi": "a\u202eb\x1bc\x85\nd"}, {"contests"})
    file = file_of(step(e.AccountOpened()), (e.Granted("contests", "promo"), WEB, odd.digest))
    written = attrs.evolve(file, notices={"promo": registered(odd)}).to_json()
    assert written.replace("\n", "").isprintable()
    assert json.loads(written)["notices"][0]["texts"] == {"vi": "a\u202eb\x1bc\x85\nd"}


def test_elements_escape_texts_and_keep_elements() -> None:
    """Only what was built as an element is taken as one; empty attributes are left out."""
    inner = element("b", "<")
    assert element("p", inner, "&", class_='a"b', id="") == '<p class="a&quot;b"><b>&lt;</b>&amp;</p>'
    assert text("a\r\nb\rc\td\x7f") == "a\nb\nc\td\u2421"
    assert element("meta", http_equiv="x") == '<meta http-equiv="x">'
    assert element("p", title=text("'&")) == '<p title="&#x27;&amp;"></p>'
    assert element("p", title=element("b", id="i")) == '<p title="<b id=&quot;i&quot;></b>"></p>'


@pytest.mark.parametrize("key", HEADINGS)
def test_both_languages_have_each_text(key: str) -> None:
    """The Vietnamese is Vietnamese, the English English, and both have the same places."""
    vi, en = HEADINGS[key]
    assert is_vietnamese(vi)
    assert not is_vietnamese(en)
    assert placeholders(vi) == placeholders(en)


@settings(max_examples=25)
@given(strategies.moves())
def test_the_file_of_any_history_can_be_made(moves: list[tuple[int, e.Event]]) -> None:
    """Whatever happened, both forms are whole, all entries are there, and the answers are those of `decide`."""
    history = History()
    for delay, event in moves:
        history.tick(delay).attempt(event)
    is_erased = bool(history.entries) and isinstance(history.entries[-1].event, e.Erased)
    entries = history.entries[-1:] if is_erased else history.entries
    for language in LANGUAGES:
        file = CustomerFile(language, history.at, "epoch.1.aa", history.record, entries, {})
        found = decoded(file)
        assert [entry["version"] for entry in found["entries"]] == [entry.version for entry in entries]
        page = Page(file.to_html())
        if not is_erased:
            assert {f"entry-{entry.version}" for entry in entries} <= page.ids
            for channel in Channel:
                (answer,) = (item for item in found["now"] if item.get("channel") == channel)
                assert answer["reason"] == decide(history.record, Market(channel), history.at).reason


def test_every_event_is_on_the_page_in_both_languages() -> None:
    """One of each event gives a page with its sentence; what holds beside the answers is said before them."""
    events = [
        *NEEDED,
        *(event for event in EACH_EVENT if not isinstance(event, (e.AccountOpened, e.AccountClosed, e.Erased))),
    ]
    file = file_of(step(e.AccountOpened()), *map(step, events), step(e.Objected("surveys")), step(e.Restricted()))
    pending = file_of(step(e.AccountOpened()), step(e.RequestFiled("q", "erasure")), step(e.Restricted(["email"])))
    for other, language in enumerate(LANGUAGES):
        page = attrs.evolve(file, language=language).to_html()
        assert page.count('class="what"') == len(file.entries)
        for key in ("restricted_all", "extended", "reason", "released"):
            assert re.split(r"\{\w+\}", HEADINGS[key][other])[0] in page, key
        assert re.split(r"\{\w+\}", HEADINGS["objected"][other])[0] in page
        page = attrs.evolve(pending, language=language).to_html()
        for key in ("erasing", "restricted", "holds_none", "notices_none", "sharing_none"):
            assert re.split(r"\{\w+\}", HEADINGS[key][other])[0] in page, key


def test_a_restricted_field_hides_no_consent() -> None:
    """A purpose is asked without data: the consent stays a yes, and the restriction stands beside it."""
    file = file_of(*SAID, step(e.Granted("contests", "c")))
    (answer,) = (item for item in decoded(file)["now"] if item.get("purpose") == "contests")
    assert answer["allowed"] is decide(file.record, Process("contests", ()), file.made_at).allowed is True
    assert "Bạn đang hạn chế: vị trí." in file.to_html()


@pytest.mark.parametrize("language", ["fr", "VI", "", None])
def test_a_file_is_in_one_of_two_languages(language: Any) -> None:
    """Another language is refused."""
    with pytest.raises(ValueError, match=r"^a customer's file is in 'vi' or 'en'$"):
        checked_language(language)


def test_the_user_stays_out_of_the_repr() -> None:
    """A file in a log or a traceback shows nobody, and nothing that was said."""
    assert not re.search("u-1|promo|email", repr(file_of(*SAID)))
