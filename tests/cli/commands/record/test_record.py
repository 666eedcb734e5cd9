"""`diijam-consent record` of one event."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.cli.commands.record.event_options import EventOptions
from diijam_consent_sdk.errors import OutcomeUnknown
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.wire import EVENT_TYPES
from tests.cli.conftest import Cli, Ledger
from tests.cli.fakes import FailingStore

LATER = datetime(2126, 1, 1, tzinfo=UTC)
A_LIFE = [
    ("AccountOpened --origin google", e.AccountOpened("google")),
    (
        "Granted --purpose marketing --notice promo --channel email --channel call --expires-at 2126-01-01T07:00+07:00",
        e.Granted("marketing", notice="promo", channels={"email", "call"}, expires_at=LATER),
    ),
    ("Granted --purpose surveys --notice promo", e.Granted("surveys", notice="promo")),
    ("Withdrawn --purpose marketing --channel email", e.Withdrawn("marketing", channels={"email"})),
    ("Objected --purpose surveys", e.Objected("surveys")),
    ("ObjectionLifted --purpose surveys", e.ObjectionLifted("surveys")),
    ("Restricted --data email --data phone", e.Restricted({"email", "phone"})),
    ("RestrictionLifted --data email", e.RestrictionLifted({"email"})),
    ("Restricted", e.Restricted()),
    ("RestrictionLifted", e.RestrictionLifted()),
    (
        "Notified --notice n-1 --recipient acme --data email --purpose surveys",
        e.Notified("n-1", recipient="acme", data={"email"}, purpose="surveys"),
    ),
    ("Agreed --notice n-1 --expires-at 2126-01-01T00:00:00Z", e.Agreed("n-1", expires_at=LATER)),
    ("AgreementWithdrawn --notice n-1", e.AgreementWithdrawn("n-1")),
    ("Published --field avatar", e.Published("avatar")),
    ("Hidden --field avatar", e.Hidden("avatar")),
    (
        "HoldPlaced --hold h-1 --kind debt --data payment --until 2126-01-01T00:00:00Z",
        e.HoldPlaced("h-1", kind="debt", data={"payment"}, until=LATER),
    ),
    ("HoldReleased --hold h-1", e.HoldReleased("h-1")),
    (
        "RequestFiled --request r-1 --kind erasure --processor --received-at 2026-01-01T07:00:00+07:00",
        e.RequestFiled("r-1", kind="erasure", processor=True, received_at=datetime(2026, 1, 1, tzinfo=UTC)),
    ),
    ("RequestReplied --request r-1", e.RequestReplied("r-1")),
    ("RequestFiled --request r-2 --kind access", e.RequestFiled("r-2", kind="access")),
    ("RequestExtended --request r-2 --reason archive", e.RequestExtended("r-2", "archive")),
    ("RequestResolved --request r-1 --outcome cancelled", e.RequestResolved("r-1", outcome="cancelled")),
    ("AccountClosed", e.AccountClosed()),
    ("ErasureConfirmed --holder mailer", e.ErasureConfirmed("mailer")),
    ("Erased --anonymised", e.Erased(anonymised=True)),
]


def test_prints_where_it_stands(ledger: Ledger, cli: Cli) -> None:
    """One event makes the database, and prints version, position and the token of the write."""
    assert not ledger.path.exists()
    assert cli("record", "u-0", "AccountOpened").status == 0
    result = cli("record", "u-1", "AccountOpened")
    store = SqliteStore(ledger.path)
    head = store.load([]).cursor
    store.close()
    assert (result.status, result.err) == (0, "")
    assert result.out == f"version   1\nposition  2\ntoken     {head}\n"


def test_every_event(ledger: Ledger, cli: Cli) -> None:
    """Every event can be typed, and what was typed is what is recorded."""
    recorded = []
    assert cli("holder", "add", "mailer").status == 0
    for words, _ in A_LIFE:
        assert cli("record", "u-1", *words.split()).err == ""
        store = SqliteStore(ledger.path)
        recorded.append(store.history("u-1")[-1].event)
        store.close()
    assert recorded == [event for _, event in A_LIFE]
    assert {type(event).__name__ for event in recorded} == set(EVENT_TYPES)


def test_options_are_the_fields_of_events() -> None:
    """The command has an option for every field that an event has, and no other."""
    fields = {field.name for kind in EVENT_TYPES.values() for field in attrs.fields(kind)}
    assert {field.name for field in attrs.fields(EventOptions)} == fields


SAID = "--method call --evidence call-7 --language vi-VN"
PROVENANCES = [
    ("", e.Provenance("cli")),
    (SAID, e.Provenance("cli", "call", "call-7", "vi-VN")),
    ("--actor u7 --method staff", e.Provenance("u7", "staff")),
    (
        "--method import --said-at 2025-03-01T07:00:00+07:00",
        e.Provenance("cli", "import", said_at=datetime(2025, 3, 1, tzinfo=UTC)),
    ),
]


@pytest.mark.parametrize(("options", "provenance"), PROVENANCES)
def test_the_ledger_keeps_who_wrote_it_and_how_it_was_said(
    ledger: Ledger, cli: Cli, options: str, provenance: e.Provenance
) -> None:
    """The options are the entry's provenance, whose writer is the command line unless --actor names another."""
    assert cli("record", "u-1", "AccountOpened", *options.split()).status == 0
    with closing(SqliteStore(ledger.path)) as store:
        assert [entry.provenance for entry in store.history("u-1")] == [provenance]


