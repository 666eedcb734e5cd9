"""A report on a whole ledger: its numbers, as JSON and as a page."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Market, Retain, Share, decide
from diijam_consent_sdk.documents.asks import every_ask
from diijam_consent_sdk.due import due
from diijam_consent_sdk.errors import NotEntitled
from diijam_consent_sdk.events import LedgerEntry, Provenance
from diijam_consent_sdk.holders import HolderRegistry
from diijam_consent_sdk.record import fold, unopened
from diijam_consent_sdk.report import Alike, count_answers, count_entries, count_work
from diijam_consent_sdk.report.charts import Column, Mark, bar, columns_chart, highest_mark
from diijam_consent_sdk.report.entry_counts import SUBJECTS
from diijam_consent_sdk.report.words_section import months_until
from diijam_consent_sdk.standing import AskScope, standing_of
from diijam_consent_sdk.vocabulary import LANGUAGES, Channel, HoldKind, Language, Method, RequestKind
from diijam_consent_sdk.wording.report_headings import REPORT_HEADINGS
from tests import strategies

from .history import History, opened
from .kept_report import kept_report, kept_reports
from .page_reader import Page
from .reports import ASKS, Person, report_of
from .test_policy import is_vietnamese
from .test_wording import placeholders

KEYS = [
    "made_at", "head", "entries", "imported_entries", "users", "consents", "imports", "answers", "requests", "erasures",
    "unregistered_sharings",
]  # fmt: skip
LAST_OF_MARCH = datetime(2026, 3, 31, 16, 59, 59, tzinfo=UTC)  # a second before April in Vietnam
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
IMPORTED = Provenance("old-crm", Method.IMPORT, said_at=datetime(2024, 5, 31, 17, tzinfo=UTC))  # June in Vietnam


def entry(event: e.Event, provenance: Provenance = e.NO_PROVENANCE, **fields: Any) -> LedgerEntry:
    """An entry of somebody."""
    return LedgerEntry(**{
        "position": 1, "user_id": "u-1", "version": 1, "at": LAST_OF_MARCH, "event": event, "provenance": provenance,
        **fields,
    })  # fmt: skip


def person(history: History) -> Person:
    """Whom a history is of."""
    return Person(history.record, history.entries)


def decoded(*people: Person, at: datetime) -> Any:
    """The JSON of the report on a ledger that has these people."""
    return json.loads(report_of(people, at).to_json())


def word(purpose: str, channel: str | None, month: str, yes: int, no: int) -> dict[str, object]:
    """A row of the JSON."""
    return {"month": month, "purpose": purpose, "channel": channel, "yes": yes, "no": no}


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (e.Granted("surveys", "n"), [("surveys", None, 1, 0)]),
        (e.Granted("marketing", "n", ["call", "email"]), [("marketing", "email", 1, 0), ("marketing", "call", 1, 0)]),
        (e.Withdrawn("contests"), [("contests", None, 0, 1)]),
        (e.Withdrawn("marketing", ["message"]), [("marketing", "message", 0, 1)]),
        (e.Withdrawn("marketing"), [("marketing", channel, 0, 1) for channel in Channel]),
        (e.Objected("surveys"), []),
        (e.AccountClosed(), []),
        (e.Agreed("n"), []),
    ],
)
def test_a_word_counts_for_each_channel(event: e.Event, counted: list[tuple[str, str | None, int, int]]) -> None:
    """A yes or no counts once, and for marketing once for each channel that it is about; nothing else counts."""
    report = attrs.evolve(report_of([], LAST_OF_MARCH), entries=count_entries([entry(event)]))
    rows = json.loads(report.to_json())["consents"]
    assert rows == [word(purpose, channel, "2026-03", yes, no) for purpose, channel, yes, no in counted]


def test_months_are_those_of_vietnam_and_imports_stand_apart() -> None:
    """A month begins at midnight in Vietnam; an import is in the month in which it was said, as the importer claims."""
    granted = e.Granted("surveys", "n")
    counts = count_entries([
        entry(granted), entry(granted, at=LAST_OF_MARCH + SECOND), entry(granted, at=LAST_OF_MARCH + SECOND),
        entry(granted, IMPORTED), entry(e.AccountOpened(), IMPORTED),
    ])  # fmt: skip
    found = json.loads(attrs.evolve(report_of([], LAST_OF_MARCH), entries=counts).to_json())
    assert found["consents"] == [word("surveys", None, "2026-03", 1, 0), word("surveys", None, "2026-04", 2, 0)]
    assert found["imports"] == [word("surveys", None, "2024-06", 1, 0)]
    assert (found["entries"], found["imported_entries"]) == (5, 2)


def test_users_are_counted_by_what_is_left_of_them() -> None:
    """A user counts by the first entry, an erased one by the tombstone."""
    entries = [
        entry(e.AccountOpened()), entry(e.Withdrawn("surveys"), version=2), entry(e.Erased(), version=9),
        entry(e.Withdrawn("surveys"), user_id="u-2"),
    ]  # fmt: skip
    assert count_entries(entries).users == 3


def test_what_else_entries_hold_is_counted() -> None:
    """Requests filed and ended, erasures by month and kind, and sharings told without a registered notice."""
    told = e.Notified("n", "acme-records", ["username"], "marketing")
    counts = count_entries([
        entry(e.RequestFiled("q-1", "access")), entry(e.RequestFiled("q-2", "access")),
        entry(e.RequestResolved("q-1", "refused", "no-proof")), entry(e.RequestResolved("q-2", "fulfilled")),
        entry(told), entry(told, notice_digest="ab" * 32), entry(e.Erased()), entry(e.Erased(anonymised=True)),
        entry(e.Erased(), at=LAST_OF_MARCH + SECOND),
    ])  # fmt: skip
    found = json.loads(attrs.evolve(report_of([], LAST_OF_MARCH), entries=counts).to_json())
    assert found["requests"]["filed"] == {"access": 2, "rectification": 0, "erasure": 0, "complaint": 0}
    assert found["requests"]["ended"] == {"fulfilled": 1, "refused": 1, "cancelled": 0}
    assert found["unregistered_sharings"] == 1
    assert found["erasures"]["done"] == [
        {"month": "2026-03", "erased": 1, "anonymised": 1}, {"month": "2026-04", "erased": 1, "anonymised": 0},
    ]  # fmt: skip


def test_each_ask_has_an_answer_for_every_user() -> None:
    """Users who stand alike are counted together; the reasons stand in order, the yeses first."""
    at = strategies.START
    fan, other = opened(e.Granted("marketing", "n", ["email"])).record, opened().record
    groups = [Alike(standing_of(fan, at), at, 5), Alike(standing_of(other, at), at, 7)]
    counts = count_answers([Market("email"), Market("call")], groups)
    found = json.loads(attrs.evolve(report_of([], at), answers=counts).to_json())
    assert found["answers"][0] == {
        "ask": "market", "channel": "email", "data": [], "answers": [
            {"allowed": True, "reason": "consented", "clause": 4, "users": 5},
            {"allowed": False, "reason": "not_consented", "clause": 4, "users": 7},
        ],
    }  # fmt: skip
    assert [answer["users"] for answer in found["answers"][1]["answers"]] == [12]
    assert found["users"] == {"unknown": 0, "open": 12, "closed": 0, "erased": 0}


def test_a_token_that_may_not_ask_makes_no_report() -> None:
    """An ask that the view lacks is an error, and no customer's no."""
    at = strategies.START
    narrow = standing_of(opened().record, at).narrowed(frozenset({AskScope.MARKETING}))
    assert count_answers([Market("email")], [Alike(narrow, at, 1)]).accounts
    with pytest.raises(NotEntitled):
        count_answers([Market("email"), Retain("email")], [Alike(narrow, at, 1)])


