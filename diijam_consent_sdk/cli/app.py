"""The commands under one name, and how one of them is run."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from cyclopts import App, Parameter

from .commands import check, conformance, copy, due, history, init, permitted, ping, record, serve
from .console import console_for, tell
from .errors import FAILED, status_of, stop_on

HELP = """Ask what Diijam's privacy policy allows of a customer's data, and record what customers did.

Results go to standard output, everything else to standard error; --json and CSV are for machines.

Exit status: 0 yes or done, 1 a customer's no (verify: a broken ledger), 2 something went wrong, 130 Ctrl-C."""

EXAMPLES = """\
Start here:
  export DIIJAM_CONSENT_URL=sqlite:///consents.db
  diijam-consent record u-1 AccountOpened
  diijam-consent record u-1 Granted --purpose marketing --notice promo \\
      --channel email
  diijam-consent check u-1 market email
  diijam-consent permitted market email --input audience.csv --column user_id
  diijam-consent history u-1
  diijam-consent verify

For the services of several machines:
  diijam-consent token new --tokens tokens.json --scope read --scope write
  diijam-consent serve --url sqlite:///consents.db --tokens tokens.json
  diijam-consent ping --url http://127.0.0.1:8700
"""

app = App(
    name="diijam-consent",
    help=HELP,
    help_epilogue=EXAMPLES,
    help_format="plaintext",
    version=lambda: version("diijam-consent-sdk"),
    default_parameter=Parameter(negative=(), show_default=False),
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


def _add(command: Callable[..., int], usage: str, examples: str, to: App = app) -> None:
    """Add a command. Its help is its docstring down to `Returns:`, each paragraph folded to the width at hand."""
    text = inspect.cleandoc(command.__doc__ or "").partition("\n\nReturns:")[0]
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    to.command(command, help="\n\n".join(paragraphs), usage=f"Usage: diijam-consent {usage}", help_epilogue=examples)


_add(record.record, record.USAGE, record.EXAMPLES)
_add(check.check, "check USER_ID ASK SUBJECT [OPTIONS]", check.EXAMPLES)
_add(permitted.permitted, "permitted ASK SUBJECT [OPTIONS]", permitted.EXAMPLES)
_add(history.history, "history USER_ID [OPTIONS]", history.HISTORY_EXAMPLES)
_add(due.due, "due [OPTIONS]", due.EXAMPLES)
_add(init.init, "init [OPTIONS]", init.EXAMPLES)
_add(ping.ping, "ping [OPTIONS]", ping.EXAMPLES)
_add(history.verify, "verify [OPTIONS]", history.VERIFY_EXAMPLES)
_add(conformance.conformance, "conformance [OPTIONS]", conformance.EXAMPLES)
_add(copy.copy, "copy --from URL --to URL", copy.EXAMPLES)
_add(serve.serve, "serve --tokens FILE [OPTIONS]", serve.SERVE_EXAMPLES)
token = App(name="token", help=serve.OF_TOKENS, help_epilogue=serve.NEW_EXAMPLES)
_add(serve.new, "token new --tokens FILE --scope read|write", serve.NEW_EXAMPLES, to=token)
app.command(token)


def run(arguments: Sequence[str]) -> int:
    """
    Run one command.

    Args:
        arguments: What follows the program's name.

    Returns:
        The exit status.
    """

    def command() -> int:
        # Help is folded for people also where nobody says how wide they read.
        return int(app(list(arguments), console=console_for(sys.stdout, columns=80)) or 0)

    return status_of(command)


def _utf_8(stream: TextIO | None) -> TextIO:
    """The stream in UTF-8 whatever the locale; one that was closed before we began swallows what it is given."""
    if stream is None:
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it stays open as long as the process
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return stream


def main() -> None:
    """
    Run the command that the process was started with.

    Raises:
        SystemExit: always; its code is the exit status.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop_on)
    is_closed = sys.stdout is None
    sys.stdout, sys.stderr = _utf_8(sys.stdout), _utf_8(sys.stderr)
    if is_closed and sys.argv[1:2] != ["serve"]:  # which has no results to lose
        tell("error: standard output is closed, so nothing was done: open it, or send it to /dev/null")
        sys.exit(FAILED)
    # What the library logs is for services; here each failure has its one line.
    for name in ("diijam_consent_sdk", "psycopg"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # said already; the interpreter must not say it again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