def test_the_actor_comes_from_the_environment(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """DIIJAM_CONSENT_ACTOR names the writer of one event and of a file, and --actor beats it."""
    monkeypatch.setenv("DIIJAM_CONSENT_ACTOR", "night-shift")
    (ledger.path.parent / "e.jsonl").write_text('{"user_id": "u-1", "event": {"type": "Restricted"}}\n')
    assert cli("record", "u-1", "AccountOpened").status == 0
    assert cli("record", "--file", str(ledger.path.parent / "e.jsonl")).status == 0
    assert cli("record", "u-1", "AccountClosed", "--actor", "day-shift").status == 0
    with closing(SqliteStore(ledger.path)) as store:
        writers = [entry.provenance.by for entry in store.history("u-1")]
    assert writers == ["night-shift", "night-shift", "day-shift"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("", "what happened to whom? Write: record USER_ID EVENT, or record --file events.jsonl"),
        ("u-1", "what happened to whom?"),
        ("u-1 granted", "unknown event 'granted'; known: AccountOpened, AccountClosed, Granted, "),
        ("u-1 Granted", "Granted needs --purpose and --notice"),
        ("u-1 Granted --purpose surveys --field avatar --notice n", "Granted has no --field; it has: --purpose, --not"),
        ("u-1 AccountClosed --origin direct", "AccountClosed has no --origin; it has: no options"),
        ("u-1 AccountClosed --anonymised", "AccountClosed has no --anonymised"),
        ("u-1 Granted --purpose greed --notice n", "unknown Purpose 'greed'; known: service_improvement, "),
        ("u-1 Granted --purpose surveys --notice ''", "an id has 1 to 256 characters"),
        ("u-1 AccountOpened --origin myspace", "unknown Origin 'myspace'; known: direct, facebook, google"),
        (
            "u-1 Agreed --notice n --expires-at soon",
            "--expires-at 'soon' is no time: write it like 2027-01-31T00:00:00",
        ),
        ("u-1 Agreed --notice n --expires-at 2126-01-01", "--expires-at '2126-01-01' names no time zone: write it"),
        (
            "u-1 AccountOpened --expected-version some",
            'Invalid value for --expected-version: "some" is no whole number',
        ),
        ("u-1 AccountOpened --method pigeon", "unknown Method 'pigeon'; known: app, web, link, "),
        ("u-1 AccountOpened --method import", "--method import and --said-at go together"),
        ("u-1 AccountOpened --said-at 2026-01-01T00:00:00Z", "--method import and --said-at go together"),
        ("u-1 AccountOpened --method app --said-at 2026-01-01T00:00:00Z", "--method import and --said-at go together"),
        ("u-1 AccountOpened --method import --said-at 2026-01-01", "--said-at '2026-01-01' names no time zone"),
        ("u-1 AccountOpened --language Vietnamese!", "a language is a BCP 47 tag"),
        ("u-1 AccountOpened --actor ''", "an id has 1 to 256 characters"),
        ("u-1 AccountOpened --label x", "--label goes with --file"),
        ("u-1 AccountOpened --idempotency-key ''", "an id has 1 to 256 characters"),
        ("u-1 --file x.jsonl", "--file takes users, events and provenance from the file"),
        ("--file x.jsonl --method app", "--file takes users, events and provenance from the file"),
        ("--file x.jsonl --purpose surveys", "--file takes users, events and provenance from the file"),
    ],
)
def test_wrong_words(ledger: Ledger, cli: Cli, arguments: str, error: str) -> None:
    """What cannot be meant is one line on standard error, exits 2, and makes no database."""
    result = cli("record", *(word.strip("'") for word in arguments.split()))
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("error: ")
    assert error in result.err
    assert not ledger.path.exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("AccountOpened", "the account is open already"),
        ("Published --field email", "email is never public"),
        ("Granted --purpose marketing --notice promo", "consent to marketing names its channels"),
        ("Agreed --notice unheard", "this notice was not told beforehand"),
        ("Agreed --notice unheard --expires-at 2020-01-01T00:00:00Z", "expires_at or until is not in the future"),
    ],
)
def test_refused(mailable: Ledger, cli: Cli, words: str, why: str) -> None:
    """An event that the policy refuses is an error with the reason, and nothing is written."""
    result = cli("record", "u-1", *words.split())
    assert (result.status, result.out) == (2, "")
    assert why in result.err
    assert mailable.entries() == 2


