"""The one place where errors become a line on standard error, saying what to do next, and an exit status."""

from __future__ import annotations

import csv
import errno
import re
import signal
import sys
from collections.abc import Callable
from types import FrameType

from cyclopts import CycloptsError, UnknownOptionError, UnusedCliTokensError

from ..errors import ConsentError
from .console import tell

FAILED = 2
READER_GONE = 128 + 13  # what a shell reports of a program that SIGPIPE ended

# What the world or the user did, or did not install. Anything else is a bug of ours, and its traceback is for us.
EXPECTED = (CycloptsError, ConsentError, ValueError, TypeError, OSError, csv.Error, ImportError)

ADVICE = {
    errno.ENOENT: "see that the path is right",
    errno.EACCES: "give this user the right to it",
    errno.EISDIR: "name a file",
    errno.ENOSPC: "free some space, then run the same command again",
    errno.EROFS: "name a place that may be written",
}

LACKING = re.compile(r'(?:Command ".*" p|P)arameter (\S+) requires an argument')


class Listed(ValueError):
    """An error with a list under it: `.lines`, one for each thing to correct."""

    def __init__(self, message: str, lines: list[str]) -> None:
        super().__init__(message)
        self.lines = lines


class Terminated(KeyboardInterrupt):
    """Another signal than Ctrl-C asks the command to stop; it ends as tidily."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


def stop_on(signal_number: int, _: FrameType | None) -> None:
    """Handle a signal by unwinding the command."""
    raise Terminated(signal_number)


def status_of(command: Callable[[], int]) -> int:
    """
    Run *command*, and say on standard error why it failed if it did.

    What an error carries as notes (`add_note`) tells what was and was not done by then.

    Returns:
        Its own exit status; 2 after an error, 128 and the signal's number if it was stopped by one.
    """
    try:
        status = command()
        sys.stdout.flush()  # a disk that is full says so here, not at the interpreter's exit
    except BrokenPipeError:
        return READER_GONE
    except KeyboardInterrupt as error:
        tell("stopped: " + _notes(error, "nothing was written"))
        return 128 + getattr(error, "signal_number", signal.SIGINT)
    except EXPECTED as error:
        tell("; ".join(filter(None, ["error: " + _sentence(error), _notes(error)])))
        tell(*getattr(error, "lines", ()))
        return FAILED
    return status


def _notes(error: BaseException, otherwise: str = "") -> str:
    return "; ".join(getattr(error, "__notes__", ())) or otherwise


def _sentence(error: BaseException) -> str:
    if isinstance(error, CycloptsError):
        return _usage(error)
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        advice = ADVICE.get(error.errno or 0)
        return f"{where}{error.strerror}" + (f": {advice}" if advice else "")
    return str(error) or type(error).__name__


def _usage(error: CycloptsError) -> str:
    hyphen = " (an id that begins with - goes after --, behind all options)"
    hint = hyphen if isinstance(error, UnknownOptionError) else ""
    command = " ".join(["diijam-consent", *(error.command_chain or ())])
    return f"{_said(error)}{hint}: see {command} --help"


def _said(error: CycloptsError) -> str:
    """What the parser says, in our words where its own are hard to read."""
    if isinstance(error, UnusedCliTokensError):
        tokens = error.unused_tokens or []
        return f"{len(tokens)} more than it takes: {', '.join(map(repr, tokens))}"
    said = str(error).partition(" Available commands:")[0].rstrip(".")  # `--help` lists them all
    lacking = LACKING.fullmatch(said)
    return (
        said if lacking is None else f"{lacking[1]} {'needs a value' if lacking[1].startswith('-') else 'is missing'}"
    )
