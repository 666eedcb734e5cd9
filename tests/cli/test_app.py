"""The entry point and the one place that turns errors into words, within this process."""

from __future__ import annotations

import csv
import io
import logging
import os
import runpy
import signal
import sys
from collections.abc import Iterator

import pytest

import diijam_consent_cli
from diijam_consent_sdk import cli as package
from diijam_consent_sdk.cli import errors
from diijam_consent_sdk.cli.console import make_console, print_status
from tests.cli.conftest import Cli, Ledger
from tests.cli.fakes import Feed, Unread


@pytest.fixture
def restored() -> Iterator[None]:
    """The process's own signal handlers and log handlers come back."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    logger = logging.getLogger("diijam_consent_sdk")
    handlers = list(logger.handlers)
    yield
    logger.handlers = handlers
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def exit_status(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """What `main` exits with."""
    monkeypatch.setattr("sys.argv", ["diijam-consent", *arguments])
    with pytest.raises(SystemExit) as exit_:
        package.main()
    return exit_.value.code


@pytest.mark.usefixtures("restored")
def test_main(mailable: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process exits with the command's status, prints UTF-8, and minds SIGTERM but no signal that is ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    assert exit_status(monkeypatch, "check", "u-1", "market", "call", "--lang", "vi") == 1
    out.seek(0)
    assert "Bạn chưa đồng ý cho Diijam dùng dữ liệu vào mục đích này." in out.read()
    assert signal.getsignal(signal.SIGTERM) is errors.raise_terminated
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("restored")
def test_run_as_a_module(mailable: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m diijam_consent_sdk.cli` is the command, also where standard output is of somebody's own making."""
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.argv", ["diijam-consent", "check", "u-1", "market", "email"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("diijam_consent_sdk.cli", run_name="__main__")
    assert (exit_.value.code, out.getvalue()[:17]) == (0, "answer    allowed")


@pytest.mark.usefixtures("restored")
def test_main_without_streams(mailable: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard output is an error, except for a service; a closed standard error is not."""
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert exit_status(monkeypatch, "check", "u-1", "market", "email") == 2
    sys.stdout.close()
    sys.stderr.close()
    errors = io.StringIO()
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", errors)
    assert exit_status(monkeypatch, "serve", "--tokens", "missing.json") == 2
    assert "missing.json: No such file" in errors.getvalue()
    sys.stdout.close()
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr("sys.stderr", None)
    assert exit_status(monkeypatch, "check", "u-1", "market", "email") == 0
    sys.stderr.close()


@pytest.mark.usefixtures("restored")
def test_main_without_a_reader(mailable: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody reads, nothing is left that the interpreter could complain of at its end."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert exit_status(monkeypatch, "check", "u-1", "market", "email") == 141


@pytest.mark.parametrize("missing", ["cyclopts", "rich.console", "msgspec"])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str) -> None:
    """Where the extra is not installed the command says how to get it; nothing else is blamed on it."""
    monkeypatch.delitem(sys.modules, "diijam_consent_sdk.cli.app")
    monkeypatch.setattr(sys, "meta_path", [_Missing(missing)])
    with pytest.raises(SystemExit) as raised:
        package.main()
    assert raised.value.code == 2
    assert ("pip install 'diijam-consent-sdk[cli]'" in capsys.readouterr().err) is (missing != "msgspec")


class _Missing:
    """An import system in which a module is missing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, *_: object) -> None:
        raise ModuleNotFoundError(name=self._name)


@pytest.mark.parametrize("module", ["diijam_consent_sdk", "diijam_consent_sdk.cli", "diijam_consent_sdk.cli.app"])
def test_stopped_while_importing(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Ctrl-C while the package or the command is still being loaded ends it without a word."""

    class Stopping:
        """An import system that Ctrl-C interrupts."""

        def find_spec(self, *_: object) -> None:
            """Find nothing: be interrupted."""
            raise KeyboardInterrupt

    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Stopping()])
    with pytest.raises(SystemExit) as exit_:
        diijam_consent_cli.main()
    assert exit_.value.code == 130


def test_terminated(mailable: Ledger, cli: Cli) -> None:
    """SIGTERM ends a command as tidily as Ctrl-C, with its own status."""

    def terminated() -> Iterator[bytes]:
        yield b"u-1\n"
        errors.raise_terminated(signal.SIGTERM, None)

    result = cli("permitted", "market", "email", stdin=Feed(terminated()))
    assert (result.status, result.out, result.err.count("\n")) == (143, "", 1)
    assert result.err.startswith("stopped: nothing was written; run the same command again")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (csv.Error("odd"), "error: odd\n"),
        (ValueError(), "error: ValueError\n"),
        (OSError("odd"), "error: odd\n"),
        (OSError(5, "Input/output error", "/dev/sda"), "error: /dev/sda: Input/output error\n"),
        (PermissionError(13, "Permission denied", "x"), "error: x: Permission denied: give this user the right"),
        (ValueError("two\nlines, \x1b[31mred"), "error: two\\nlines, \\x1b[31mred\n"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"), "error: 'utf-8' codec can't decode byte 0xff"),
    ],
    ids=repr,
)  # fmt: skip
def test_each_error_is_a_line(capsys: pytest.CaptureFixture[str], error: Exception, said: str) -> None:
    """Whatever the error, one line of words that a terminal can show."""

    def command() -> int:
        raise error

    assert errors.run_command(command) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(said)
    assert shown.count("\n") == 1


def test_bugs_are_not_hidden() -> None:
    """An error that nothing outside can cause stays what it is."""
    with pytest.raises(ZeroDivisionError):
        errors.run_command(lambda: 1 // 0)


def test_a_reader_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that nobody reads raises BrokenPipeError; an error that nobody reads raises nothing."""
    with pytest.raises(BrokenPipeError):
        make_console(Unread()).print("a table")
    monkeypatch.setattr("sys.stderr", Unread())
    print_status("nobody reads this")
