"""`diijam-consent report`."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk.cli.commands.report.reading import read_report
from diijam_consent_sdk.errors import ConsentError, HistoryChanged, StoreUnavailable, StoreUnusable
from diijam_consent_sdk.events import (
    AccountClosed,
    AccountOpened,
    Erased,
    ErasureConfirmed,
    Event,
    Granted,
    LedgerEntry,
    Notified,
    RequestFiled,
    Withdrawn,
)
from diijam_consent_sdk.record import ConsentRecord, fold, unopened
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.standing import EVERY_ASK, standing_of
from diijam_consent_sdk.stores import MemoryStore, Store
from diijam_consent_sdk.stores.answers import Cursor, Entries, OpenRequests, StandingRow, StandingsPage
from diijam_consent_sdk.stores.standings import encode_standing
from diijam_consent_sdk.testing import unreachable
from tests.cli.conftest import MAILABLE, Cli, Ledger
from tests.cli.fakes import FailingStore, Terminal
from tests.memory import peak_of
from tests.service.conftest import running

NOW = datetime(2026, 3, 3, tzinfo=UTC)
START = Cursor("epoch", 0, "00" * 32)
ASKING = 20  # one user of so many asks for erasure


@pytest.mark.parametrize(
    ("lang", "title"),
    [([], "Báo cáo về dữ liệu khách hàng"), (["--lang", "en"], "Report on customers&#x27; data")],
)
def test_both_forms_are_written(mailable: Ledger, cli: Cli, tmp_path: Path, lang: list[str], title: str) -> None:
    """One run writes the page, in Vietnamese unless another language is named, and the JSON; nobody else may read."""
    (tmp_path / "report.json").write_text("old", encoding="utf-8")
    result = cli("report", "--html", "report.html", "--json", "report.json", *lang)
    assert (result.status, result.out, result.err) == (0, "", "")
    assert f"<h1>{title}</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (found["entries"], found["users"]["open"]) == (2, 1)
    assert {stat.S_IMODE((tmp_path / f"report.{form}").stat().st_mode) for form in ("html", "json")} == {0o600}


def test_one_form_may_be_printed(mailable: Ledger, cli: Cli, tmp_path: Path) -> None:
    """A - is standard output; a form that is not named is not written."""
    before = sorted(tmp_path.iterdir())
    assert json.loads(cli("report", "--json", "-").out)["entries"] == 2
    assert cli("report", "--html", "-").out.startswith("<!doctype html>\n")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "what to write? Give --html report.html, --json report.json, or both"),
        (["--html", "r", "--json", "./r"], "--html and --json are the same output"),
        (["--html", "-", "--json", "-"], "--html and --json are the same output"),
        (["--html", "nowhere/r.html"], "nowhere/r.html"),
        (["--html", "r.html", "--lang", "fr"], "--lang"),
    ],
)
def test_wrong_words(mailable: Ledger, cli: Cli, tmp_path: Path, arguments: list[str], error: str) -> None:
    """What cannot be meant or written is one line of error, and leaves no file behind."""
    before = sorted(tmp_path.iterdir())
    result = cli("report", *arguments)
    assert (result.status, result.out) == (2, "")
    assert error in result.err
    assert sorted(tmp_path.iterdir()) == before


def test_nobody_is_named(ledger: Ledger, cli: Cli, tmp_path: Path) -> None:
    """No id of a customer, request, hold or evidence is in either form, whatever became of the customer."""
    ledger.record("secret-1", *MAILABLE, RequestFiled("secret-q", "access"))
    ledger.record("secret-2", AccountOpened(), AccountClosed(), Erased())
    ledger.record("secret-3", Withdrawn("surveys"))
    assert cli("report", "--html", "r.html", "--json", "r.json").status == 0
    for name in ("r.html", "r.json"):
        assert "secret" not in (tmp_path / name).read_text(encoding="utf-8")
    users = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["users"]
    assert users == {"unknown": 1, "open": 1, "closed": 0, "erased": 1}


def test_an_outage_leaves_both_files_alone(failing: FailingStore, cli: Cli, tmp_path: Path) -> None:
    """What could not be read is not written."""
    for name in ("r.html", "r.json"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    failing.failures["list_standings"] = unreachable()
    result = cli("report", "--html", "r.html", "--json", "r.json", "--url", "https://consent.example/")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert {(tmp_path / name).read_text(encoding="utf-8") for name in ("r.html", "r.json")} == {"old"}


def test_over_http(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a consent service the report is the same; a token that may not read all of it is told why."""
    tokens, store = tmp_path / "tokens.json", MemoryStore()
    store.append("u-1", MAILABLE)
    answers: dict[str, Any] = {}
    scopes = {
        "whole": [Scope.READ, Scope.LIST, Scope.ASK], "narrow": [Scope.READ, Scope.LIST, Scope.ASK_MARKETING],
        "blind": [Scope.LIST, Scope.ASK], "deaf": [Scope.READ, Scope.ASK],
    }  # fmt: skip
    secrets = {name: new_token(tokens, name, given) for name, given in scopes.items()}
    service = running(store, tokens)
    try:
        for name, secret in secrets.items():
            monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", secret)
            answers[name] = cli("report", "--json", "-", "--url", service.url)
    finally:
        service.stop()
    assert json.loads(answers["whole"].out)["entries"] == 2
    assert {answers[name].status for name in ("narrow", "blind", "deaf")} == {2}
    for name, lacking in ("narrow", "ask:analytics"), ("blind", "read"), ("deaf", "list"):
        assert lacking in answers[name].err
        assert answers[name].out == ""


