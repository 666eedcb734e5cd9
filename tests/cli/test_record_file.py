"""`diijam-consent record --file`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.cli.commands.record.event_file import UserEvents
from diijam_consent_sdk.cli.input import MAX_LINE_BYTES
from diijam_consent_sdk.errors import StoreUnavailable
from tests.cli.conftest import MAILABLE, Cli, Ledger
from tests.cli.fakes import FailingStore, Feed, Terminal, then

OPENED = {"type": "AccountOpened"}
WITHDRAWN = {"type": "Withdrawn", "purpose": "marketing"}
PUBLISHED = {"type": "Published", "field": "avatar"}


def line(user_id: object, event: object) -> bytes:
    """A line of an event file."""
    return json.dumps({"user_id": user_id, "event": event}, ensure_ascii=False).encode() + b"\n"


def summary(written: int, known: int, refused: int) -> str:
    """What the command says in the end."""
    return f"written        {written:>9,} users\nalready there  {known:>9,} users\nrefused        {refused:>9,} users\n"


def test_many_users(ledger: Ledger, cli: Cli) -> None:
    """The lines of each user are recorded in their order, from a file as from standard input."""
    grant = {"type": "Granted", "purpose": "marketing", "notice": "promo", "channels": ["email"]}
    data = line("u-1", OPENED) + line("Nguyễn Văn A", OPENED) + line("u-1", grant) + line("u-1", WITHDRAWN)
    result = cli("record", "--file", "-", stdin=data)
    assert (result.status, result.out, result.err) == (0, summary(2, 0, 0), "")
    words = [json.loads(entry)["event"]["type"] for entry in cli("history", "u-1", "--json").out.splitlines()]
    assert words == ["AccountOpened", "Granted", "Withdrawn"]
    assert cli("history", "Nguyễn Văn A").out.count("\n") == 2


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + line("u-1", OPENED),
        line("u-1", OPENED).replace(b"\n", b"\r\n"),
        line("u-1", OPENED).rstrip(),
        b"\n  \n" + line("u-1", OPENED) + b"\n",
        b' { "event" : {"type" :"AccountOpened", "origin": "direct"}, "user_id": "u-1"}',
    ],
    ids=["bom", "crlf", "no-last-lf", "blank-lines", "spelled-otherwise"],
)
def test_spellings(ledger: Ledger, cli: Cli, tmp_path: Path, data: bytes) -> None:
    """However a file is spelled, the same events are the same batch: it is not written twice."""
    (tmp_path / "events.jsonl").write_bytes(data)
    assert cli("record", "--file", "events.jsonl").out == summary(1, 0, 0)
    assert cli("record", "--file", "-", stdin=line("u-1", OPENED)).out == summary(0, 1, 0)
    assert ledger.entries() == 1


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"NaN", "not JSON: NaN"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"user_id": "secret-id\xff"}', "not UTF-8 at byte 23"),
        (b"[]", "a line holds user_id and event and nothing else"),
        (b'{"user_id": "secret-id"}', "a line holds user_id and event and nothing else"),
        (b'{"user_id": "a", "user_id": "secret-id", "event": {}}', "a name is given twice"),
        (line("secret-id", OPENED)[:-2] + b', "at": 1}', "a line holds user_id and event and nothing else"),
        (line("", OPENED), "an id has 1 to 256 characters, not 0"),
        (line("secret-id" * 99, OPENED), "an id has 1 to 256 characters, not 891"),
        (line("secret-id\u0007", OPENED), "an id holds no control, invisible, private or unassigned characters and no"),
        (b'{"user_id": "\\ud800", "event": {"type": "AccountOpened"}}', "an id holds no control, invisible"),
        (line(7, OPENED), "an id is a string, not int"),
        (line("secret-id", None), "an event is an object whose type is one of AccountOpened, "),
        (line("secret-id", {"type": "Opened"}), "an event is an object whose type is one of AccountOpened, "),
        (line("secret-id", {"type": ["Granted"]}), "an event is an object whose type is one of AccountOpened, "),
        (line("secret-id", {"type": "Granted"}), "Granted needs purpose and notice"),
        (line("secret-id", OPENED | {"at": "now"}), "AccountOpened has no field …; known: origin"),
        (line("secret-id", {"type": "Objected", "purpose": "greed"}), "Objected: unknown Purpose …; known: "),
        (line("a", {"type": "Objected", "purpose": "secret-id" * 9}), "Objected: unknown Purpose …; known: "),
        (line("a", WITHDRAWN | {"channels": ["secret-id"]}), "Withdrawn: unknown Channel …; known: "),
        (line("a", OPENED | {"secret-id" * 9: 1}), "AccountOpened has no field …; known: origin"),
        (line("a", {"type": "Agreed", "notice": "n", "expires_at": "secret-id"}), "Agreed: a time is written as "),
        (line("secret-id", WITHDRAWN | {"channels": "email"}), "Withdrawn: a set of Channel is needed, not str"),
        (line("secret-id", {"type": "Agreed", "notice": "n", "expires_at": "2126-01-01"}), "Agreed: an instant needs"),
        (line("secret-id", {"type": "Agreed", "notice": "n", "expires_at": 5}), "Agreed: "),
        (line("x" * MAX_LINE_BYTES, OPENED), "the line is longer than 1 MiB"),
        (b"\xef\xbb\xbf" + line("x" * MAX_LINE_BYTES, OPENED), "the line is longer than 1 MiB"),
    ],
)  # fmt: skip
def test_malformed(ledger: Ledger, cli: Cli, bad: bytes, why: str) -> None:
    """One malformed line and nothing is written, not even a database; the line is named, its user never."""
    is_first = bad.startswith(b"\xef\xbb\xbf")
    lines = [bad.rstrip(b"\n") + b"\n", line("u-1", OPENED)]
    result = cli("record", "--file", "-", stdin=b"".join(lines if is_first else reversed(lines)))
    assert (result.status, result.out, ledger.path.exists()) == (2, "", False)
    assert result.err.startswith("error: 1 line is malformed, nothing was written: correct, then run the same command")
    assert f"\n  line {1 if is_first else 2}: {why}" in result.err
    assert "secret-id" not in result.err


@pytest.mark.parametrize(
    "data", [line("u-1", OPENED).decode().encode("utf-16"), gzip.compress(line("u-1", OPENED))], ids=["utf-16", "gzip"]
)
def test_a_file_that_is_no_text(ledger: Ledger, cli: Cli, data: bytes) -> None:
    """It is refused by the name of what it is, once and not line by line."""
    result = cli("record", "--file", "-", stdin=data)
    assert (result.status, result.out, ledger.path.exists()) == (2, "", False)
    assert result.err.startswith("error: the input is ")
    assert result.err.count("\n") == 1


def test_joined_files(ledger: Ledger, cli: Cli) -> None:
    """Where files with byte-order marks were joined, the marks are left out."""
    mark = b"\xef\xbb\xbf"
    result = cli("record", "--file", "-", stdin=mark + line("u-1", OPENED) + mark + line("u-2", OPENED))
    assert (result.status, result.out) == (0, summary(2, 0, 0))


def test_many_malformed(ledger: Ledger, cli: Cli) -> None:
    """Of many malformed lines the first 20 are named, and the rest counted."""
    result = cli("record", "--file", "-", stdin=(line("u-1", OPENED) + b"{\n") * 25)
    head, *named = result.err.splitlines()
    assert head.startswith("error: 25 lines are malformed, nothing was written")
    assert [words.split(":")[0] for words in named[:-1]] == [f"  line {number}" for number in range(2, 41, 2)]
    assert named[-1] == "  and 5 more"


def test_refused(mailable: Ledger, cli: Cli) -> None:
    """Users whose events the policy refuses are named by line, all or nothing each; the rest is written."""
    public = {"type": "Published", "field": "email"}
    lines = [
        line("u-2", OPENED),
        line("u-1", WITHDRAWN),
        line("u-1", OPENED),
        line("u-3", OPENED),
        line("u-3", public),
        line("u-1", public),
    ]
    result = cli("record", "--file", "-", stdin=b"".join(lines))
    assert (result.status, result.out) == (2, summary(1, 0, 2))
    assert result.err == (
        "line 3: AccountOpened is refused: the account is open already\n"
        "line 5: Published is refused: email is never public\n"
        "error: the policy refused 2 users, of whom nothing was written: see the lines above\n"
    )
    assert mailable.entries() == 3
    assert cli("check", "u-1", "market", "email").status == 0


def test_refused_while_others_write(cli: Cli, failing: FailingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the record has changed by the time the refusal is explained, the store's own words stand by the first line."""

    def append_late(user_id: str, events: object, **options: object) -> None:
        try:
            FailingStore.append(failing, user_id, events, **options)  # type: ignore[arg-type]
        finally:
            failing.inner.append(user_id, [e.AccountOpened()])

    monkeypatch.setattr(failing, "append", append_late)
    result = cli("record", "--url", "a:", "--file", "-", stdin=b"\n" + line("u-1", PUBLISHED))
    assert result.err.startswith("line 2: event 1 of 1, Published, is refused: the account was never opened")


