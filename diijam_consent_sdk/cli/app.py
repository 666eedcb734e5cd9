"""
Put the commands together under one name, and run one of them.

What a process needs once is set here too: signals, the encoding of its streams, and the log.
"""

from __future__ import annotations

import inspect
import logging
import signal
import sys
from collections.abc import Callable, Sequence

from cyclopts import App, Parameter

from .. import __version__
from .commands import (
    check,
    conformance,
    copy,
    due,
    entries,
    file,
    head,
    history,
    holder,
    init,
    notice,
    permitted,
    ping,
    record,
    replay,
    report,
    serve,
    token,
    verify,
    watch,
)
from .console import make_console, print_status
from .errors import FAILED, raise_terminated, run_command
from .streams import flush_or_drop, use_utf_8

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
  diijam-consent file u-1 --output u-1.html
  diijam-consent report --html report.html
  diijam-consent verify

For the services of several machines:
  diijam-consent token new --tokens tokens.json --name shop \\
      --scope ask --scope write
  diijam-consent serve --url sqlite:///consents.db --tokens tokens.json
  diijam-consent ping --url http://127.0.0.1:8700
"""

app = App(
    name="diijam-consent",
    help=HELP,
    help_epilogue=EXAMPLES,
    help_format="plaintext",
    version=__version__,
    default_parameter=Parameter(negative=(), show_default=False),
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


def _add_command(
    command: Callable[..., int], usage: str, examples: str, to: App = app, name: str | None = None
) -> None:
    """Add a command. Its help is its docstring down to `Returns:`, each paragraph folded to the terminal's width."""
    text = inspect.cleandoc(command.__doc__ or "").partition("\n\nReturns:")[0]
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    to.command(
        command, name=name, help="\n\n".join(paragraphs), usage=f"Usage: diijam-consent {usage}", help_epilogue=examples
    )


_add_command(record.record, record.USAGE, record.EXAMPLES)
_add_command(check.check, "check USER_ID ASK SUBJECT [OPTIONS]", check.EXAMPLES)
_add_command(permitted.permitted, "permitted ASK SUBJECT [OPTIONS]", permitted.EXAMPLES)
_add_command(history.history, "history USER_ID [OPTIONS]", history.EXAMPLES)
_add_command(watch.watch, "watch ASK SUBJECT [OPTIONS]", watch.EXAMPLES)
_add_command(entries.entries, "entries [OPTIONS]", entries.EXAMPLES)
_add_command(file.file, "file USER_ID [OPTIONS]", file.EXAMPLES)
_add_command(due.due, "due [OPTIONS]", due.EXAMPLES)
_add_command(report.report, "report [OPTIONS]", report.EXAMPLES)
_add_command(init.init, "init [OPTIONS]", init.EXAMPLES)
_add_command(ping.ping, "ping [OPTIONS]", ping.EXAMPLES)
_add_command(head.head, "head [OPTIONS]", head.EXAMPLES)
_add_command(verify.verify, "verify [OPTIONS]", verify.EXAMPLES)
_add_command(conformance.conformance, "conformance [OPTIONS]", conformance.EXAMPLES)
_add_command(copy.copy, "copy --from URL --to URL", copy.EXAMPLES)
_add_command(replay.replay, "replay --from URL [OPTIONS]", replay.EXAMPLES)
_add_command(serve.serve, "serve --tokens FILE [OPTIONS]", serve.EXAMPLES)
token_app = App(name="token", help=token.HELP, help_epilogue=token.EXAMPLES)
_add_command(token.new, "token new --tokens FILE --name NAME --scope SCOPE", token.NEW_EXAMPLES, to=token_app)
_add_command(token.rotate, "token rotate NAME --tokens FILE", token.ROTATE_EXAMPLES, to=token_app)
_add_command(token.show, "token list --tokens FILE", token.LIST_EXAMPLES, to=token_app, name="list")
_add_command(token.revoke, "token revoke NAME --tokens FILE", token.REVOKE_EXAMPLES, to=token_app)
app.command(token_app)
notice_app = App(name="notice", help=notice.HELP, help_epilogue=notice.ADD_EXAMPLES)
_add_command(notice.add, notice.USAGE, notice.ADD_EXAMPLES, to=notice_app)
_add_command(notice.list_, "notice list [OPTIONS]", notice.LIST_EXAMPLES, to=notice_app)
_add_command(notice.show, "notice show ID [--lang LANGUAGE] [OPTIONS]", notice.SHOW_EXAMPLES, to=notice_app)
app.command(notice_app)
holder_app = App(name="holder", help=holder.HELP, help_epilogue=holder.ADD_EXAMPLES)
_add_command(holder.add, "holder add NAME [OPTIONS]", holder.ADD_EXAMPLES, to=holder_app)
_add_command(holder.list_, "holder list [OPTIONS]", holder.LIST_EXAMPLES, to=holder_app)
_add_command(holder.retire, "holder retire NAME [OPTIONS]", holder.RETIRE_EXAMPLES, to=holder_app)
_add_command(holder.owed, "holder owed NAME [OPTIONS]", holder.OWED_EXAMPLES, to=holder_app)
_add_command(holder.confirm, "holder confirm NAME USER_ID ... [OPTIONS]", holder.CONFIRM_EXAMPLES, to=holder_app)
app.command(holder_app)


def run(arguments: Sequence[str]) -> int:
    """
    Run one command.

    Args:
        arguments: What follows the program's name.

    Returns:
        The exit status.
    """

    def command() -> int:
        # Help is folded for people, also where the width is not known.
        return int(app(list(arguments), console=make_console(sys.stdout, columns=80)) or 0)

    return run_command(command)


def main() -> None:
    """
    Run the command that the process was started with.

    Raises:
        SystemExit: always; its code is the exit status.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, raise_terminated)
    is_closed = sys.stdout is None
    sys.stdout, sys.stderr = use_utf_8(sys.stdout), use_utf_8(sys.stderr)
    if is_closed and sys.argv[1:2] != ["serve"]:  # a service has no results to lose
        print_status("error: standard output is closed, so nothing was done: open it, or send it to /dev/null")
        flush_or_drop(sys.stderr)
        sys.exit(FAILED)
    # The library's log is for services; a command reports each failure in one line.
    for name in ("diijam_consent_sdk", "psycopg"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    status = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):  # an error of either was reported already
        flush_or_drop(stream)
    sys.exit(status)