def test_the_asks_are_those_of_a_customers_file() -> None:
    """Each purpose, channel and field is asked about, and each sharing once."""
    kinds = Counter(type(ask).__name__ for ask in ASKS)
    assert kinds == {"Process": 13, "Market": 4, "Share": 1, "Show": 16, "Retain": 16}


@pytest.mark.parametrize(
    ("days", "state", "late", "since"),
    [
        (1, "on_track", (0, 0), None),
        (1.9, "due_soon", (0, 0), None),
        (2, "overdue", (1, 0), 2),
        (10, "overdue", (1, 1), 2),
    ],
)
def test_requests_count_by_state(days: float, state: str, late: tuple[int, int], since: int | None) -> None:
    """An overdue request says what is late: the reply, the deed, or both, and since when."""
    asked = opened(e.RequestFiled("q-1", "access"))
    rows = decoded(person(asked), at=asked.at + days * DAY)["requests"]["open"]
    (row,) = (row for row in rows if row["kind"] == "access")
    assert {name: row[name] for name in ("on_track", "due_soon", "overdue")} == {
        **dict.fromkeys(("on_track", "due_soon", "overdue"), 0), state: 1,
    }  # fmt: skip
    assert (row["late_replies"], row["late_deeds"]) == late
    due_at = None if since is None else (asked.at + since * DAY).isoformat().replace("+00:00", "Z")
    assert row["overdue_since"] == due_at


