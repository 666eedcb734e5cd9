"""`diijam-consent record --file`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.cli.commands.record import importer
from diijam_consent_sdk.cli.commands.record.import_checkpoint import ImportCheckpoint
from diijam_consent_sdk.errors import StoreUnavailable, TooLarge
from diijam_consent_sdk.stores import MemoryStore, SqliteStore, Write
from diijam_consent_sdk.stores.answers import WriteResult
from tests.cli.conftest import MAILABLE, Cli, Ledger
from tests.cli.fakes import FailingStore, Feed, Terminal, then

OPENED = {"type": "AccountOpened"}
WITHDRAWN = {"type": "Withdrawn", "purpose": "marketing"}
PUBLISHED = {"type": "Published", "field": "avatar"}


def line(user_id: object, event: object) -> bytes:
    """A line of an event file."""
    return json.dumps({"user_id": user_id, "event": event}, ensure_ascii=False).encode() + b"\n"


def summary(written: int, known: int, refused: int, kept: int = 0) -> str:
    """What the command says in the end."""
    counts = {"written": written, "already there": known, "left as it is": kept, "refused": refused}
    return "".join(f"{name:<15}{count:>9,} lines\n" for name, count in counts.items())


def test_many_users(ledger: Ledger, cli: Cli) -> None:
    """The lines of each user are recorded in their order, from a file as from standard input."""
    grant = {"type": "Granted", "purpose": "marketing", "notice": "promo", "channels": ["email"]}
    data = line("u-1", OPENED) + line("Nguyễn Văn A", OPENED) + line("u-1", grant) + line("u-1", WITHDRAWN)
    result = cli("record", "--file", "-", stdin=data)
    assert (result.status, result.out, result.err) == (0, summary(4, 0, 0), "")
    words = [json.loads(entry)["event"]["type"] for entry in cli("history", "u-1", "--json").out.splitlines()]
    assert words == ["AccountOpened", "Granted", "Withdrawn"]
    assert cli("history", "Nguyễn Văn A").out.count("\n") == 2


@pytest.mark.parametrize("added", [{"type": "Objected", "purpose": "surveys"}, PUBLISHED])
def test_a_file_that_grew_writes_no_yes_again(ledger: Ledger, cli: Cli, added: dict[str, str]) -> None:
    """Beside a line that was added, a yes that was written is no new one: the customer may have taken it back since."""
    grant = {"type": "Granted", "purpose": "marketing", "notice": "promo", "channels": ["email"]}
    lines = [line("u-1", OPENED), line("u-2", OPENED), line("u-1", grant)]
    assert cli("record", "--file", "-", stdin=b"".join(lines)).status == 0
    assert cli("record", "u-1", "Withdrawn", "--purpose", "marketing").status == 0
    for grown in (
        [*lines, line("u-1", added), line("u-3", OPENED)],
        [*lines[:2], line("u-1", added), lines[2], line("u-3", OPENED)],  # the new line comes first
    ):
        result = cli("record", "--file", "-", stdin=b"".join(grown))
        assert result.status == 2
        assert "line 3: this line is refused, and those of the same customer right below it" in result.err
        assert "WITHDRAWN" in cli("check", "u-1", "market", "email", "--json").out.upper()


GRANTED = {"type": "Granted", "purpose": "marketing", "notice": "promo", "channels": ["email"]}


def test_an_export_that_tells_more_of_a_yes_writes_it_no_second_time(ledger: Ledger, cli: Cli) -> None:
    """Only with a label may the customer have said the same again, after a no."""
    assert cli("record", "--file", "-", stdin=line("u-1", OPENED) + line("u-1", GRANTED)).status == 0
    assert cli("record", "u-1", "Withdrawn", "--purpose", "marketing").status == 0
    told = json.dumps({"user_id": "u-1", "event": GRANTED, "provenance": {"method": "web"}}).encode() + b"\n"
    result = cli("record", "--file", "-", stdin=told)
    assert (result.status, result.out) == (2, summary(0, 0, 1))
    assert "with --label if the customer said the same again" in result.err
    assert cli("record", "--file", "-", "--label", "paper", stdin=told).out == summary(1, 0, 0)


def test_a_labelled_file_that_grew_writes_no_yes_again(ledger: Ledger, cli: Cli) -> None:
    """With a label, what was said before may be said again, but not because a line was added beside it."""
    lines = [line("u-1", OPENED), line("u-2", OPENED), line("u-1", GRANTED)]
    command = ("record", "--file", "-", "--label", "week-1")
    assert cli(*command, stdin=b"".join(lines)).status == 0
    assert cli("record", "u-1", "Withdrawn", "--purpose", "marketing").status == 0
    grown = [*lines, line("u-1", {"type": "Objected", "purpose": "surveys"})]
    assert cli(*command, stdin=b"".join(grown)).status == 2
    assert "WITHDRAWN" in cli("check", "u-1", "market", "email", "--json").out.upper()


def test_a_labelled_file_that_grew_above_a_yes_writes_it_no_second_time(ledger: Ledger, cli: Cli) -> None:
    """With a label, a yes that was added right above one that was written comes alone: the other was taken back."""
    command = ("record", "--file", "-", "--label", "week-1")
    assert cli(*command, stdin=line("u-1", OPENED) + line("u-2", OPENED) + line("u-1", GRANTED)).status == 0
    assert cli("record", "u-1", "Withdrawn", "--purpose", "marketing").status == 0
    grown = line("u-1", OPENED) + line("u-2", OPENED) + line("u-1", PUBLISHED) + line("u-1", GRANTED)
    result = cli(*command, stdin=grown)
    assert (result.status, result.out) == (0, summary(1, 3, 0))
    assert "WITHDRAWN" in cli("check", "u-1", "market", "email", "--json").out.upper()


def test_a_labelled_file_that_grew_between_the_same_yes_writes_it_no_second_time(ledger: Ledger, cli: Cli) -> None:
    """With a label, a yes that stands twice counts twice whether or not a line of another customer is in between."""
    lines = [line("u-1", OPENED), line("u-1", GRANTED), line("u-1", WITHDRAWN), line("u-1", GRANTED)]
    command = ("record", "--file", "-", "--label", "week-1")
    assert cli(*command, stdin=b"".join(lines)).out == summary(4, 0, 0)
    assert cli("record", "u-1", "Withdrawn", "--purpose", "marketing").status == 0
    result = cli(*command, stdin=b"".join([*lines[:3], line("u-2", OPENED), lines[3]]))
    assert (result.status, result.out) == (0, summary(1, 4, 0))
    assert "WITHDRAWN" in cli("check", "u-1", "market", "email", "--json").out.upper()


@pytest.mark.parametrize("label", [(), ("--label", "week-1")])
@pytest.mark.parametrize("expired", [{}, {"expires_at": "2020-01-01T00:00:00Z"}])
def test_a_yes_that_was_refused_is_not_written_after_a_later_no(
    ledger: Ledger, cli: Cli, label: tuple[str, ...], expired: dict[str, str]
) -> None:
    """The file has the no last, so it stays so, whether the yes was corrected or is accepted another time as it is."""
    opened, noes = line("u-1", OPENED), [line("u-2", WITHDRAWN), line("u-1", WITHDRAWN)]
    wrong = [opened, line("u-2", OPENED), line("u-1", {**GRANTED, **expired})]
    if not expired:  # it is accepted once the account is open, in the second run
        wrong = [wrong[2], wrong[1], opened]
    command = ("record", "--file", "-", *label)
    assert cli(*command, stdin=b"".join([*wrong, *noes])).out == summary(4, 0, 1)
    corrected = [line("u-1", GRANTED) if b"expires_at" in each else each for each in wrong]
    result = cli(*command, stdin=b"".join([*corrected, *noes]))
    assert (result.status, result.out) == (2, summary(0, 4, 1))
    assert "a no further down in the file is written already" in result.err
    assert "WITHDRAWN" in cli("check", "u-1", "market", "email", "--json").out.upper()


def test_a_yes_that_was_refused_is_written_beside_other_noes(ledger: Ledger, cli: Cli) -> None:
    """A no to something else, and one that stands above the yes too, keep a corrected yes from nobody."""
    lines = [line("u-1", OPENED), line("u-1", WITHDRAWN), line("u-2", OPENED), line("u-1", GRANTED)]
    lines += [line("u-2", WITHDRAWN), line("u-1", {"type": "Withdrawn", "purpose": "surveys"})]
    wrong = [*lines[:3], line("u-1", {**GRANTED, "expires_at": "2020-01-01T00:00:00Z"}), *lines[4:]]
    assert cli("record", "--file", "-", stdin=b"".join(wrong)).out == summary(5, 0, 1)
    more = [*lines, line("u-2", PUBLISHED), line("u-1", WITHDRAWN)]
    assert cli("record", "--file", "-", stdin=b"".join(more)).out == summary(3, 5, 0)
    words = [json.loads(entry)["event"]["type"] for entry in cli("history", "u-1", "--json").out.splitlines()]
    assert words == ["AccountOpened", "Withdrawn", "Withdrawn", "Granted", "Withdrawn"]


@pytest.mark.parametrize("label", [(), ("--label", "week-1")])
@pytest.mark.parametrize(
    "between", [[], [line("u-1", {"type": "HoldReleased", "hold": "h-1"}), line("u-2", PUBLISHED)]]
)
def test_a_no_above_a_yes_that_was_refused_too_is_not_the_one_below(
    ledger: Ledger, cli: Cli, label: tuple[str, ...], between: list[bytes]
) -> None:
    """The ledger has the no below alone: that above was refused, beside the yes or beside another mistake."""
    start, end = [line("u-1", OPENED), line("u-2", OPENED), line("u-1", WITHDRAWN), *between], line("u-1", WITHDRAWN)
    wrong = [*start, line("u-1", {**GRANTED, "expires_at": "2020-01-01T00:00:00Z"}), line("u-3", OPENED), end]
    command = ("record", "--file", "-", *label)
    cli(*command, stdin=b"".join(wrong))
    result = cli(*command, stdin=b"".join([*start, line("u-1", GRANTED), line("u-3", OPENED), end]))
    assert result.status == 2
    assert "a no further down in the file is written already" in result.err
    assert "WITHDRAWN" in cli("check", "u-1", "market", "email", "--json").out.upper()


def test_a_no_of_another_file_keeps_no_yes_out(ledger: Ledger, cli: Cli) -> None:
    """A customer who said no last week may say yes and no again: both are written, in their order."""
    cli("record", "--file", "-", stdin=line("u-1", OPENED) + line("u-1", WITHDRAWN))
    week = [line("u-1", GRANTED), line("u-2", OPENED), line("u-1", WITHDRAWN)]
    assert cli("record", "--file", "-", "--label", "week-2", stdin=b"".join(week)).out == summary(3, 0, 0)
    words = [json.loads(entry)["event"]["type"] for entry in cli("history", "u-1", "--json").out.splitlines()]
    assert words == ["AccountOpened", "Withdrawn", "Granted", "Withdrawn"]


@pytest.mark.parametrize("size", [1, 3])
def test_a_file_that_changes_while_it_is_read(
    ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Lines that were checked and are gone, or were added since, are no success: the same command finishes the work."""
    lines = [line(f"u-{number}", WITHDRAWN) for number in range(2)]
    Path("events.jsonl").write_bytes(b"".join(lines))
    start_over_unless = ImportCheckpoint.start_over_unless

    def change(*arguments: Any) -> None:
        """Change the file once it is checked."""
        Path("events.jsonl").write_bytes(b"".join([*lines, line("u-3", WITHDRAWN)][:size]))
        start_over_unless(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ImportCheckpoint, "start_over_unless", change)
        result = cli("record", "--file", "events.jsonl")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: the file changed while it was read")
    assert result.err.endswith("run the same command again to finish\n")
    assert cli("record", "--file", "events.jsonl").out == summary(size, 0, 0)


