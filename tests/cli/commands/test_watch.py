"""`diijam-consent watch`: lines, batches and the checkpoint, in real processes."""

from __future__ import annotations

import json
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from diijam_consent_sdk import Channel, Purpose
from diijam_consent_sdk._file_owners import HAS_OWNERS
from diijam_consent_sdk._files import HAS_LOCKS
from diijam_consent_sdk.events import AccountOpened, Event, Granted, Withdrawn
from diijam_consent_sdk.stores import SqliteStore
from tests.cli.conftest import Cli, Ledger

YES: list[Event] = [AccountOpened(), Granted(Purpose.MARKETING, "n-1", {Channel.EMAIL})]
NO: list[Event] = [Withdrawn(Purpose.MARKETING)]
# Takes a batch in: appends its lines to a file. Fails while another file is there, and waits while a third is.
CONSUMER = """
import pathlib, sys, time
lines = sys.stdin.read()
assert not pathlib.Path(sys.argv[2]).exists()
while pathlib.Path(sys.argv[3]).exists():
    pathlib.Path(sys.argv[3] + "-seen").touch()
    time.sleep(0.05)
with open(sys.argv[1], "a") as taken:
    taken.write(lines)
"""


class Consumer:
    """A watch with a consumer program, and what it has taken in."""

    def __init__(self, ledger: Path, folder: Path) -> None:
        self.ledger = ledger
        self.checkpoint = folder / "mailer.token"
        self.told = ""
        self.taken, self.broken, self.busy = folder / "taken.jsonl", folder / "broken", folder / "busy"
        files = map(str, (self.taken, self.broken, self.busy))
        self.program = shlex.join([sys.executable, "-c", CONSUMER, *files])

    def command(self, *more: str) -> list[str]:
        """The command line of the watch."""
        url = ["--url", f"sqlite:///{self.ledger}", "--checkpoint", str(self.checkpoint), "--exec", self.program]
        return [sys.executable, "-m", "diijam_consent_sdk.cli", "watch", "market", "email", *url, *more]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Run it in a block, then end it by a signal (SIGINT may be ignored where the tests were started)."""
        with subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                self.told = process.communicate(timeout=20)[1]

    def lines(self) -> list[dict[str, Any]]:
        """What was taken in."""
        return [json.loads(line) for line in self.taken.read_text().splitlines()] if self.taken.exists() else []

    def copy(self) -> dict[str, bool]:
        """What a copy made of the lines holds."""
        copy: dict[str, bool] = {}
        for line in self.lines():
            if "begin" in line:
                copy.clear()
            else:
                copy[line["user_id"]] = line["allowed"]
        return copy


@pytest.fixture
def consumer(ledger: Ledger, tmp_path: Path) -> Consumer:
    """A consumer of a ledger in which u-1 and u-2 may be mailed."""
    with closing(SqliteStore(ledger.path)) as store:
        store.append("u-1", YES)
        store.append("u-2", YES)
    return Consumer(ledger.path, tmp_path)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for some seconds."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def write(consumer: Consumer, user_id: str, *events: Event) -> None:
    """Append to the ledger."""
    with closing(SqliteStore(consumer.ledger)) as store:
        store.append(user_id, events)


def test_a_copy_is_kept_true(consumer: Consumer) -> None:
    """Everybody comes first, then a no; after a pause the watch goes on, and only what changed comes."""
    with consumer.running():
        until(lambda: consumer.copy() == {"u-1": True, "u-2": True})
        write(consumer, "u-1", *NO)
        until(lambda: consumer.copy() == {"u-1": False, "u-2": True})
    assert consumer.lines()[0] == {"begin": True}
    assert stat.S_IMODE(consumer.checkpoint.stat().st_mode) == 0o600
    before = len(consumer.lines())
    write(consumer, "u-2", *NO)
    with consumer.running():
        until(lambda: consumer.copy() == {"u-1": False, "u-2": False})
    later = consumer.lines()[before:]
    assert later[-1]["user_id"] == "u-2"
    assert not any(line["snapshot"] for line in later)


def test_a_batch_that_fails_comes_again(consumer: Consumer) -> None:
    """The checkpoint moves after status 0 alone: a batch that the program did not take in is its next one."""
    with consumer.running():
        until(lambda: len(consumer.copy()) == 2)
    consumer.broken.touch()
    write(consumer, "u-1", *NO)
    failed = subprocess.run(consumer.command(), capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 2
    assert "ended with status 1" in failed.stderr
    assert consumer.copy() == {"u-1": True, "u-2": True}
    consumer.broken.unlink()
    with consumer.running():
        until(lambda: consumer.copy() == {"u-1": False, "u-2": True})


@pytest.mark.skipif(not HAS_LOCKS, reason="this system has no locks")
@pytest.mark.parametrize("is_killed", [False, True])
def test_one_watch_uses_a_checkpoint(consumer: Consumer, *, is_killed: bool) -> None:
    """
    A second one could hand on a no, and then the slow program of the first its older yes. So it waits for a program
    that outlived its watch, too.
    """
    with consumer.running():
        until(consumer.checkpoint.exists)
    consumer.busy.touch()
    write(consumer, "u-3", *YES)
    with consumer.running() as first:
        until(consumer.busy.with_name("busy-seen").exists)
        if is_killed:
            first.kill()
            first.wait(20)
        write(consumer, "u-3", *NO)
        second = subprocess.run(consumer.command(), capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2
        assert "another watch uses" in second.stderr
        consumer.busy.unlink()
        until(lambda: "u-3" in consumer.copy())
    with consumer.running():
        until(lambda: consumer.copy().get("u-3") is False)


@pytest.mark.skipif(not HAS_OWNERS, reason="this system has no such owners")
def test_a_checkpoint_that_others_may_write_is_refused(consumer: Consumer, cli: Cli) -> None:
    """It could be past a no that was never handed on."""
    with consumer.running():
        until(consumer.checkpoint.exists)
    consumer.checkpoint.chmod(0o666)
    result = cli("watch", "market", "email", "--exec", "cat", "--checkpoint", str(consumer.checkpoint))
    assert result.status == 2
    assert "others may write it" in result.err


def test_another_history_begins_again(consumer: Consumer, ledger: Ledger) -> None:
    """A restored copy is not followed in silence: everybody comes again after a line that says so."""
    copy = consumer.ledger.with_name("copy.db")
    copy.write_bytes(consumer.ledger.read_bytes())
    write(consumer, "u-3", *YES)
    with consumer.running():
        until(lambda: consumer.copy() == {"u-1": True, "u-2": True, "u-3": True})
        until(consumer.checkpoint.exists)  # which moves once the program that took the lines has ended
    copy.replace(consumer.ledger)
    for suffix in ("-wal", "-shm"):
        consumer.ledger.with_name(consumer.ledger.name + suffix).unlink(missing_ok=True)
    with consumer.running():
        until(lambda: consumer.copy() == {"u-1": True, "u-2": True})
    assert [line for line in consumer.lines() if "begin" in line] == [{"begin": True}] * 2
    assert "beginning again with everybody" in consumer.told


def test_lines_on_standard_output(consumer: Consumer) -> None:
    """Without a program the lines are printed as they come; until says when a yes ends by itself."""
    command = [sys.executable, "-m", "diijam_consent_sdk.cli", "watch", "market", "email",
               "--url", f"sqlite:///{consumer.ledger}"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        write(consumer, "u-2", *NO)
        lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
        assert "begins with everybody" in process.stderr.read()
    assert [(line.pop("token", ""), line)[1] for line in lines] == [
        {"begin": True},
        *[{"user_id": user_id, "allowed": True, "reason": "consented", "clause": 4, "until": None, "snapshot": True}
          for user_id in ("u-1", "u-2")],
        {"user_id": "u-2", "allowed": False, "reason": "withdrawn", "clause": 4, "until": None, "snapshot": False},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["market"], "what about?"),
        (["market", "email", "--exec", "no-such-program-anywhere"], "names no program"),
        (["market", "email", "--exec", "''"], "names no program"),
        (["market", "email", "--exec", "it's"], "--exec is no command line"),
        (["market", "email", "--exec", "cat", "--checkpoint", "."], "--checkpoint '.' is a folder"),
        (["market", "email", "--exec", "cat", "--checkpoint", ""], "--checkpoint '' is a folder"),
        (["market", "email", "--exec", "cat", "--checkpoint", "{other}"], "no checkpoint of a watch"),
        (["market", "call", "--exec", "cat", "--checkpoint", "{mine}"], "checkpoint of another ask"),
        (["market", "email", "--exec", "cat", "--checkpoint", "/nowhere/at/all"], "cannot be written"),
        (["market", "email", "--checkpoint", "{mine}"], "--checkpoint goes with --exec"),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], message: str, consumer: Consumer, cli: Cli, tmp_path: Path) -> None:
    """It is refused at once, with what to do, and no file is touched."""
    other = tmp_path / "other"
    other.write_text("precious")
    with consumer.running():
        until(consumer.checkpoint.exists)
    result = cli("watch", *[one.format(other=other, mine=consumer.checkpoint) for one in arguments])
    assert result.status == 2
    assert message in result.err
    assert other.read_text() == "precious"