def test_too_many_events_of_one_user(ledger: Ledger, cli: Cli) -> None:
    """The event after a user's thousandth is named by its line before anything is written."""
    lines = [line("u-1", OPENED), *[line("u-2", WITHDRAWN)] * 1_002]
    result = cli("record", "--file", "-", stdin=b"".join(lines))
    assert result.status == 2
    rest = "one append has at most 1,000 events, and the lines of one user are one: put the rest into a file of its own"
    assert result.err.splitlines()[1:] == [f"  line 1002: {rest}", f"  line 1003: {rest}"]
    assert not ledger.path.exists()
    assert cli("record", "--file", "-", stdin=b"".join(lines[:-2])).status == 0


def test_a_user_is_all_or_nothing(ledger: Ledger, cli: Cli) -> None:
    """Each event of a user is judged after those before it, and one refused takes the whole batch back."""
    lines = [line("u-1", OPENED), line("u-1", {"type": "AccountClosed"}), line("u-1", {"type": "AccountClosed"})]
    result = cli("record", "--file", "-", stdin=b"".join(lines))
    assert (result.status, ledger.entries()) == (2, 0)
    assert result.err.startswith("line 3: AccountClosed is refused: ")


def test_again(ledger: Ledger, cli: Cli) -> None:
    """The same file again writes nothing; with more users in it, only those."""
    first = line("u-1", OPENED) + line("u-1", WITHDRAWN)
    assert cli("record", "--file", "-", stdin=first).out == summary(1, 0, 0)
    result = cli("record", "--file", "-", stdin=first + line("u-2", OPENED))
    assert (result.status, result.out, result.err) == (0, summary(1, 1, 0), "")
    assert ledger.entries() == 3


