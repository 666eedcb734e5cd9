"""The command as a process: signals, closed pipes, locales, and missing packages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.checks import MAX_WRITES
from tests.cli.conftest import COMMAND, Cli, Ledger, Start

USERS = 400
INSTALLED = Path(sys.executable).with_name("diijam-consent")
LINES = 2 * USERS


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """An event file of many users with two lines each, the second lines in a block behind the first."""
    types = ("AccountOpened", "AccountClosed")
    lines = [{"user_id": f"u-{n}", "event": {"type": kind}} for kind in types for n in range(USERS)]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def wait_for(happened: Callable[[], object]) -> None:
    """Wait until something happened; fail if it does not."""
    until = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.002)


def counted(out: str) -> list[int]:
    """How many lines are in the ledger, were left as they are, and were refused, as `record --file` says."""
    new, known, kept, refused = (int(line.split()[-2].replace(",", "")) for line in out.splitlines())
    return [new + known, kept, refused]


def done(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """The status, standard output and standard error of a process that ends."""
    out, err = process.communicate(timeout=20)
    return process.returncode, out.decode() if out else "", err.decode()


def test_killed_while_recording(ledger: Ledger, start: Start, cli: Cli, events: Path) -> None:
    """After a kill -9 the same command finishes: no user is lost, halved or doubled, and the chain verifies."""
    process = start("record", "--file", str(events))
    wait_for(lambda: ledger.entries() >= 20)
    process.kill()
    assert done(process)[0] == -signal.SIGKILL
    assert 20 <= ledger.entries() < LINES
    result = cli("record", "--file", str(events))
    assert (result.status, counted(result.out)) == (0, [LINES, 0, 0])
    assert ledger.entries() == LINES
    assert ledger.look("SELECT count(*) FROM (SELECT 1 FROM entries GROUP BY user_id HAVING max(version) = 2)") == USERS
    assert cli("verify").out.endswith(f"entries  {LINES}\n")


def test_stopped_while_recording(ledger: Ledger, start: Start, cli: Cli, events: Path) -> None:
    """Ctrl-C while a file is recorded says how far it came; the same command again finishes."""
    process = start("record", "--file", str(events))
    wait_for(lambda: ledger.entries() >= 20)
    process.send_signal(signal.SIGINT)
    status, out, err = done(process)
    assert (status, out, err.count("\n")) == (130, "", 1)
    assert err.startswith(f"stopped: of {LINES:,} lines ")
    written = int(err.split()[4])
    assert 0 <= ledger.entries() - written <= MAX_WRITES  # those of one transaction may be there and not counted yet
    assert f"{LINES - written:,} are still to do: run the same command again to finish" in err
    assert counted(cli("record", "--file", str(events)).out) == [LINES, 0, 0]
    assert ledger.entries() == LINES


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_while_selecting(
    mailable: Ledger, start: Start, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """A stopped `permitted --output` leaves no output, not even a part of it; at most what --resume needs."""
    folder = tmp_path / "results"
    folder.mkdir()
    process = start("permitted", "market", "email", "--output", str(folder / "ok.txt"))
    assert process.stdin is not None
    process.stdin.write(b"".join(b"u-%d\n" % number for number in range(2500)))
    process.stdin.flush()
    wait_for(lambda: list(folder.iterdir()))
    process.send_signal(number)
    code, out, err = done(process)
    assert (code, out, err.count("\n")) == (status, "", 1)
    assert err.startswith("stopped")
    assert {path.name for path in folder.iterdir()} <= {"ok.txt.resume"}


def test_killed_while_selecting(mailable: Ledger, start: Start, cli: Cli, tmp_path: Path) -> None:
    """After a kill -9 there is no output; with --resume the same command makes it, and leaves nothing else behind."""
    ids, output, notes = tmp_path / "ids.txt", tmp_path / "ok.txt", tmp_path / "ok.txt.resume"
    ids.write_text("".join(f"u-{number}\n" for number in range(20_000)))
    command = ("permitted", "market", "email", "--input", str(ids), "--output", str(output))
    process = start(*command)
    wait_for(lambda: notes.exists() and notes.stat().st_size > 4 * 1_000)
    process.kill()
    assert done(process)[0] == -signal.SIGKILL
    assert not output.exists()
    assert cli(*command, "--resume").status == 0
    assert (output.read_text(), notes.exists()) == ("u-1\n", False)


def test_a_reader_that_leaves(mailable: Ledger, start: Start) -> None:
    """A reader that has seen enough, like head, ends the command without a word."""
    process = start("permitted", "market", "email", "--reasons")
    assert process.stdout is not None
    _fed(process, b"".join(b"u-%d\n" % number for number in range(10_000)))
    assert process.stdout.readline() == b"user_id,reason,clause\n"
    process.stdout.close()
    process.stdout = None
    assert done(process) == (128 + signal.SIGPIPE, "", "")


@pytest.mark.parametrize("command", [["check", "u-1", "show", "avatar"], ["--help"]], ids=" ".join)
def test_a_reader_that_was_never_there(mailable: Ledger, start: Start, command: list[str]) -> None:
    """A pipe that nobody reads ends the command without a word, and with no customer's no."""
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*command, stdout=writing)
    os.close(writing)
    assert done(process) == (128 + signal.SIGPIPE, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this machine")
@pytest.mark.parametrize(
    "command", [["check", "u-1", "market", "email"], ["permitted", "market", "email"]], ids=" ".join
)
def test_a_full_disk(mailable: Ledger, start: Start, command: list[str]) -> None:
    """Results that cannot be written are an error, never a silent success."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        process = start(*command, stdout=full)
        status, _, err = done(_fed(process, b"u-1\n"))
    assert (status, err) == (2, "error: No space left on device: free some space, then run the same command again\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this machine")
@pytest.mark.parametrize(("url", "status"), [("sqlite:///nowhere.db", 2), (None, 0)], ids=["error", "allowed"])
def test_a_log_on_a_full_disk(mailable: Ledger, url: str | None, status: int) -> None:
    """An error that cannot be written anywhere does not become a customer's no."""
    command = [*COMMAND, "check", "u-1", "market", "email", "--url", url or mailable.url]
    with Path("/dev/full").open("wb", buffering=0) as full:
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=full, check=False)
    assert ended.returncode == status


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this machine")
def test_a_record_that_cannot_be_shown(ledger: Ledger, start: Start) -> None:
    """It is in the ledger, and the error does not ask for it to be said again."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        status, _, err = done(start("record", "u-1", "AccountOpened", stdout=full))
    assert status == 2
    assert err.startswith("error: it is recorded, but could not be shown (No space left on device): ")
    assert "run the same command again" not in err
    with closing(SqliteStore(ledger.path)) as store:
        assert len(store.history("u-1")) == 1


def _fed(process: subprocess.Popen[bytes], data: bytes) -> subprocess.Popen[bytes]:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.close()
    process.stdin = None
    return process


def test_closed_streams(mailable: Ledger) -> None:
    """A closed standard output is an error, a closed standard error is not."""
    script = f'"{sys.executable}" -m diijam_consent_sdk.cli check u-1 market email --url "$1" '
    said = "error: standard output is closed, so nothing was done: open it, or send it to /dev/null\n"
    for closed, ended in ((">&- <&-", (2, said)), (">&- 2>&-", (2, "")), (">/dev/null 2>&-", (0, ""))):
        result = subprocess.run(
            ["sh", "-c", script + closed, "sh", mailable.url], stderr=subprocess.PIPE, text=True, check=False
        )
        assert (result.returncode, result.stderr) == ended


def test_bytes_that_are_no_text(mailable: Ledger, start: Start) -> None:
    """An id on the command line that is no UTF-8 is refused in plain words."""
    status, out, err = done(start("check", b"caf\xe9", "market", "email"))
    assert (status, out, err) == (
        2,
        "",
        "error: an id holds no control, invisible, private or unassigned characters and no surrogates\n",
    )


def test_without_a_locale(ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    """What is Vietnamese is read and printed as UTF-8 also where nobody set a locale."""
    cli("record", "Nguyễn Văn A", "AccountOpened")
    for name in ("LANG", "LC_CTYPE", "PYTHONUTF8", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_ALL", "C")
    status, out, err = done(start("check", "Nguyễn Văn A".encode(), "retain", "email", "--lang", "vi"))
    assert (status, err) == (0, "")
    assert "Lưu giữ và xóa dữ liệu" in out


def test_nothing_is_logged(mailable: Ledger, start: Start) -> None:
    """What the library logs for services stays out of the way: one line tells what is wrong."""
    mailable.tamper("DROP TABLE records")
    status, out, err = done(_fed(start("permitted", "market", "email"), b"u-1\n"))
    assert (status, out, err.count("\n")) == (2, "", 1)


def test_the_pool_is_not_heard(tmp_path: Path, start: Start) -> None:
    """A PostgreSQL that is not there is one line too, without the driver's log of each attempt."""
    url = f"postgresql://u:vinh.secret@/d?host={tmp_path}&connect_timeout=2"
    started = time.monotonic()
    status, out, err = done(start("history", "u-1", "--url", url))
    assert (status, out, err.count("\n"), "secret" in err) == (2, "", 1, False)
    assert time.monotonic() - started < 18