def test_a_reply_that_was_given_is_not_late() -> None:
    """With its reply given, a request is overdue by the deed alone, and since then."""
    asked = opened(e.RequestFiled("q-1", "complaint"), e.RequestReplied("q-1"))
    counts = report_of([person(asked)], asked.at + 11 * DAY).work.requests
    kind = RequestKind.COMPLAINT
    assert (counts.late_replies[kind], counts.late_deeds[kind]) == (0, 1)
    assert counts.overdue_since == {kind: asked.at + 10 * DAY}


def test_the_first_overdue_request_of_a_kind_is_the_oldest() -> None:
    """Whatever the order of the users, the time is that of the request that became overdue first."""
    older, newer = opened(e.RequestFiled("q", "access")), History(strategies.START + DAY)
    newer.append(e.AccountOpened(), e.RequestFiled("q", "access"))
    at = older.at + 9 * DAY
    for people in (older, newer), (newer, older):
        counts = count_work(due([history.record], at) for history in people).requests
        assert counts.overdue_since == {RequestKind.ACCESS: older.at + 2 * DAY}


def test_erasures_count_by_what_they_wait_for() -> None:
    """An erasure that two debts and a dispute hold waits for a debt once, and for a dispute; others may be done."""
    held = opened(
        e.HoldPlaced("h-1", "debt", ["payment"]), e.HoldPlaced("h-2", "debt", ["email"]),
        e.HoldPlaced("h-3", "dispute", ["email"]), e.HoldPlaced("h-4", "tax", ["email"]), e.HoldReleased("h-4"),
        e.RequestFiled("q", "erasure"),
    )  # fmt: skip
    free = opened(e.RequestFiled("q", "erasure"))
    found = decoded(person(held), person(free), at=held.at + 20 * DAY)["erasures"]
    assert found["erasable"] == found["held"] == {"in_time": 0, "overdue": 1}
    waits = {kind: number for kind, number in found["waiting_for_holds"].items() if number}
    assert waits == {"debt": 1, "dispute": 1}
    assert decoded(person(free), at=held.at)["erasures"]["erasable"] == {"in_time": 1, "overdue": 0}


def test_erasures_count_by_the_holders_that_have_not_confirmed() -> None:
    """An erasure waits for each registered holder that has not confirmed it, and then it may not be done."""
    holders = HolderRegistry(dict.fromkeys(("mailer", "warehouse", "lab"), strategies.START))
    some = History(holders=holders).play(
        e.AccountOpened(), e.RequestFiled("q", "erasure"), e.ErasureConfirmed("lab"), e.ErasureConfirmed("mailer")
    )
    none = History(holders=holders).play(e.AccountOpened(), e.RequestFiled("q", "erasure"), e.ErasureConfirmed("lab"))
    report = report_of([person(some), person(none)], some.at, holders=holders)
    found = json.loads(report.to_json())["erasures"]
    assert found["held"] == {"in_time": 2, "overdue": 0}
    assert found["erasable"] == {"in_time": 0, "overdue": 0}
    assert found["waiting_for_holders"] == {"mailer": 1, "warehouse": 2}
    texts = Page(report.to_html("en")).texts
    assert texts[texts.index("mailer") :][2] == "1"
    assert texts[texts.index("warehouse") :][2] == "2"