def test_meant_anew(mailable: Ledger, cli: Cli) -> None:
    """Lines that were written before, and undone since, are told of; with a --label they count anew."""
    assert cli("record", "--file", "-", stdin=line("u-1", WITHDRAWN)).out == summary(1, 0, 0)
    mailable.record("u-1", MAILABLE[1])
    result = cli("record", "--file", "-", stdin=b"\n" + line("u-1", WITHDRAWN))
    assert (result.status, result.out) == (0, summary(0, 1, 0))
    assert "note: 1 of the users already there have changed since these lines were written (lines 2)" in result.err
    assert cli("check", "u-1", "market", "email").status == 0
    labelled = cli("record", "--file", "-", "--label", "tuần 2", stdin=line("u-1", WITHDRAWN))
    assert (labelled.out, labelled.err) == (summary(1, 0, 0), "")
    assert cli("check", "u-1", "market", "email").status == 1


def test_many_changed_since(ledger: Ledger, cli: Cli) -> None:
    """Of many users who changed since, the first 20 lines are named."""
    data = b"".join(line(f"u-{number}", OPENED) for number in range(21))
    cli("record", "--file", "-", stdin=data)
    cli("record", "--file", "-", stdin=data.replace(b"AccountOpened", b"AccountClosed"))
    result = cli("record", "--file", "-", stdin=data)
    assert "note: 21 of the users already there" in result.err
    assert "19, 20, …)" in result.err