@pytest.mark.skipif(not INSTALLED.exists(), reason="the package is not installed beside this interpreter")
def test_installed_command(mailable: Ledger) -> None:
    """The entry point of the package runs the command."""
    command = [str(INSTALLED), "check", "u-1", "market", "email"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.startswith("answer    allowed\n")


def without(module: str, *arguments: str, patch: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command where a module is not installed, and after *patch*."""
    script = f"import sys; sys.modules[{module!r}] = None; {patch} from diijam_consent_sdk.cli import main; main()"
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=False, text=True)


def test_a_bug_is_no_customers_no() -> None:
    """A command that fails by a bug tells it whole, and does not exit as a denial does."""
    result = without("no such module", patch="import diijam_consent_sdk.cli.app as app; app.run = None;")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith("TypeError: 'NoneType' object is not callable\n")


def test_a_command_that_cannot_be_imported_is_no_customers_no() -> None:
    """A module of the command that is missing or broken is told, and does not exit as a denial does."""
    result = without("diijam_consent_sdk.cli.commands.check", "check", "u-1", "market", "email")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Traceback")


def test_a_library_that_cannot_be_imported_is_no_customers_no() -> None:
    """A dependency of the library itself that is missing is told by the program, and does not exit as a denial does."""
    script = "import sys; sys.modules['msgspec'] = None; from diijam_consent_cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "msgspec" in ended.stderr


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_an_extra_that_nobody_hears_of(closed: str) -> None:
    """Without the extra nothing is denied, whatever standard error is."""
    script = "import sys; sys.modules['cyclopts'] = None; from diijam_consent_sdk.cli import main; main()"
    ended = subprocess.run(["sh", "-c", f'"{sys.executable}" -c "$1" {closed}', "sh", script], check=False)
    assert ended.returncode == 2


@pytest.mark.parametrize("module", ["cyclopts", "rich.console"])
def test_without_the_extra(module: str) -> None:
    """Without the extra the command says how to get it."""
    result = without(module)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: the command line needs its extra: pip install 'diijam-consent-sdk[cli]'\n"


def test_other_missing_modules_are_told_as_they_are() -> None:
    """Something else that is missing is not blamed on the extra."""
    assert "ModuleNotFoundError" in without("msgspec").stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this machine")
@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("new", "--name", "other", "--scope", "ask"), "revoke other"),
        (("rotate", "mailer"), "revoke mailer"),
    ],
)
def test_a_token_that_cannot_be_shown(start: Start, tmp_path: Path, words: tuple[str, ...], advice: str) -> None:
    """It is in the file, and nobody has it: the error says so, and what to do."""
    tokens = tmp_path / "tokens.json"
    new_token(tokens, "mailer", [Scope.ASK])
    with Path("/dev/full").open("wb", buffering=0) as full:
        process = start("token", *words, "--tokens", str(tokens), stdout=full)
        code, _, err = done(process)
    assert code == 2
    assert "the token was made but could not be shown (No space left on device): " in err
    assert advice in err
