"""`diijam-consent permitted --resume`."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from diijam_consent_sdk.cli.commands.permitted.tally import Tally
from diijam_consent_sdk.decisions import Decision
from diijam_consent_sdk.events import Withdrawn
from diijam_consent_sdk.testing import unreachable
from tests.cli.conftest import MAILABLE, Cli, Ledger
from tests.cli.fakes import FailingStore

IDS = [f"u-{number}" for number in range(1, 7)]
LIST = "".join(f"{user_id}\n" for user_id in IDS).encode()
MAIL = ("permitted", "market", "email", "--output", "ok.txt")
NOTES = Path("ok.txt.resume")

Stop = Callable[[int], None]


@pytest.fixture
def half(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was stopped after four customers, of which every second may be mailed."""
    for user_id in IDS:
        ledger.record(user_id, *(MAILABLE if int(user_id[-1]) % 2 else MAILABLE[:1]))

    class Stopping(Tally):
        """A tally that Ctrl-C interrupts."""

        def add(self, decision: Decision) -> None:
            """See `Tally.add`."""
            super().add(decision)
            if self.total == 4:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("diijam_consent_sdk.cli.commands.permitted.Tally", Stopping)
        result = cli(*MAIL, stdin=LIST)
    assert (result.status, result.err) == (
        130,
        "stopped: nothing was written to ok.txt; checked so far: 4; add --resume to the same command to go on\n",
    )
    assert not Path("ok.txt").exists()


def altered(**fields: object) -> None:
    """Change the header of the notes."""
    header, _, records = NOTES.read_bytes().partition(b"\n")
    NOTES.write_bytes(msgspec.json.encode({**msgspec.json.decode(header), **fields}) + b"\n" + records)


@pytest.mark.usefixtures("half")
def test_goes_on(cli: Cli) -> None:
    """The output is the same as of a run that nobody stopped, the summary counts all, and the notes are gone."""
    result = cli(*MAIL, "--resume", stdin=LIST)
    assert (result.status, Path("ok.txt").read_text(), NOTES.exists()) == (0, "u-1\nu-3\nu-5\n", False)
    assert result.err.split()[:6] == ["answer", "reason", "clause", "customers", "permitted", "3"]


@pytest.mark.usefixtures("half")
def test_a_yes_is_asked_again(ledger: Ledger, cli: Cli) -> None:
    """A customer who said no between the runs is not in the output; an earlier no is taken over."""
    ledger.record("u-1", Withdrawn("marketing"))
    ledger.record("u-2", *MAILABLE[1:])
    assert cli(*MAIL, "--resume", stdin=LIST).status == 0
    assert Path("ok.txt").read_text() == "u-3\nu-5\n"


@pytest.mark.usefixtures("half")
def test_with_reasons(cli: Cli) -> None:
    """The reason of a no that is taken over is known."""
    assert cli(*MAIL, "--reasons", "--resume", stdin=LIST).status == 0
    assert Path("ok.txt").read_text().splitlines()[:3] == [
        "user_id,reason,clause",
        "u-1,consented,4",
        "u-2,not_consented,4",
    ]


@pytest.mark.usefixtures("half")
def test_notes_name_nobody() -> None:
    """What stays behind holds no id, and only its owner may read it."""
    assert b"u-" not in NOTES.read_bytes()
    assert NOTES.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize("lost", [b"\0" * 8, b"\1", b"\0"])
def test_a_torn_end(cli: Cli, lost: bytes) -> None:
    """A record that a crash left half written at the end of the checkpoint is asked again."""
    NOTES.write_bytes(NOTES.read_bytes()[:-4] + lost)
    assert cli(*MAIL, "--resume", stdin=LIST).status == 0
    assert Path("ok.txt").read_text() == "u-1\nu-3\nu-5\n"