def test_a_file_that_grew_while_its_import_was_interrupted(
    ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes that the interrupted import wrote is not written again beside the new line."""
    lines = [line("u-1", OPENED), line("a", OPENED), line("b", OPENED), line("u-1", GRANTED), line("stop", OPENED)]
    Path("events.jsonl").write_bytes(b"".join(lines))
    append_many = SqliteStore.append_many

    def stop(store: SqliteStore, writes: Sequence[Write]) -> Sequence[WriteResult]:
        """Be stopped before the last line."""
        if any(write.user_id == "stop" for write in writes):
            raise KeyboardInterrupt
        return append_many(store, writes)

    with monkeypatch.context() as patch:
        patch.setattr(importer, "MAX_TOGETHER", 2)
        patch.setattr(SqliteStore, "append_many", stop)
        assert cli("record", "--file", "events.jsonl").status == 130
    assert cli("record", "u-1", "Withdrawn", "--purpose", "marketing").status == 0
    Path("events.jsonl").write_bytes(b"".join([*lines[:4], line("u-1", WITHDRAWN), *lines[4:]]))
    assert cli("record", "--file", "events.jsonl").status == 2
    assert "WITHDRAWN" in cli("check", "u-1", "market", "email", "--json").out.upper()


def test_refused(mailable: Ledger, cli: Cli) -> None:
    """What the policy refuses is named by line, adjacent lines of a user all or nothing; the rest is written."""
    public = {"type": "Published", "field": "email"}
    lines = [
        line("u-2", OPENED),
        line("u-1", PUBLISHED),
        line("u-1", OPENED),
        line("u-3", OPENED),
        line("u-3", public),
        line("u-1", WITHDRAWN),
    ]
    result = cli("record", "--file", "-", stdin=b"".join(lines))
    assert (result.status, result.out) == (2, summary(2, 0, 4))
    assert result.err == (
        "line 3: AccountOpened is refused: the account is open already\n"
        "line 5: Published is refused: email is never public\n"
        'error: the policy refused 4 lines, which were not written: see "is refused" above\n'
    )
    assert mailable.entries() == 4
    assert cli("check", "u-1", "market", "email").status == 1


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


def test_a_user_is_all_or_nothing(ledger: Ledger, cli: Cli) -> None:
    """Each event of a user is judged after those before it, and one refused takes the whole batch back."""
    lines = [line("u-1", OPENED), line("u-1", {"type": "AccountClosed"}), line("u-1", {"type": "AccountClosed"})]
    result = cli("record", "--file", "-", stdin=b"".join(lines))
    assert (result.status, ledger.entries()) == (2, 0)
    assert result.err.startswith("line 3: AccountClosed is refused: ")


def test_again(ledger: Ledger, cli: Cli) -> None:
    """The same file again writes nothing; with more users in it, only those."""
    first = line("u-1", OPENED) + line("u-1", WITHDRAWN)
    assert cli("record", "--file", "-", stdin=first).out == summary(2, 0, 0)
    result = cli("record", "--file", "-", stdin=first + line("u-2", OPENED))
    assert (result.status, result.out, result.err) == (0, summary(1, 2, 0), "")
    assert ledger.entries() == 3


def test_meant_anew(mailable: Ledger, cli: Cli) -> None:
    """A note names lines that were written before and undone since; with a --label they count again."""
    assert cli("record", "--file", "-", stdin=line("u-1", WITHDRAWN)).out == summary(1, 0, 0)
    mailable.record("u-1", MAILABLE[1])
    result = cli("record", "--file", "-", stdin=b"\n" + line("u-1", WITHDRAWN))
    assert (result.status, result.out) == (0, summary(0, 1, 0))
    assert (
        "note: the customers of 1 batches of lines already there have changed since these were written (lines 2)"
        in result.err
    )
    assert cli("check", "u-1", "market", "email").status == 0
    labelled = cli("record", "--file", "-", "--label", "tuần 2", stdin=line("u-1", WITHDRAWN))
    assert (labelled.out, labelled.err) == (summary(1, 0, 0), "")
    assert cli("check", "u-1", "market", "email").status == 1


def test_no_note_of_what_the_file_itself_says_later(ledger: Ledger, cli: Cli) -> None:
    """A customer who changed by later lines of the file, or since an import, is not one whose lines are outdated."""
    data = imported("u-1", "2024-01-01", OPENED) + imported("u-1", "2024-02-01", GRANTED) + line("u-1", WITHDRAWN)
    data += line("u-2", OPENED) + imported("u-3", "2024-02-01", OPENED)
    assert cli("record", "--file", "-", stdin=data).out == summary(5, 0, 0)
    ledger.record("u-3", e.Objected("surveys"))
    result = cli("record", "--file", "-", stdin=data)
    assert (result.out, result.err) == (summary(0, 5, 0), "")


def test_many_changed_since(ledger: Ledger, cli: Cli) -> None:
    """Of many users who changed since, the first 20 lines are named."""
    data = b"".join(line(f"u-{number}", OPENED) for number in range(21))
    cli("record", "--file", "-", stdin=data)
    cli("record", "--file", "-", stdin=data.replace(b"AccountOpened", b"AccountClosed"))
    result = cli("record", "--file", "-", stdin=data)
    assert "note: the customers of 21 batches of lines already there" in result.err
    assert "19, 20, …)" in result.err


def test_erased_since(ledger: Ledger, cli: Cli) -> None:
    """A file that ends a user's life is known again; one that tells of the life before it is refused."""
    life, end = line("u-1", OPENED), line("u-1", {"type": "AccountClosed"}) + line("u-1", {"type": "Erased"})
    assert [cli("record", "--file", "-", stdin=data).out for data in (life, end, end, life)] == [
        summary(1, 0, 0),
        summary(2, 0, 0),
        summary(0, 2, 0),
        summary(0, 0, 1),
    ]
    assert cli("verify").status == 0


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
        "error: the disk is full, nothing was written; of 3 lines 1 were written, 0 were already there, 0 were left as"
        " they are, 0 were refused; 2 are still to do: run the same command again to finish\n"
    )
    failing.failures.clear()
    monkeypatch.setattr(failing, "append", original)
    assert cli("record", "--file", "-", stdin=data).out == summary(2, 1, 0)