def test_the_json_has_its_keys_in_order() -> None:
    """The head, the time and the totals stand at the top, and all is there for an empty ledger too."""
    found = json.loads(report_of([], LAST_OF_MARCH).to_json())
    assert list(found) == KEYS
    assert (found["head"], found["made_at"]) == ("epoch.200.beef", "2026-03-31T16:59:59Z")
    assert sum(found["users"].values()) == found["entries"] == 0


def played(moves: list[tuple[int, e.Event]], said: list[Provenance]) -> Person:
    """Somebody of whom the policy accepted these moves."""
    history = History()
    for number, (wait, event) in enumerate(moves):
        history.tick(wait).attempt(event, provenance=said[number % len(said)])
    return person(history)


def people() -> st.SearchStrategy[list[Person]]:
    """Some users of whom anything may be on record."""
    provenances = st.lists(strategies.provenances(), min_size=1, max_size=4)
    return st.lists(st.builds(played, strategies.moves(), provenances), max_size=4)


def slow_words(crowd: list[Person], *, is_imported: bool) -> Iterator[dict[str, object]]:
    """Look through all entries again for each row."""
    left = [entry for one in crowd for entry in one.left()]
    said = [
        (entry.event, (entry.provenance.said_at or entry.at) + 7 * timedelta(hours=1))
        for entry in left
        if (entry.provenance.method == "import") is is_imported
    ]
    for month in sorted({f"{at:%Y-%m}" for _, at in said}):
        for purpose, channel in SUBJECTS:
            yes = [
                event for event, at in said
                if f"{at:%Y-%m}" == month and isinstance(event, e.Granted) and event.purpose == purpose
                and (channel is None or channel in event.channels)
            ]  # fmt: skip
            no = [
                event for event, at in said
                if f"{at:%Y-%m}" == month and isinstance(event, e.Withdrawn) and event.purpose == purpose
                and (channel is None or not event.channels or channel in event.channels)
            ]  # fmt: skip
            if yes or no:
                yield word(purpose, channel, month, len(yes), len(no))


@settings(max_examples=25)
@given(people(), st.integers(0, 40))
def test_a_slow_count_agrees(crowd: list[Person], days: int) -> None:
    """Counted again from each record and entry, with no standing and no grouping, the numbers are the same."""
    at = strategies.START + timedelta(seconds=60) + days * DAY
    found = json.loads(report_of(crowd, at).to_json())
    assert found["consents"] == [*slow_words(crowd, is_imported=False)]
    assert found["imports"] == [*slow_words(crowd, is_imported=True)]
    known = [one.record for one in crowd if one.entries]
    assert found["users"] == {account: sum(r.account == account for r in known) for account in found["users"]}
    for ask, row in zip(ASKS, found["answers"], strict=True):
        reasons = Counter(decide(record, ask, at).reason for record in known)
        assert {answer["reason"]: answer["users"] for answer in row["answers"]} == reasons
    requests = [request for record in known for request in record.open_requests()]
    for row in found["requests"]["open"]:
        of_kind = [request for request in requests if request.kind == row["kind"]]
        states = Counter(str(request.state(at)) for request in of_kind)
        assert [row[state] for state in ("on_track", "due_soon", "overdue")] == [
            states[state] for state in ("on_track", "due_soon", "overdue")
        ]
    erasing = [record for record in known if record.is_erasing()]
    waiting = [{hold.kind for hold in record.live_holds(at)} for record in erasing]
    assert sum(found["erasures"]["held"].values()) == sum(map(bool, waiting))
    assert sum(found["erasures"]["erasable"].values()) == len(erasing) - sum(map(bool, waiting))
    assert found["erasures"]["waiting_for_holds"] == {
        kind: sum(kind in kinds for kinds in waiting) for kind in HoldKind
    }  # fmt: skip