def test_expected_version(mailable: Ledger, cli: Cli) -> None:
    """With --expected-version a record that moved on is not written to."""
    result = cli("record", "u-1", "AccountClosed", "--expected-version", "1")
    assert (result.status, mailable.entries()) == (2, 2)
    assert result.err == "error: expected version 1, the record is at 2: load it again, then retry\n"
    assert cli("record", "u-1", "AccountClosed", "--expected-version", "2").status == 0


def test_idempotency_key(mailable: Ledger, cli: Cli) -> None:
    """The same key and event again give the same answer and write nothing; with another event it is an error."""
    words = ["record", "u-1", "--idempotency-key", "call-4711", "Objected", "--purpose"]
    first, again = cli(*words, "surveys"), cli(*words, "surveys")
    assert (again, mailable.entries()) == (first, 3)
    yes = cli("record", "u-1", "--idempotency-key", "call-4711", "Granted", "--purpose", "surveys", "--notice", "n-1")
    assert (yes.status, mailable.entries()) == (2, 3)
    assert "used with other events" in yes.err
    assert (cli(*words, "contests").status, mailable.entries()) == (0, 4)


@pytest.mark.parametrize(
    ("failure", "status"),
    [(OutcomeUnknown("the disk failed during the commit", "k"), 2), (KeyboardInterrupt(), 130)],
    ids=["disk", "ctrl-c"],
)
def test_unknown_outcome(
    cli: Cli, failing: FailingStore, monkeypatch: pytest.MonkeyPatch, failure: BaseException, status: int
) -> None:
    """When the outcome is unknown, the error names the key with which the same command is safe."""
    failing.failures["append"] = failure
    monkeypatch.setattr("uuid.uuid4", lambda: UUID(int=7))
    result = cli("record", "u-1", "AccountOpened", "--url", "a:")
    assert (result.status, result.out) == (status, "")
    key = "00000000000000000000000000000007"
    assert f"may have been written: run the same command with --idempotency-key {key} to be sure" in result.err


def test_token_is_passed_on(cli: Cli, failing: FailingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that asks for a token gets the environment's, and no error shows it."""
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", "s3cret")
    result = cli("record", "u-1", "AccountOpened", "--url", "https://consent.example/")
    assert result.status == 0
    assert failing.opened_with == {
        "token": "s3cret",
        "deadline": 10.0,
        "busy_seconds": 5.0,
        "create": True,
        "insecure_hosts": frozenset(),
    }
    assert "s3cret" not in result.out + result.err