def test_erased_since(ledger: Ledger, cli: Cli) -> None:
    """A file that ends a user's life is known again; one that tells of the life before it is refused."""
    life, end = line("u-1", OPENED), line("u-1", {"type": "AccountClosed"}) + line("u-1", {"type": "Erased"})
    assert [cli("record", "--file", "-", stdin=data).out for data in (life, end, end, life)] == [
        summary(1, 0, 0),
        summary(1, 0, 0),
        summary(0, 1, 0),
        summary(0, 0, 1),
    ]
    assert cli("verify").status == 0


def test_empty_file(ledger: Ledger, cli: Cli) -> None:
    """A file with no lines is no error."""
    result = cli("record", "--file", "-")
    assert (result.status, result.out) == (0, summary(0, 0, 0))


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("missing.jsonl", "error: missing.jsonl: No such file or directory: see that the path is right\n"),
        (".", "error: .: Is a directory: name a file\n"),
    ],
)
def test_unreadable_file(ledger: Ledger, cli: Cli, file: str, error: str) -> None:
    """A file that cannot be read is named, and no database made."""
    assert cli("record", "--file", file).err == error
    assert not ledger.path.exists()


def test_keys_differ() -> None:
    """Another user, label, event, or order of events is another batch."""
    opened, closed = e.AccountOpened(), e.AccountClosed()
    keys = {
        UserEvents("u-1", [], [opened, closed]).key(""),
        UserEvents("u-2", [], [opened, closed]).key(""),
        UserEvents("u-1", [], [opened, closed]).key("again"),
        UserEvents("u-1", [], [opened]).key(""),
        UserEvents("u-1", [], [closed, opened]).key(""),
    }
    assert len(keys) == 5


def test_the_store_fails_on_the_way(cli: Cli, failing: FailingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails in the middle ends the command, which says how far it came and that it can be run again."""
    original = failing.append

    def append_once(user_id: str, events: object, **options: object) -> object:
        appended = original(user_id, events, **options)  # type: ignore[arg-type]
        failing.failures["append"] = StoreUnavailable("the disk is full, nothing was written")
        return appended

    monkeypatch.setattr(failing, "append", append_once)
    monkeypatch.setenv("DIIJAM_CONSENT_URL", "a:")
    data = b"".join(line(f"u-{number}", OPENED) for number in range(3))
    result = cli("record", "--file", "-", stdin=data)
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "error: the disk is full, nothing was written; of 3 users 1 were written, 0 were already there, 0 were refused,"
        " 2 are left: run the same command again to finish\n"
    )
    failing.failures.clear()
    monkeypatch.setattr(failing, "append", original)
    assert cli("record", "--file", "-", stdin=data).out == summary(2, 1, 0)


def test_interrupted_while_reading(ledger: Ledger, cli: Cli) -> None:
    """Ctrl-C before the file was read leaves nothing behind, and says so."""
    result = cli("record", "--file", "-", stdin=Feed(then(KeyboardInterrupt(), line("u-1", OPENED))))
    assert (result.status, result.err, ledger.path.exists()) == (130, "stopped: nothing was written\n", False)


def test_progress(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar shows how many users are done."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    assert cli("record", "--file", "-", stdin=line("u-1", OPENED)).status == 0
    assert "recording" in shown.getvalue()
    assert "1 users" in shown.getvalue()