@settings(max_examples=8)
@given(people())
def test_a_page_can_be_made_of_any_ledger(crowd: list[Person]) -> None:
    """Whatever is on record, the page is whole in both languages, and names nobody."""
    report = report_of(crowd, strategies.START + DAY)
    for language in LANGUAGES:
        page = report.to_html(language)
        assert {"consents", "answers", "requests", "erasures", "imports", "source"} <= Page(page).ids
        assert not re.search(r"u-1|q-[123]|h-[123]|form-7", page + report.to_json())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_report_is_as_it_was_looked_at(language: Language) -> None:
    """Every word and number stays what somebody read; `python -m tests.domain.kept_report` keeps what is new."""
    for path, shown in kept_reports(language).items():
        assert shown == path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_and_accessible(language: Language) -> None:
    """Its language, headings, table headers, links and charts are there; nothing is fetched and nothing runs."""
    page = kept_report().to_html(language)
    read = Page(page)
    assert read.attributes("html") == [{"lang": language}]
    assert f"{REPORT_HEADINGS['title'][LANGUAGES.index(language)]} · Diijam" in read.texts
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 and after > 1 for before, after in pairwise(levels))
    assert {attributes["scope"] for attributes in read.attributes("th")} == {"col", "row"}
    assert all(attributes["aria-label"] for attributes in read.attributes("table"))
    assert all(svg.get("aria-hidden") or (svg["role"], bool(svg["aria-label"])) == ("img", True)
               for svg in read.attributes("svg"))  # fmt: skip
    assert {str(attributes["href"])[1:] for attributes in read.attributes("a")} <= read.ids
    assert not re.search(r"(?i)<(script|img|link|iframe|form|use)|https?:|@import|url\(| on\w+=| style=", page)


def test_no_name_becomes_markup() -> None:
    """A recipient whose name holds HTML is shown as it is."""
    asks = list(every_ask([Share("<script>", ["email"], "surveys")]))
    page = report_of([person(opened())], strategies.START, asks).to_html("en")
    assert "script" not in {tag for tag, _ in Page(page).tags}
    assert "<script>" in Page(page).texts


@pytest.mark.parametrize("key", REPORT_HEADINGS)
def test_both_languages_have_each_text(key: str) -> None:
    """The Vietnamese is Vietnamese, the English English, and both have the same places."""
    vi, en = REPORT_HEADINGS[key]
    assert is_vietnamese(vi) or not re.search(r"[a-z]{3}", placeholders_out(vi))
    assert not is_vietnamese(en)
    assert placeholders(vi) == placeholders(en)


def placeholders_out(text: str) -> str:
    """A text without its places."""
    return re.sub(r"\{\w+\}", "", text)


@pytest.mark.parametrize(
    ("highest", "mark"),
    [(0, 2), (2, 2), (3, 4), (5, 6), (10, 10), (11, 12), (18, 18), (19, 20), (21, 40), (181, 200), (601, 800)],
)
def test_the_grid_ends_above_the_highest_bar(highest: int, mark: int) -> None:
    """The highest line of a grid is round, its half too, and less than twice as high as it has to be."""
    assert highest_mark(highest) == mark


def numbers(svg: str, name: str, part: str) -> list[float]:
    """An attribute of each rectangle of a part, in order."""
    found = re.findall(rf'<rect class="part-{part}"[^>]* {name}="([\d.]+)"', svg)
    return [float(number) for number in found]


def test_a_bar_divides_as_its_numbers_do() -> None:
    """Each part is as wide as its number, next to the one before; nothing is drawn for none."""
    drawn = bar([("yes", 30), ("due_soon", 0), ("no", 10)])
    assert (numbers(drawn, "width", "yes"), numbers(drawn, "width", "no")) == ([120], [40])
    assert (numbers(drawn, "x", "no"), "due_soon" in drawn) == ([120], False)
    assert "<rect" not in bar([("yes", 0)])


