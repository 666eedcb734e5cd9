"""
Turn errors into a line on standard error and an exit status.

One place does it for all commands, so each failure is one line that ends with what to do next, never a traceback.
"""

from __future__ import annotations

import csv
import errno
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cyclopts import CycloptsError, UnknownOptionError, UnusedCliTokensError

from ..errors import ConsentError
from .console import print_status

FAILED = 2
READER_GONE = 128 + 13  # what a shell reports of a program that SIGPIPE ended

# Causes outside this program. Any other error is a bug, and keeps its traceback.
EXPECTED = (CycloptsError, ConsentError, ValueError, TypeError, OSError, csv.Error, ImportError)

ADVICE = {
    errno.ENOENT: "see that the path is right",
    errno.EACCES: "give this user the right to it",
    errno.EISDIR: "name a file",
    errno.ENOSPC: "free some space, then run the same command again",
    errno.EROFS: "name a place that may be written",
}

NO_NUMBER = re.compile(r"unable to convert (.*) into int$")
MISSING = re.compile(r'(?:Command ".*" p|P)arameter (\S+) requires an argument')


class ErrorList(ValueError):
    """An error with a list below its message, `.lines`, one for each thing to correct."""

    def __init__(self, message: str, lines: list[str]) -> None:
        super().__init__(message)
        self.lines = lines


class Terminated(KeyboardInterrupt):
    """A signal other than Ctrl-C that stops the command, by the same way out."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


def raise_terminated(signal_number: int, _: FrameType | None) -> None:
    """Handle a signal by unwinding the command."""
    raise Terminated(signal_number)


@contextmanager
def noting_stop(note: str) -> Iterator[None]:
    """Tell by *note* what a signal may have left done, where it stops a command that writes."""
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note(note)
        raise


def run_command(command: Callable[[], int]) -> int:
    """
    Run *command*, and print on standard error why it failed if it did.

    The notes of an error (`add_note`) tell what was and was not done by then.

    Returns:
        The exit status of *command*; 2 after an error, 128 and the signal's number if a signal stopped it.
    """
    try:
        status = command()
        sys.stdout.flush()  # a full disk must fail here, not at the interpreter's exit
    except BrokenPipeError:
        return READER_GONE
    except KeyboardInterrupt as error:
        print_status(": ".join(filter(None, ["stopped", _notes(error)])))
        return 128 + getattr(error, "signal_number", signal.SIGINT)
    except EXPECTED as error:
        print_status("; ".join(filter(None, ["error: " + _message(error), _notes(error)])))
        print_status(*getattr(error, "lines", ()))
        return FAILED
    return status


def _notes(error: BaseException) -> str:
    return "; ".join(getattr(error, "__notes__", ()))


def _message(error: BaseException) -> str:
    if isinstance(error, CycloptsError):
        return _usage_message(error)
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        advice = ADVICE.get(error.errno or 0)
        return f"{where}{error.strerror}" + (f": {advice}" if advice else "")
    return str(error) or type(error).__name__


def _usage_message(error: CycloptsError) -> str:
    hyphen = " (an id that begins with - goes after --, behind all options)"
    hint = hyphen if isinstance(error, UnknownOptionError) else ""
    command = " ".join(["diijam-consent", *(error.command_chain or ())])
    return f"{_parser_message(error)}{hint}: see {command} --help"


def _parser_message(error: CycloptsError) -> str:
    """Return the parser's message, reworded where it is hard to read."""
    if isinstance(error, UnusedCliTokensError):
        tokens = error.unused_tokens or []
        return f"{len(tokens)} more than it takes: {', '.join(map(repr, tokens))}"
    message = str(error).partition(" Available commands:")[0].rstrip(".")  # `--help` lists them all
    message = NO_NUMBER.sub(r"\1 is no whole number", message)
    missing = MISSING.fullmatch(message)
    if missing is None:
        return message
    return f"{missing[1]} {'needs a value' if missing[1].startswith('-') else 'is missing'}"
