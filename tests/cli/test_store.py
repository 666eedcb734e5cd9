"""Ledgers that are missing, broken, another program's, locked or read-only."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from diijam_consent_sdk.stores.sqlite.schema import FORMAT
from tests.cli.conftest import MAILABLE, Cli, Ledger

READING = {
    "check": ["check", "u-1", "market", "email"],
    "history": ["history", "u-1"],
    "permitted": ["permitted", "market", "email"],
    "verify": ["verify"],
}
ALL = READING | {"record": ["record", "u-1", "AccountClosed"], "record-file": ["record", "--file", "-"]}
A_LINE = b'{"user_id": "u-1", "event": {"type": "AccountClosed"}}\n'

# The interpreter may lie where nobody else can read: everything is imported before the right to is given away.
AS_NOBODY = """
import os, sys
from diijam_consent_sdk.cli.app import run
run(["history", "u-1"]), run(["record", "u-1", "Published", "--field", "email"])
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.stdout.flush(), os.truncate(sys.stdout.fileno(), 0), os.truncate(sys.stderr.fileno(), 0)
sys.exit(run(sys.argv[1:]))
"""

each_reading = pytest.mark.parametrize("command", READING.values(), ids=READING.keys())
each = pytest.mark.parametrize("command", ALL.values(), ids=ALL.keys())


@each_reading
def test_missing(ledger: Ledger, cli: Cli, command: list[str]) -> None:
    """A command that only reads says that there is no such database, and makes none."""
    result = cli(*command, stdin=b"u-1\n")
    assert (result.status, result.out, ledger.path.exists()) == (2, "", False)
    assert result.err.startswith(
        f"error: there is no database {ledger.path}: check --url, or start a ledger with diijam"
    )


@each_reading
def test_empty_file(ledger: Ledger, cli: Cli, command: list[str]) -> None:
    """A command that only reads makes no ledger of an empty file."""
    ledger.path.touch()
    result = cli(*command)
    assert (result.status, result.out, ledger.path.stat().st_size) == (2, "", 0)
    assert result.err.startswith(f"error: the file {ledger.path} is empty, there is no ledger in it: check --url")


@each_reading
def test_file_of_one_byte(ledger: Ledger, cli: Cli, command: list[str]) -> None:
    """A command that only reads makes no ledger of a file that SQLite takes for empty."""
    ledger.path.write_bytes(b"\n")
    result = cli(*command)
    assert (result.status, result.out, ledger.path.read_bytes()) == (2, "", b"\n")
    assert result.err.startswith(f"error: the file {ledger.path} is not a ledger: check --url")


@pytest.mark.parametrize("command", [ALL["check"], ALL["record"]], ids=["check", "record"])
@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", "which ledger? Give --url sqlite:///consents.db, or set DIIJAM_CONSENT_URL"),
        ("memory:", "a memory: ledger would be gone with this command: give --url sqlite:///consents.db"),
        ("mysql://root:s3cret@db/x", "this URL names no store; known: "),
        ("sqlite:///", "this URL names no store; known: "),
        (
            "https://me:s3cret@consent.example",
            "the URL of a consent service holds no user or password: pass token= or set",
        ),
        ("https://consent.example:99999", "the URL of a consent service holds no query or fragment, and its port is a"),
        ("sqlite:///.", "the database cannot be opened: "),
        ("sqlite:////dev/null/x.db", "the database cannot be opened: "),
    ],
)
def test_urls(cli: Cli, command: list[str], url: str, error: str) -> None:
    """A URL that names no ledger is an error that says what does, and never repeats it: it may hold a password."""
    result = cli(command[0], "--url", url, *command[1:], stdin=A_LINE)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: {error}")
    assert "s3cret" not in result.err


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("url", ["", "memory:", "nope"], ids=["none", "memory", "unknown"])
def test_the_error_names_the_option(mailable: Ledger, cli: Cli, option: str, url: str) -> None:
    """Of two URLs the error says which one is to be given, or to be corrected."""
    urls = {"--from": mailable.url, "--to": mailable.url, option: url}
    error = cli("copy", *(word for pair in urls.items() for word in pair)).err
    assert error.endswith((f"ive {option} sqlite:///consents.db\n", f"; see {option}\n"))


def test_no_url(cli: Cli) -> None:
    """Without a URL from --url or the environment, the error names both ways to give one."""
    assert cli("verify").err == "error: which ledger? Give --url sqlite:///consents.db, or set DIIJAM_CONSENT_URL\n"


@each
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"no database at all\n" * 999, "this file is no SQLite database: choose another path"),
        (
            b"SQLite format 3\0" + b"\xff" * 9999,
            "the database is damaged|this file is no SQLite database|SQLite refused",
        ),
    ],
    ids=["text", "damaged"],
)
def test_no_database(ledger: Ledger, cli: Cli, command: list[str], data: bytes, error: str) -> None:
    """A file that is no database is an error, and stays as it is."""
    ledger.path.write_bytes(data)
    result = cli(*command, stdin=A_LINE)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert any(result.err.startswith(f"error: {words}") for words in error.split("|"))
    assert ledger.path.read_bytes() == data


@each
@pytest.mark.parametrize(
    ("statements", "error"),
    [
        (["PRAGMA application_id = 7"], "this is the database of another program: choose another path"),
        (
            [f"PRAGMA user_version = {FORMAT + 1}"],
            f"the ledger has format {FORMAT + 1}, this version knows {FORMAT}: upgrade diijam-consent-sdk",
        ),
    ],
    ids=["foreign", "newer"],
)
def test_not_ours(mailable: Ledger, cli: Cli, command: list[str], statements: list[str], error: str) -> None:
    """Another program's database, or one of a newer version, is left alone."""
    mailable.tamper(*statements)
    result = cli(*command, stdin=A_LINE)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: {error}")
    assert mailable.entries() == 2