@pytest.mark.usefixtures("half")
def test_without_resume(cli: Cli) -> None:
    """Without --resume the command starts over, with whatever list."""
    assert cli(*MAIL, stdin=b"u-5\nu-1\n").status == 0
    assert (Path("ok.txt").read_text(), NOTES.exists()) == ("u-5\nu-1\n", False)


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (LIST.replace(b"u-2", b"u-7"), "customer 2 of the list is another than in the interrupted run"),
        (LIST.removeprefix(b"u-1\n"), "customer 1 of the list is another than in the interrupted run"),
        (b"u-1\nu-2\n", "the list is shorter than in the interrupted run"),
    ],
    ids=["changed", "shifted", "cut"],
)
def test_another_list(cli: Cli, data: bytes, error: str) -> None:
    """Another list is refused, and the notes stay for the right one."""
    result = cli(*MAIL, "--resume", stdin=data)
    assert (result.status, result.err) == (2, f"error: {error}: run without --resume; nothing was written to ok.txt\n")
    assert cli(*MAIL, "--resume", stdin=LIST).status == 0


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"epoch": "another"}, "the interrupted run asked something else, or another ledger"),
        ({"words": []}, "the interrupted run asked something else, or another ledger"),
        ({"format": 2}, "the interrupted run asked something else, or another ledger"),
        ({"began_at": datetime.now(UTC) - timedelta(days=2)}, "the interrupted run is too long ago"),
        ({"began_at": "2026-01-01T00:00:00"}, "the notes of the interrupted run are damaged"),
        ({"began_at": 7}, "the notes of the interrupted run are damaged"),
        ({"question": 7}, "the notes of the interrupted run are damaged"),
    ],
)
def test_another_run(cli: Cli, fields: dict[str, object], error: str) -> None:
    """Notes of another ledger, of another version, of long ago or damaged ones are refused, and stay."""
    altered(**fields)
    result = cli(*MAIL, "--resume", stdin=LIST)
    assert (result.status, result.out, result.err) == (2, "", f"error: {error}: run without --resume\n")
    assert NOTES.exists()


@pytest.mark.usefixtures("half")
def test_another_ask(cli: Cli) -> None:
    """The checkpoint of one ask does not resume another ask."""
    result = cli("permitted", "market", "call", "--output", "ok.txt", "--resume", stdin=LIST)
    assert result.err == "error: the interrupted run asked something else, or another ledger: run without --resume\n"


@pytest.mark.usefixtures("half")
def test_no_header(cli: Cli) -> None:
    """A file that is not a checkpoint is refused."""
    NOTES.write_bytes(b"\xff\n")
    assert "the notes of the interrupted run are damaged" in cli(*MAIL, "--resume", stdin=LIST).err


def test_nothing_to_go_on_with(mailable: Ledger, cli: Cli) -> None:
    """Without notes, or without --output, there is nothing to go on with."""
    result = cli(*MAIL, "--resume", stdin=LIST)
    why = "there is no interrupted run to go on with (ok.txt.resume): run without --resume"
    assert (result.status, result.err) == (2, f"error: {why}\n")
    result = cli("permitted", "market", "email", "--resume", stdin=LIST)
    assert result.err.startswith("error: --resume goes with --output FILE")


def test_a_run_that_never_began(cli: Cli, failing: FailingStore) -> None:
    """A ledger that does not answer leaves no notes: there would be nothing to go on with."""
    failing.failures["standings"] = unreachable()
    assert cli(*MAIL, "--url", "https://consent.example", stdin=LIST).status == 2
    assert not NOTES.exists()


def test_one_at_a_time(mailable: Ledger, cli: Cli) -> None:
    """Two processes do not write to one output."""
    with NOTES.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = cli(*MAIL, stdin=LIST)
    assert (result.status, result.err) == (2, "error: another process is writing to ok.txt: wait for it, or stop it\n")


@pytest.mark.parametrize("interrupted_again", [1, 5])
@pytest.mark.usefixtures("half")
def test_interrupted_again(cli: Cli, monkeypatch: pytest.MonkeyPatch, interrupted_again: int) -> None:
    """A run that goes on may itself be stopped and gone on with."""

    class Stopping(Tally):
        """A tally that Ctrl-C interrupts."""

        def add(self, decision: Decision) -> None:
            """See `Tally.add`."""
            super().add(decision)
            if self.total == interrupted_again:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("diijam_consent_sdk.cli.commands.permitted.Tally", Stopping)
        result = cli(*MAIL, "--resume", stdin=LIST)
    assert f"checked so far: {max(interrupted_again, 4)}; " in result.err
    assert cli(*MAIL, "--resume", stdin=LIST).status == 0
    assert Path("ok.txt").read_text() == "u-1\nu-3\nu-5\n"
