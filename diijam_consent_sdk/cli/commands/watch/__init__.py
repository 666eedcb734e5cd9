"""
`diijam-consent watch`: everybody's answer to an ask, then whoever changes, for those who keep copies.

The checkpoint moves with the consumer's work and never before it, so a crash anywhere misses nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter

from ....client import ConsentClient
from ....client.ledger import watch_pages
from ....client.watch import OTHER_HISTORY, Watched
from ....decisions import Ask
from ....errors import HistoryChanged, StoreUnavailable
from ....stores import wire
from ....stores._retry import backoff
from ...console import print_status, show_progress
from ...options import SYNTAX, AskName, AskOptions, Subject, parse_ask
from ...store import Url, make_client, open_store
from .batches import Batches, open_batches
from .watch_checkpoint import WatchCheckpoint, open_watch_checkpoint

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.1, 5.0
BEGIN = wire.encode({"begin": True})

EXAMPLES = f"""\
Examples:
  diijam-consent watch market email --checkpoint mailer.checkpoint \\
      --exec "python apply.py"
  diijam-consent watch market email | jq -c 'select(.allowed == false)'
  diijam-consent watch share acme-records --purpose marketing \\
      --data username --checkpoint acme.token --exec ./push-to-acme

{SYNTAX}"""

Checkpoint = Annotated[
    str | None,
    Parameter(
        help="With --exec: a file that keeps how far the watch came, for its owner alone to read. It goes on from"
        " there. One watch at a time may use it; beside it lies FILE.lock."
    ),
]
Exec = Annotated[
    str | None,
    Parameter(
        name="--exec",
        help="Run this program for each batch, with the lines on its standard input. The checkpoint moves only after"
        " its exit status was 0. It is run without a shell.",
    ),
]


def watch(
    ask: AskName,
    subject: Subject = None,
    /,
    *,
    options: Annotated[AskOptions | None, Parameter(name="*")] = None,
    checkpoint: Checkpoint = None,
    program: Exec = None,
    url: Url = None,
) -> int:
    """
    Print everybody's answer to an ask, then for ever that of each customer who changes.

    The output is JSON Lines. The line {"begin": true} starts a list of everybody: empty what you keep. Each other line
    has user_id, allowed, reason, clause, until (the instant from which a yes ends by itself, or null), snapshot and
    token. Take each as the truth. A line may come twice; with --exec and --checkpoint none is left out, also after a
    crash. If the ledger was restored to an older copy, the list of everybody starts again.

    While the store is away it waits, and goes on. Ctrl-C leaves the checkpoint where the work is.

    Exit status: 2 something failed, or the program did, as the error says; 130 interrupted.

    Returns:
        The exit status.

    Raises:
        ConsentError: the ledger cannot be watched.

        ValueError, OSError: what was typed cannot be meant, the checkpoint is of another watch, or cannot be kept; or
            the program failed.
    """
    question = parse_ask(ask, subject, options)
    if checkpoint is not None and program is None:
        raise ValueError("--checkpoint goes with --exec: whether printed lines were taken in, nobody can tell")
    with (
        open_watch_checkpoint(checkpoint, question) as place,
        open_store(url) as store,
        make_client(store) as client,
        open_batches(program, place.lock) as batches,
        show_progress("watching", None, "answers") as update,
    ):
        try:
            for page in _pages(client, question, place, batches):
                batches.run(line_of(item) for item in page)
                place.save(page[-1].token)
                update(0, batches.lines)
        except KeyboardInterrupt as error:
            error.add_note(place.note())
            raise
    return 0


def line_of(item: Watched) -> bytes:
    """Encode an item as a line of JSON, without the line's end."""
    fields = {
        "user_id": item.user_id, "allowed": item.decision.allowed, "reason": item.decision.reason,
        "clause": item.decision.clause, "until": item.until, "snapshot": item.is_snapshot, "token": item.token,
    }  # fmt: skip
    return wire.encode(fields)


def _pages(client: ConsentClient, ask: Ask, place: WatchCheckpoint, batches: Batches) -> Iterator[list[Watched]]:
    """Yield the pages of items for ever: from the checkpoint on, or from a new list of everybody."""
    failures = 0
    while True:
        if place.token is None:
            batches.run([BEGIN])
        try:
            for page in watch_pages(client, ask, place.token):
                failures = 0
                if page:
                    yield page
        except HistoryChanged:
            print_status(f"beginning again with everybody: {OTHER_HISTORY}")
            place.token = None
        except StoreUnavailable as error:
            if not failures:
                print_status(f"waiting for the store: {error}")
            time.sleep(backoff(failures, longest=MAX_PAUSE_SECONDS, least=MIN_PAUSE_SECONDS))
            failures += 1