def test_interrupted_while_reading(ledger: Ledger, cli: Cli) -> None:
    """Ctrl-C before the file was read leaves nothing behind, and says so."""
    result = cli("record", "--file", "-", stdin=Feed(then(KeyboardInterrupt(), line("u-1", OPENED))))
    assert (result.status, result.err, ledger.path.exists()) == (130, "stopped\n", False)


def test_progress(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar shows how many lines are done, in each pass over the file."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr("diijam_consent_sdk.cli.commands.record.event_file.LINES_BETWEEN_UPDATES", 2)
    assert (
        cli("record", "--file", "-", stdin=line("u-1", OPENED) + line("u-2", OPENED) + line("u-3", OPENED)).status == 0
    )
    checking, recording = shown.getvalue().split("recording", 1)
    assert "checking" in checking
    assert "2 lines" in checking
    assert "3 lines" in recording


def imported(user_id: str, said_at: str, event: object, method: str = "import") -> bytes:
    """A line of what was said before this ledger."""
    said = {"method": method, "said_at": f"{said_at}T00:00:00Z", "evidence": "row-7"}
    return json.dumps({"user_id": user_id, "event": event, "provenance": said}).encode() + b"\n"


GRANTED = {"type": "Granted", "purpose": "marketing", "notice": "shop", "channels": ["email"]}


def test_an_import_keeps_when_it_was_said(ledger: Ledger, cli: Cli) -> None:
    """Each entry has the line's provenance, whose writer is the command's, whatever the line says."""
    lines = imported("u-1", "2024-01-01", OPENED) + imported("u-1", "2024-02-01", GRANTED)
    data = lines.replace(b'"evidence"', b'"by": "somebody", "evidence"')
    assert cli("record", "--file", "-", "--actor", "shop", stdin=data).out == summary(2, 0, 0)
    said = [json.loads(entry)["provenance"] for entry in cli("history", "u-1", "--json").out.splitlines()]
    assert [(found["by"], found["method"], found["evidence"]) for found in said] == [("shop", "import", "row-7")] * 2
    assert [found["said_at"][:10] for found in said] == ["2024-01-01", "2024-02-01"]
    assert cli("record", "--file", "-", stdin=lines).out == summary(0, 2, 0)


def test_no_yes_no_of_one_customer_all_count(ledger: Ledger, cli: Cli) -> None:
    """The same line again later in a file is another act: the last word of the file holds."""
    other = line("u-2", WITHDRAWN)
    lines = [line("u-1", OPENED), other, line("u-1", WITHDRAWN), other, line("u-1", GRANTED), other]
    lines.append(line("u-1", WITHDRAWN))
    assert cli("record", "--file", "-", stdin=b"".join(lines)).out == summary(7, 0, 0)
    assert cli("check", "u-1", "market", "email").status == 1
    assert cli("record", "--file", "-", stdin=b"".join(lines)).out == summary(0, 7, 0)


@pytest.mark.parametrize(
    ("here", "written"),
    [
        ((e.AccountOpened(), e.Withdrawn("marketing")), 1),
        ((e.AccountOpened(), e.Granted("marketing", notice="new", channels={"email"})), 1),
        ((e.AccountOpened(), e.AccountClosed()), 1),
        ((e.AccountOpened(), e.AccountClosed(), e.Erased()), 0),
    ],
)
def test_what_was_said_here_stands(ledger: Ledger, cli: Cli, here: tuple[e.Event, ...], written: int) -> None:
    """An import leaves what was said here as it is: named and counted, which is no failure. A no is written."""
    ledger.record("u-1", *here)
    hidden = {"type": "Hidden", "field": "avatar"}
    lines = [imported("u-1", "2024-01-01", event) for event in (OPENED, GRANTED, hidden)]
    result = cli("record", "--file", "-", stdin=b"".join(lines))
    assert (result.status, result.out) == (0, summary(written, 0, 0, kept=3 - written))
    assert result.err.startswith("line 1: AccountOpened is left out: ")
    assert "line 2: Granted is left out: " in result.err
    assert cli("record", "--file", "-", stdin=b"".join(lines)).out == summary(0, written, 0, kept=3 - written)


def test_an_undated_no_of_an_erased_user(ledger: Ledger, cli: Cli) -> None:
    """A no has nothing to take away from an erased user: an import is run again without a failure. A yes is refused."""
    no = line("u-1", WITHDRAWN)
    ledger.record("u-1", e.AccountOpened(), e.AccountClosed(), e.Erased())
    result = cli("record", "--file", "-", stdin=no)
    assert (result.status, result.out) == (0, summary(0, 0, 0, kept=1))
    assert result.err.startswith("line 1: Withdrawn is left out: the user was erased")
    result = cli("record", "--file", "-", stdin=no + line("u-1", PUBLISHED))
    assert (result.status, result.out) == (2, summary(0, 0, 2))
    assert "refused 2 lines, which were not written" in result.err


def test_a_mistake_in_an_import_is_a_failure(ledger: Ledger, cli: Cli) -> None:
    """What no ledger would accept is refused, with the status of a failure."""
    wrong = {"type": "Published", "field": "email"}
    lines = [
        imported("u-1", "2024-01-01", OPENED),
        imported("u-1", "2024-01-01", wrong),
        imported("u-1", "2999-01-01", GRANTED),
    ]
    result = cli("record", "--file", "-", stdin=b"".join(lines))
    assert (result.status, result.out) == (2, summary(1, 0, 2))
    assert (
        "line 2: Published is refused: email is never public\nline 3: Granted is refused: said_at is in the"
        in result.err
    )


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"type": "RequestFiled", "request": "r-1", "kind": "erasure"}, "this request id is known already"),
        ({"type": "Erased"}, "live holds keep the data"),
        ({"type": "Withdrawn", "purpose": "payment"}, "payment does not stand on consent"),
    ],
)
def test_a_mistake_about_a_closed_account_is_a_failure(
    ledger: Ledger, cli: Cli, event: dict[str, str], reason: str
) -> None:
    """What a closed account accepts is refused for another reason than the closing: a no that is lost is no success."""
    hold = e.HoldPlaced("h-1", "debt", {"payment"})
    ledger.record("u-1", e.AccountOpened(), hold, e.RequestFiled("r-1", "access"), e.AccountClosed())
    result = cli("record", "--file", "-", stdin=imported("u-1", "2024-01-01", event))
    assert (result.status, result.out) == (2, summary(0, 0, 1))
    assert f"line 1: {event['type']} is refused: {reason}" in result.err