def test_a_registered_sharing_is_asked_about() -> None:
    """Each sharing that a registered notice names is an ask of the report, for each of its purposes."""
    store = MemoryStore()
    text = NoticeText("n-1", {"vi": "Chia sẻ?"}, {"marketing", "surveys"}, {"username"}, "acme-records")
    store.register_notice(text)
    store.register_notice(NoticeText("n-2", {"vi": "Ưu đãi?"}, {"marketing"}))
    store.append("u-1", [AccountOpened(), Notified("n-1", "acme-records", ["username"], "surveys")])
    rows = [row for row in json.loads(read_report(store).to_json())["answers"] if row["ask"] == "share"]
    assert [(row["recipient"], row["purpose"]) for row in rows] == [
        ("acme-records", "marketing"), ("acme-records", "surveys"),
    ]  # fmt: skip
    assert {row["answers"][0]["reason"] for row in rows} == {"not_agreed"}


def test_page_after_page_is_read() -> None:
    """Users, entries and requests of all pages are counted, each once."""
    inner = MemoryStore()
    for number in range(7):
        inner.append(f"u-{number}", [AccountOpened(), Granted("surveys", "n"), RequestFiled("q", "access")])
    small = cast("Store", SmallPages(inner))
    assert read_report(small).to_json().splitlines()[2:] == read_report(inner).to_json().splitlines()[2:]
    assert read_report(small).work.requests.states.total() == 7


def test_an_erasure_that_waits_for_a_holder_is_held() -> None:
    """It may not be done now, though no hold keeps the data."""
    store = MemoryStore()
    store.register_holder("mailer")
    store.append("u-1", [AccountOpened(), RequestFiled("q-1", "erasure")])
    store.append("u-2", [RequestFiled("q-1", "erasure"), ErasureConfirmed("mailer")])
    counts = read_report(store).work.erasures
    assert (counts.held.total(), counts.erasable.total(), counts.holds.total()) == (1, 1, 0)


