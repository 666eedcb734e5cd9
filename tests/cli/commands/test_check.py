"""`diijam-consent check`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from diijam_consent_sdk.cli.options import ASKS, AskOptions, parse_ask
from diijam_consent_sdk.decisions import Ask, Market, Process, Retain, Share, Show
from diijam_consent_sdk.events import (
    AccountOpened,
    Agreed,
    Granted,
    HoldPlaced,
    Notified,
    Provenance,
    Published,
    Withdrawn,
)
from diijam_consent_sdk.vocabulary import Field
from tests.cli.conftest import MAILABLE, Cli, Ledger

ODD_IDS = [
    "--x",
    "-",
    "--",
    "-5",
    "--help",
    "--version",
    "--url",
    "..",
    "an id with spaces",
    "Nguyễn Văn A",
    "[bold]",
    "a/b",
]


def test_allowed(mailable: Ledger, cli: Cli) -> None:
    """A yes says why, under which clause, what it rests on and as of when, and exits 0."""
    result = cli("check", "u-1", "market", "email")
    lines = dict(line.split(None, 1) for line in result.out.splitlines())
    assert (result.status, result.err) == (0, "")
    assert lines.pop("evidence").startswith("Consent given_at=")
    assert datetime.fromisoformat(lines.pop("as_of")).utcoffset() is not None
    assert lines == {
        "answer": "allowed",
        "reason": "consented",
        "clause": "4 (What data is used for)",
        "message": "You consented to this purpose.",
        "entry": "2, said here",
        "version": "2",
    }


def test_denied(mailable: Ledger, cli: Cli) -> None:
    """A no exits 1 and rests on no evidence."""
    result = cli("check", "u-1", "market", "call")
    assert (result.status, result.err) == (1, "")
    assert "answer    denied\nreason    not_consented\n" in result.out
    assert "evidence  none\nentry     none\n" in result.out


def test_imported(mailable: Ledger, cli: Cli) -> None:
    """What was imported says when it was said, as its importer claims."""
    said = Provenance(method="import", said_at=datetime(2024, 5, 1, tzinfo=UTC))
    mailable.record("u-1", Granted("surveys", "old"), provenance=said)
    result = cli("check", "u-1", "process", "surveys")
    assert "entry     3, imported: said at 2024-05-01T07:00:00+07:00, as the importer claims\n" in result.out
    assert json.loads(cli("check", "u-1", "process", "surveys", "--json").out)["said_at"] == "2024-05-01T00:00:00Z"


def test_as_of_a_past_moment(mailable: Ledger, cli: Cli) -> None:
    """--at gives the answer of that moment, with its version; any time zone will do."""
    granted = json.loads(cli("history", "u-1", "--json").out.splitlines()[1])["at"]
    mailable.record("u-1", Withdrawn("marketing"))
    at = datetime.fromisoformat(granted).astimezone(timezone(timedelta(hours=-5))).isoformat()
    result = cli("check", "u-1", "market", "email", "--at", at)
    assert (result.status, result.err) == (0, "")
    assert "reason    consented\n" in result.out
    assert "version   2\n" in result.out
    found = json.loads(cli("check", "u-1", "market", "email", "--at", at, "--json").out)
    assert datetime.fromisoformat(found["as_of"]) == datetime.fromisoformat(granted)
    assert cli("check", "u-1", "market", "email").status == 1


def test_unknown_user(mailable: Ledger, cli: Cli) -> None:
    """A customer nobody knows is a no, not an error."""
    result = cli("check", "nobody", "show", "avatar")
    assert (result.status, "reason    unknown_user" in result.out) == (1, True)


def test_in_vietnamese(mailable: Ledger, cli: Cli) -> None:
    """With --lang vi the message and the clause's title are Vietnamese."""
    out = cli("check", "u-1", "market", "email", "--lang", "vi").out
    assert "message   Bạn đã đồng ý cho Diijam dùng dữ liệu vào mục đích này.\n" in out
    assert "(Mục đích sử dụng dữ liệu)\n" in out


def test_as_json(mailable: Ledger, cli: Cli) -> None:
    """With --json the whole answer is one JSON object."""
    result = cli("check", "--json", "u-1", "market", "email")
    found = json.loads(result.out)
    assert found["evidence"].pop("given_at") < found.pop("as_of")
    assert found == {
        "allowed": True,
        "reason": "consented",
        "clause": 4,
        "clause_title": "What data is used for",
        "message": "You consented to this purpose.",
        "evidence": {
            "type": "Consent",
            "purpose": "marketing",
            "channel": "email",
            "notice": "promo",
            "expires_at": None,
            "withdrawn_at": None,
            "entry_version": 2,
            "said_at": None,
        },
        "entry_version": 2,
        "said_at": None,
        "version": 2,
    }


def test_denied_as_json(mailable: Ledger, cli: Cli) -> None:
    """A no as JSON has null for evidence, and still exits 1."""
    result = cli("check", "u-1", "show", "email", "--json")
    assert (result.status, json.loads(result.out)["evidence"]) == (1, None)


@pytest.mark.parametrize(
    ("words", "options", "ask"),
    [
        pytest.param(("market", "email"), {}, Market("email"), id="market"),
        pytest.param(
            ("market", "call"), {"data": ["gender", "phone"]}, Market("call", {"gender", "phone"}), id="market-data"
        ),
        pytest.param(
            ("share", "acme"),
            {"purpose": "marketing", "data": ["email"]},
            Share("acme", {"email"}, "marketing"),
            id="share",
        ),
        pytest.param(("show", "avatar"), {}, Show("avatar"), id="show"),
        pytest.param(("process", "surveys"), {}, Process("surveys"), id="process-any-data"),
        pytest.param(("process", "surveys"), {"data": ["email"]}, Process("surveys", {"email"}), id="process-data"),
        pytest.param(("process", "surveys"), {"no_data": True}, Process("surveys", ()), id="process-no-data"),
        pytest.param(("retain", "payment"), {}, Retain("payment"), id="retain"),
    ],
)
def test_every_ask(words: tuple[str, str], options: dict[str, object], ask: Ask) -> None:
    """Every ask can be typed."""
    assert parse_ask(*words, AskOptions(**options)) == ask  # type: ignore[arg-type]