@pytest.mark.parametrize("command", [ALL["check"], ALL["history"], ALL["record"]], ids=["check", "history", "record"])
def test_damaged_inside(mailable: Ledger, cli: Cli, command: list[str]) -> None:
    """What is no ledger inside a good database is an error without a traceback and without the user's id."""
    mailable.tamper("UPDATE records SET record = 'u-1'", "UPDATE entries SET event = 'u-1'")
    result = cli(*command)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("error: the database holds what is no ledger: ")
    assert "u-1" not in result.err


@pytest.fixture
def locked(mailable: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger that another process writes to without end."""
    monkeypatch.setattr("diijam_consent_sdk.cli.store.BUSY_SECONDS", 0.05)
    db = sqlite3.connect(mailable.path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    yield mailable
    db.close()


@pytest.mark.parametrize("command", [ALL["record"], ALL["record-file"]], ids=["record", "record-file"])
def test_locked_for_writing(locked: Ledger, cli: Cli, command: list[str]) -> None:
    """A lock that does not go away is an error that says to try again; nothing was written."""
    result = cli(*command, stdin=A_LINE)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: another process holds the database locked: try again (SQLITE_BUSY)")
    assert locked.entries() == 2


@each_reading
def test_locked_for_writing_can_be_read(locked: Ledger, cli: Cli, command: list[str]) -> None:
    """While another process writes, everything can be read."""
    assert cli(*command, stdin=b"u-1\n").status == 0


@each
def test_locked_for_all(mailable: Ledger, cli: Cli, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that another process keeps to itself is an error for every command."""
    monkeypatch.setattr("diijam_consent_sdk.cli.store.BUSY_SECONDS", 0.05)
    db = sqlite3.connect(mailable.path, isolation_level=None)
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    result = cli(*command, stdin=b"u-1\n" if command[0] == "permitted" else A_LINE)
    db.close()
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert "another process holds the database locked: try again" in result.err


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("command", "mode", "status", "said"),
    [
        ("check", 0o644, 0, ""),
        ("record", 0o644, 2, "error: the database is read-only: "),
        ("check", 0o600, 2, "error: the database cannot be opened: "),
        ("record", 0o600, 2, "error: the database cannot be opened: "),
    ],
)
def test_read_only(open_folder: Path, command: str, mode: int, status: int, said: str) -> None:
    """A user who may only read can read a closed ledger; any other access is an error, and nothing is written."""
    ledger = Ledger(open_folder / "consents.db")
    ledger.record("u-1", *MAILABLE)
    ledger.path.chmod(mode)
    environment = os.environ | {"DIIJAM_CONSENT_URL": ledger.url}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        arguments = [sys.executable, "-c", AS_NOBODY, *ALL[command]]
        done = subprocess.run(arguments, stdout=out, stderr=err, env=environment, check=False)
        out.seek(0)
        err.seek(0)
        assert (done.returncode, bool(out.read().strip(b"\0"))) == (status, status == 0)
        assert err.read().decode().strip("\0").startswith(said)
    assert ledger.entries() == 2


@pytest.mark.parametrize(
    "command", [("record", "u-1", "AccountOpened"), ("check", "u-1", "market", "email"), ("init",)]
)
def test_a_url_with_a_line_end_is_refused(command: tuple[str, ...], cli: Cli, tmp_path: Path) -> None:
    """The command ends with 2 and says why, and no ledger is made."""
    result = cli(*command, "--url", f"sqlite:///{tmp_path}/spoilt.db\n")
    assert (result.status, "cannot be seen" in result.err) == (2, True)
    assert not list(tmp_path.glob("spoilt*"))