def test_many_lines_take_few_transactions(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused line leaves the others of its transaction alone, and is named."""
    calls, append_many = list[int](), MemoryStore.append_many

    def counted(store: MemoryStore, writes: list[Write]) -> object:
        calls.append(len(writes))
        return append_many(store, writes)

    monkeypatch.setattr("diijam_consent_sdk.stores.sqlite.store.SqliteDatabaseStore.append_many", counted)
    data = b"".join(line(f"u-{number}", PUBLISHED if number == 70 else OPENED) for number in range(600))
    result = cli("record", "--file", "-", stdin=data)
    assert (result.status, result.out) == (2, summary(599, 0, 1))
    assert result.err.startswith("line 71: Published is refused")
    assert calls == [500, 100]


def test_what_is_too_large_together_is_written_in_halves(
    ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down to one batch, which is not halved."""
    append_many = MemoryStore.append_many

    def bounded(store: MemoryStore, writes: list[Write]) -> object:
        if len(writes) > 3:
            raise TooLarge("write fewer at once")
        return append_many(store, writes)

    monkeypatch.setattr("diijam_consent_sdk.stores.sqlite.store.SqliteDatabaseStore.append_many", bounded)
    data = b"".join(line(f"u-{number}", OPENED) for number in range(20))
    assert cli("record", "--file", "-", stdin=data).out == summary(20, 0, 0)
