"""Run the real command, in this process or in a new one, on a new ledger."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import attrs
import pytest

from diijam_consent_sdk.cli.app import run
from diijam_consent_sdk.events import AccountOpened, Event, Granted, Provenance
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.vocabulary import Channel, Purpose
from tests.cli.fakes import FailingStore

COMMAND = [sys.executable, "-m", "diijam_consent_sdk.cli"]
# A test runner may have been started with Ctrl-C or the end of its terminal ignored, and its children inherit that.
MINDING_SIGNALS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " signal.signal(signal.SIGHUP, {}); os.execv(sys.argv[1], sys.argv[1:])"
)
MAILABLE = (AccountOpened(), Granted(Purpose.MARKETING, notice="promo", channels={Channel.EMAIL}))
MAIL = ("permitted", "market", "email")
CSV = ("--input", "audience.csv", "--column", "user_id")


@attrs.frozen
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str


class Ledger:
    """A database in a new folder, made when an event is recorded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def record(self, user_id: str, *events: Event, provenance: Provenance | None = None) -> None:
        """Append without the command."""
        store = SqliteStore(self.path)
        store.append(user_id, events, provenance=provenance)
        store.close()

    def entries(self) -> int:
        """Count the entries that can be seen now."""
        try:
            return self.look("SELECT count(*) FROM entries")
        except sqlite3.OperationalError:
            return 0

    def look(self, query: str) -> int:
        """Run a query that gives one number."""
        db = sqlite3.connect(self.path, isolation_level=None, timeout=5)
        try:
            ((number,),) = db.execute(query)
        finally:
            db.close()
        return int(number)

    def tamper(self, *statements: str) -> None:
        """Change the database behind the library's back."""
        db = sqlite3.connect(self.path, isolation_level=None)
        for statement in statements:
            db.execute(statement)
        db.close()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the machine's environment: its ledger, colours, width and current folder."""
    for name in ("DIIJAM_CONSENT_URL", "DIIJAM_CONSENT_TOKEN", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Make a ledger that the environment names."""
    made = Ledger(tmp_path / "consents.db")
    monkeypatch.setenv("DIIJAM_CONSENT_URL", made.url)
    return made


@pytest.fixture
def mailable(ledger: Ledger) -> Ledger:
    """Make a ledger in which u-1 may be mailed."""
    ledger.record("u-1", *MAILABLE)
    return ledger


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingStore]:
    """Put a store that fails on demand behind every URL, which writes batch by batch."""
    store = FailingStore()
    monkeypatch.setattr("diijam_consent_sdk.cli.commands.record.importer.MAX_TOGETHER", 1)
    monkeypatch.setattr("diijam_consent_sdk.cli.store.open_store_at", store.open)
    yield store
    store.inner.close()


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command in this process."""

    def command(*arguments: str, stdin: bytes | io.RawIOBase | None = b"", isatty: bool = False) -> Result:
        raw = io.BytesIO(stdin) if isinstance(stdin, bytes) else stdin and io.BufferedReader(stdin)
        text = raw and io.TextIOWrapper(raw)
        if isatty:
            monkeypatch.setattr(raw, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", text)
        capsys.readouterr()
        status = run(arguments)
        shown = capsys.readouterr()
        return Result(status, shown.out, shown.err)

    return command


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(ledger: Ledger) -> Iterator[Start]:
    """Start the command in a new process, which is killed when the test ends."""
    started: list[subprocess.Popen[bytes]] = []

    def command(
        *arguments: str | bytes, stdout: int | IO[Any] = subprocess.PIPE, nohup: bool = False
    ) -> subprocess.Popen[bytes]:
        minding = MINDING_SIGNALS.format("signal.SIG_IGN" if nohup else "signal.SIG_DFL")
        process = subprocess.Popen(
            [sys.executable, "-c", minding, *COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "DIIJAM_CONSENT_URL": ledger.url},
        )
        started.append(process)
        return process

    yield command
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def audience(tmp_path: Path, mailable: Ledger) -> Path:
    """A CSV file of a customer who may be mailed, one who may not, and one nobody knows."""
    mailable.record("u-2", MAILABLE[0])
    path = tmp_path / "audience.csv"
    path.write_text("name,user_id\nLê Thị Bé,u-1\nÁnh,u-2\nBảo,u-3\n", encoding="utf-8")
    return path


def counts(err: str) -> dict[str, int]:
    """The summary's numbers by the words before them."""
    rows = [line.split() for line in err.splitlines()[1:]]
    return {" ".join(row[:-1]): int(row[-1].replace(",", "")) for row in rows}