def test_columns_are_as_high_as_their_numbers() -> None:
    """A month's two bars stand side by side on the ground line, in proportion to the highest mark."""
    drawn = columns_chart([Column("a", 4, 1), Column("b", 0, 2)], [Mark(0, "0"), Mark(2, "2"), Mark(4, "4")], "words")
    (yes,), (low, high) = numbers(drawn, "height", "yes"), numbers(drawn, "height", "no")
    assert (low * 4, high * 2) == (yes, yes)
    tops = [y + height for name in ("yes", "no")
            for y, height in zip(numbers(drawn, "y", name), numbers(drawn, "height", name), strict=True)]  # fmt: skip
    assert len(set(tops)) == 1
    assert numbers(drawn, "x", "no")[0] == pytest.approx(
        numbers(drawn, "x", "yes")[0] + numbers(drawn, "width", "yes")[0]
    )
    assert drawn.count('aria-label="words"') == 2


@pytest.mark.parametrize(
    ("first", "last", "count", "begin"),
    [
        (date(2026, 3, 1), date(2026, 3, 1), 1, date(2026, 3, 1)),
        (date(2025, 11, 1), date(2026, 2, 1), 4, date(2025, 11, 1)),
        (date(2020, 1, 1), date(2026, 12, 1), 24, date(2025, 1, 1)),
        (date.min, date(9999, 12, 1), 24, date(9998, 1, 1)),
    ],
)
def test_the_latest_months_are_shown(first: date, last: date, count: int, begin: date) -> None:
    """The months are without a gap, the latest two years of many."""
    months = months_until(last, first)
    assert (len(months), months[0], months[-1]) == (count, begin, last)
    assert all(after > before for before, after in pairwise(months))


def test_earlier_months_are_in_one_row_and_in_the_total() -> None:
    """What lies before the months shown is one row, and the total has it."""
    granted = e.Granted("surveys", "n")
    entries = [entry(granted, at=datetime(2020, 1, 5, tzinfo=UTC)), entry(granted), entry(granted)]
    report = attrs.evolve(report_of([], LAST_OF_MARCH), entries=count_entries(entries))
    texts = Page(report.to_html("en")).texts
    assert texts[texts.index("Earlier") :].index("1 / 0") < texts[texts.index("Earlier") :].index("Total")
    assert "3 / 0" in texts[texts.index("Total") :]
    assert "Earlier" not in kept_report().to_html("en")


def test_a_word_of_the_future_puts_no_month_away() -> None:
    """An imported no with a wrong year, which is accepted, is in a row after those of the months, and in the total."""
    wrong = Provenance("old-crm", Method.IMPORT, said_at=datetime(2226, 5, 5, tzinfo=UTC))
    entries = [entry(e.Withdrawn("surveys"), provenance) for provenance in (IMPORTED, wrong)]
    for counted, month in ((entries, "June 2024"), (entries[1:], "March 2026")):
        report = attrs.evolve(report_of([], LAST_OF_MARCH), entries=count_entries(counted))
        texts = Page(report.to_html("en")).texts
        shown = texts[texts.index(month) :]
        assert shown[shown.index("Later") :].index("0 / 1") < shown[shown.index("Later") :].index("Total")
        assert not any("222" in text for text in texts)
    assert "Later" not in kept_report().to_html("en")


def test_a_month_long_ago_is_written_as_machines_read_it() -> None:
    """An imported no may have any year; RFC 3339 writes each in four digits."""
    wrong = Provenance("old-crm", Method.IMPORT, said_at=datetime(999, 5, 5, tzinfo=UTC))
    report = attrs.evolve(report_of([], LAST_OF_MARCH), entries=count_entries([entry(e.Withdrawn("surveys"), wrong)]))
    assert json.loads(report.to_json())["imports"] == [word("surveys", None, "0999-05", 0, 1)]
    assert 'datetime="0999-05"' in report.to_html()


def test_the_fold_keeps_nobody() -> None:
    """What is counted has no user: two ledgers of the same words by others are equal."""
    history = opened(e.Granted("surveys", "n"), e.RequestFiled("q", "access"))
    other = Person(fold_again("somebody-else", history), [attrs.evolve(it, user_id="x") for it in history.entries])
    assert report_of([person(history)], history.at) == report_of([other], history.at)


def fold_again(user_id: str, history: History) -> Any:
    """The record of another user to whom the same happened."""
    record = unopened(user_id)
    for it in history.entries:
        record = fold(record, attrs.evolve(it, user_id=user_id))
    return record