class SmallPages:
    """A store that gives two at once."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._inner, name)
        if name == "holders":  # which has no pages
            return method
        return lambda *args, **options: method(*args[:1], **{**options, "limit": 2})


def asking(*events: Event) -> ConsentRecord:
    """The record of a user to whom this happened."""
    record = unopened("u-1")
    for version, event in enumerate(events, start=1):
        record = fold(record, LedgerEntry(version, "u-1", version, NOW, event))
    return record


ERASING = asking(AccountOpened(), RequestFiled("q-1", "erasure"))
STANDINGS = [encode_standing(standing_of(record, NOW)) for record in (asking(AccountOpened()), ERASING)]


@attrs.frozen
class Crowd:
    """
    A store of many users, made as they are read: each opened an account, and some ask for erasure.

    `users_page` and `entries_page` change the pages of standings and of entries.
    """

    users: int
    users_page: Callable[[StandingsPage], StandingsPage] = lambda page: page
    entries_page: Callable[[Entries], Entries] = lambda page: page
    cursor: Cursor = attrs.field(init=False, default=START)

    def _ids(self, after: int, limit: int) -> range:
        return range(after + 1, min(after + limit, self.users) + 1)

    def at(self, position: int) -> Cursor:
        """A place in the ledger."""
        return attrs.evolve(self.cursor, position=position)

    def list_standings(self, after: str | None, limit: int = 1000) -> StandingsPage:
        """See `Store.list_standings`."""
        ids = self._ids(0 if after is None else int(after[2:]), limit)
        rows = tuple(StandingRow(f"u-{number:08}", 2, STANDINGS[number % ASKING == 0]) for number in ids)
        following = rows[-1].user_id if rows and ids[-1] < self.users else None
        return self.users_page(StandingsPage(self.at(self.users), NOW, EVERY_ASK, rows, following))

    def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        found = tuple(
            LedgerEntry(number, f"u-{number:08}", 1, NOW, AccountOpened())
            for number in self._ids(after.position, limit)
        )
        last = found[-1].position
        return self.entries_page(Entries(after, self.at(last), found, complete=last == self.users))

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        ids = self._ids(0 if after is None else int(after[2:]), limit)
        records = tuple(attrs.evolve(ERASING, user_id=f"u-{number:08}") for number in ids if number % ASKING == 0)
        return OpenRequests(NOW, records, f"u-{ids[-1]:08}" if ids[-1] < self.users else None)

    def notices(self, after: str | None = None) -> list[Any]:
        """See `Store.notices`."""
        return []

    def holders(self) -> list[Any]:
        """See `Store.holders`."""
        return []


def report_on(users: int) -> None:
    """Make a report on a crowd of so many."""
    report = read_report(cast("Store", Crowd(users)))
    assert report.entries.users == sum(report.answers.accounts.values()) == users
    assert report.work.requests.states.total() == users // ASKING


def test_memory_stays_the_same_however_many_users_there_are() -> None:
    """Twenty thousand users take no more memory than two thousand: a page, and the counters."""
    assert peak_of(partial(report_on, 20_000)) < 1.1 * peak_of(partial(report_on, 2_000))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            lambda page: attrs.evolve(page, cursor=attrs.evolve(page.cursor, epoch="other"), entries=()),
            HistoryChanged, "make the report again",
        ),
        (lambda page: attrs.evolve(page, cursor=page.after, entries=()), StoreUnavailable, "lags"),
    ],
    ids=["another history", "a store that lags"],
)  # fmt: skip
def test_a_ledger_that_cannot_be_read_to_its_head_is_an_error(
    change: Callable[[Entries], Entries], error: type[ConsentError], words: str
) -> None:
    """A page of another history, or none where there must be more, ends the report, with what to do."""
    with pytest.raises(error, match=words):
        read_report(cast("Store", Crowd(3, entries_page=change)))


def test_a_standing_that_is_none_is_an_error() -> None:
    """Bytes that are no standing make no number."""
    broken = StandingRow("u-1", 1, b"{}")
    crowd = Crowd(3, lambda page: attrs.evolve(page, users=(broken,)))
    with pytest.raises(StoreUnusable, match="standings cannot be read"):
        read_report(cast("Store", crowd))


def test_what_comes_meanwhile_is_not_counted_by_month() -> None:
    """The entries are those down to the head that the report names."""
    growing = Crowd(5, lambda page: attrs.evolve(page, cursor=attrs.evolve(page.cursor, position=2)))
    report = read_report(cast("Store", growing))
    assert (report.entries.entries, report.head.split(".")[1]) == (2, "2")


def test_progress_is_shown_on_a_terminal(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error has a bar where it is a terminal, and is empty elsewhere."""
    terminal = Terminal()
    assert cli("report", "--json", "-").err == ""
    monkeypatch.setattr("sys.stderr", terminal)
    assert cli("report", "--json", "-").status == 0
    assert "reading entries" in terminal.getvalue()