def test_every_ask_has_a_name() -> None:
    """The names are those of the five asks."""
    assert set(ASKS) == {"process", "market", "share", "show", "retain"}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("sell email", "unknown ask 'sell'; known: process, market, share, show, retain"),
        ("market", "what about? Write: market CHANNEL"),
        ("market fax", "unknown Channel 'fax'; known: email, notification, message, call"),
        ("market email --data shoe_size", "unknown Field 'shoe_size'; known: full_name, "),
        ("market email --data ''", "unknown Field ''; known: full_name, "),
        ("market email --purpose marketing", "market has no --purpose; it has: --data"),
        ("market email --no-data", "market has no --no-data: only process has"),
        ("share acme --data email", "share needs --purpose"),
        ("share acme", "share needs --data and --purpose"),
        ("share '' --data email --purpose surveys", "an id has 1 to 256 characters, not 0"),
        ("share acme --data email --purpose greed", "unknown Purpose 'greed'; known: service_improvement, "),
        ("show avatar --data email", "show has no --data; it has: no options"),
        ("show smile", "unknown Field 'smile'; known: "),
        ("process marketing", "marketing goes over a channel, so write: market CHANNEL"),
        ("process surveys --data email --no-data", "either --data or --no-data"),
        ("retain payment --purpose surveys", "retain has no --purpose; it has: no options"),
        ("market email --lang fr", "--lang"),
        ("market email --at 2026-03-03T12:00:00", "--at '2026-03-03T12:00:00' names no time zone: write it like"),
        ("market email --at yesterday", "--at 'yesterday' is no time: write it like"),
        ("market email --at 2999-01-01T00:00:00+07:00", "at is in the future by the store's clock"),
        ("market email --colour", "Unknown option: --colour"),
        ("market email more", "1 more than it takes: 'more': see diijam-consent check --help"),
        ("market email --data", "error: --data needs a value: see diijam-consent check --help"),
        ("", "error: ASK is missing: see diijam-consent check --help"),
    ],
)
def test_wrong_words(mailable: Ledger, cli: Cli, arguments: str, error: str) -> None:
    """What cannot be meant is one line on standard error that names what can, and exits 2."""
    words = [word.strip("'") for word in arguments.split()]
    result = cli("check", "u-1", *words)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("error: ")
    assert error in result.err


@pytest.mark.parametrize("user_id", ODD_IDS)
def test_odd_ids(ledger: Ledger, cli: Cli, user_id: str) -> None:
    """Any id that the library takes can be typed, behind -- if it begins with a hyphen."""
    assert cli("record", "--", user_id, "AccountOpened").status == 0
    assert "reason    in_service" in cli("check", "--", user_id, "retain", "email").out
    assert "AccountOpened" in cli("history", "--", user_id).out


def test_the_hyphen_is_explained(mailable: Ledger, cli: Cli) -> None:
    """An odd id without -- before it is an error that names the --."""
    assert "an id that begins with - goes after --" in cli("check", "--x", "market", "email").err


@pytest.mark.parametrize(
    "user_id",
    ["", "x" * 300, "a\nb", "a\x1b[31mb", "a\x00b", "a\udcffb"],
    ids=["empty", "long", "lf", "esc", "nul", "surrogate"],
)
@pytest.mark.parametrize(
    "command", [["check", "{}", "show", "avatar"], ["history", "{}"], ["record", "{}", "AccountOpened"]]
)
def test_hostile_ids(ledger: Ledger, cli: Cli, command: list[str], user_id: str) -> None:
    """What can be no id is refused before a ledger is looked for or made, and never printed."""
    result = cli(*(word.replace("{}", user_id) for word in command))
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: an id ")
    assert not ledger.path.exists()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["share", "acme", "--data", "email", "--purpose", "surveys"], "Notice"),
        (["process", "debt_settlement", "--data", "payment"], "Hold"),
    ],
)
def test_evidence(ledger: Ledger, cli: Cli, arguments: list[str], kind: str) -> None:
    """Evidence that holds sets of fields is spelled out as words."""
    told = Notified(notice="n-1", recipient="acme", data={Field.EMAIL, Field.AVATAR}, purpose="surveys")
    hold = HoldPlaced(hold="h-1", kind="debt", data={Field.PAYMENT, Field.EMAIL})
    ledger.record("u-1", AccountOpened(), told)
    ledger.record("u-1", Agreed(notice="n-1"), hold)
    out = cli("check", "u-1", *arguments).out
    assert f"evidence  {kind} " in out
    assert " data=avatar,email " in out or " data=email,payment " in out


def test_no_evidence_needed(ledger: Ledger, cli: Cli) -> None:
    """A yes that needs no evidence has none."""
    ledger.record("u-1", AccountOpened(), Published("avatar"))
    assert "evidence  none\n" in cli("check", "u-1", "show", "avatar").out


def test_url_option_wins(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """--url names another ledger than the environment's."""
    ledger.record("u-1", *MAILABLE)
    monkeypatch.setenv("DIIJAM_CONSENT_URL", "sqlite:///elsewhere.db")
    assert cli("check", "u-1", "market", "email").status == 2
    assert cli("check", "u-1", "market", "email", "--url", ledger.url).status == 0
