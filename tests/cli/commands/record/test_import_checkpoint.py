"""An import that was interrupted goes on where it was, if that is proved right."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk._file_owners import HAS_OWNERS
from diijam_consent_sdk.cli.commands.record import import_checkpoint
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import Appended, SqliteStore, Write
from tests.cli.conftest import Cli, Ledger, Start
from tests.cli.fakes import FailingStore

FILE = ("record", "--url", "a:", "--file", "events.jsonl")
LINES = [json.dumps({"user_id": f"u-{n}", "event": {"type": "AccountOpened"}}) + "\n" for n in range(10)]
Interrupt = Callable[[int], None]


@pytest.fixture
def appended(failing: FailingStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The users of all appends."""
    users: list[str] = []
    original = failing.append

    def append(user_id: str, events: object, **options: object) -> Appended:
        users.append(user_id)
        return original(user_id, events, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(failing, "append", append)
    monkeypatch.setattr(failing, "changes", failing.inner.changes, raising=False)
    return users


@pytest.fixture
def interrupted(cli: Cli, failing: FailingStore, appended: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint of an import that Ctrl-C stopped before its fifth line."""
    Path("events.jsonl").write_text("".join(LINES))
    append = failing.append

    def stop(user_id: str, events: object, **options: object) -> Appended:
        if user_id == "u-4":
            raise KeyboardInterrupt
        return append(user_id, events, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(failing, "append", stop)
        result = cli(*FILE)
    assert (result.status, result.out) == (130, "")
    assert result.err == (
        "stopped: of 10 lines 4 were written, 0 were already there, 0 were left as they are, 0 were refused; 6 are"
        " still to do: run the same command again to finish\n"
    )
    appended.clear()
    return Path("events.jsonl.resume")


def test_goes_on_where_it_was(cli: Cli, interrupted: Path, appended: list[str]) -> None:
    """The same command asks the ledger about no line that is done, counts all, and leaves nothing beside the file."""
    assert b"u-" not in interrupted.read_bytes()
    result = cli(*FILE)
    assert result.status == 0
    assert result.err == "going on after line 4, where the import was interrupted\n"
    assert result.out.startswith("written               10 lines\nalready there          0 lines\n")
    assert appended == [f"u-{n}" for n in range(4, 10)]
    assert not interrupted.exists()


@pytest.mark.parametrize("other", ["lines", "label", "ledger", "token"])
def test_begins_anew_unless_it_is_proved_right(
    cli: Cli, interrupted: Path, appended: list[str], failing: FailingStore, other: str
) -> None:
    """Other lines at the beginning, another label or a ledger that lacks what was written: no line is passed over."""
    more: tuple[str, ...] = ()
    if other == "lines":
        Path("events.jsonl").write_text("".join([LINES[9], *LINES[1:]]))
    elif other == "label":
        more = ("--label", "week-2")
    else:
        progress = json.loads(interrupted.read_bytes())
        epoch, position, chain = progress["cursor"].split(".")
        wrong = f"{epoch}.{position}.{chain[::-1]}" if other == "ledger" else "no token"
        interrupted.write_text(json.dumps(progress | {"cursor": wrong}))
    assert "going on" not in cli(*FILE, *more).err
    assert len(appended) >= 10  # a second word of one customer is tried once more
    assert not interrupted.exists()


def test_a_longer_file_goes_on_too(cli: Cli, interrupted: Path, appended: list[str]) -> None:
    """Lines added at the end are written with the rest."""
    Path("events.jsonl").write_text("".join([*LINES, LINES[0].replace("u-0", "u-10")]))
    assert cli(*FILE).status == 0
    assert appended == [f"u-{n}" for n in range(4, 11)]


def test_refusals_before_the_interruption_count(
    cli: Cli, failing: FailingStore, appended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status of an import is that of all its lines."""
    failing.inner.append("u-0", [e.AccountOpened()])
    Path("events.jsonl").write_text("".join(LINES[:2]))
    append = failing.append

    def stop(user_id: str, events: object, **options: object) -> Appended:
        if user_id == "u-1":
            raise KeyboardInterrupt
        return append(user_id, events, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(failing, "append", stop)
        assert cli(*FILE).status == 130
    appended.clear()
    result = cli(*FILE)
    assert (result.status, appended) == (2, ["u-1"])
    assert "error: the policy refused 1 line, which was not written" in result.err


def test_what_came_before_a_failure_counts_once(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that was not the first try of its lines may fail: they all count when they come again."""
    ledger.record("u-1", e.AccountOpened())
    said = {"method": "import", "said_at": "2024-01-01T00:00:00Z"}
    hidden = {"type": "Hidden", "field": "avatar"}
    past = [{"user_id": "u-1", "event": event, "provenance": said} for event in ({"type": "AccountOpened"}, hidden)]
    Path("events.jsonl").write_text(LINES[0] + "".join(json.dumps(line) + "\n" for line in past))
    append_many, calls = SqliteStore.append_many, list[Sequence[Write]]()

    def fail_late(store: SqliteStore, writes: Sequence[Write]) -> object:
        calls.append(writes)
        if len(calls) == 3:  # of what is left of the second batch, whose first event was refused
            raise StoreUnavailable("the disk is full")
        return append_many(store, writes)

    with monkeypatch.context() as patch:
        patch.setattr("diijam_consent_sdk.cli.commands.record.importer.MAX_TOGETHER", 1)
        patch.setattr(SqliteStore, "append_many", fail_late)
        assert "of 3 lines 1 were written" in cli("record", "--file", "events.jsonl").err
    result = cli("record", "--file", "events.jsonl")
    assert "going on after line 1" in result.err
    assert [line.split()[-2] for line in result.out.splitlines()] == ["2", "0", "1", "0"]


def test_a_file_of_somebody_else_stays(cli: Cli, failing: FailingStore) -> None:
    """What is no checkpoint is neither read as one nor overwritten."""
    Path("events.jsonl").write_text(LINES[0])
    Path("events.jsonl.resume").write_text("dear diary")
    result = cli(*FILE)
    assert (result.status, result.out) == (2, "")
    assert "events.jsonl.resume is not what an interrupted import leaves: move it away" in result.err
    assert Path("events.jsonl.resume").read_text() == "dear diary"


def test_a_folder_that_cannot_be_written(cli: Cli, failing: FailingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import goes on without a checkpoint, and says what that means."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(import_checkpoint, "replace_file", refuse)
    monkeypatch.setattr(import_checkpoint, "SAVE_SECONDS", 0.0)
    Path("events.jsonl").write_text("".join(LINES))
    result = cli(*FILE)
    assert result.status == 0
    assert result.err.count("events.jsonl.resume cannot be written (Permission denied)") == 1


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_was_stopped_is_finished_by_another(ledger: Ledger, start: Start, cli: Cli, stop: int) -> None:
    """After Ctrl-C, and after kill -9, the same command finishes: each line is in the ledger once."""
    events = [json.dumps({"user_id": f"u-{n}", "event": {"type": "AccountOpened"}}) + "\n" for n in range(3_000)]
    Path("events.jsonl").write_text("".join(events))
    process = start("record", "--file", "events.jsonl")
    while ledger.entries() < 20:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(stop)
    process.communicate(timeout=60)
    assert ledger.entries() < 3_000
    assert cli("record", "--file", "events.jsonl").status == 0
    assert ledger.entries() == 3_000
    assert ledger.look("SELECT count(DISTINCT user_id) FROM entries") == 3_000
    assert cli("verify").status == 0


@pytest.mark.skipif(not HAS_OWNERS, reason="this system has no such owners")
def test_a_checkpoint_that_others_may_write_is_refused(interrupted: Path, cli: Cli, appended: list[str]) -> None:
    """It could name lines as done that no import wrote: a customer's no would be passed over, with status 0."""
    interrupted.chmod(0o666)
    result = cli(*FILE)
    assert (result.status, result.out, appended) == (2, "", [])
    assert "others may write it" in result.err
    assert interrupted.exists()
