"""`diijam-consent permitted`: of many customers, those of whom an ask is allowed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice, tee
from typing import Annotated, BinaryIO

import attrs
from cyclopts import Parameter

from ....client import ConsentClient
from ....decisions import Ask, Decision
from ....errors import ConsentError, StoreUnavailable
from ....stores import wire
from ....stores.protocol import Store
from ....vocabulary import Reason
from ...asks import SYNTAX, AskName, Options, Subject, ask_from
from ...console import console_for, progress
from ...input import reading, size_of
from ...output import STANDARD_OUTPUT, Rows, written_whole
from ...store import Url, asking, opened
from .audience import Audience, Row
from .checkpoint import Notes, NotResumable, Run, noting
from .tally import Tally

UNCHECKED = frozenset({Reason.UNAVAILABLE, Reason.STALE})  # nothing is known of the customer: that is no customer's no
LOOK_ON = 999  # customers after the first unchecked one, to tell how many there are: there will be no output anyway
RECALLED_AT_ONCE = 1000  # customers of an interrupted run, of whom those who were permitted are asked again
SHOW_EVERY = 500  # customers, so that the bar costs nothing
REASON_COLUMNS = ["reason", "clause"]

EXAMPLES = f"""\
Examples:
  diijam-consent permitted market email < ids.txt > may-be-mailed.txt
  diijam-consent permitted market email --input audience.csv --column user_id \\
      --output ok.csv
  diijam-consent permitted share acme-records --purpose marketing \\
      --data username --input audience.csv --column user_id --reasons
  diijam-consent permitted process surveys < ids.txt | wc -l

{SYNTAX}"""


def permitted(
    ask: AskName,
    subject: Subject = None,
    /,
    *,
    options: Options = None,
    source: Annotated[
        str,
        Parameter(
            name="--input",
            help="A file of ids, one a line; with --column a CSV file. - is standard input.",
            allow_leading_hyphen=True,
        ),
    ] = "-",
    column: Annotated[
        str | None, Parameter(help="The input is CSV with a header, and this column holds the ids.")
    ] = None,
    output: Annotated[
        str, Parameter(help="Where to write. - is standard output.", allow_leading_hyphen=True)
    ] = STANDARD_OUTPUT,
    reasons: Annotated[
        bool, Parameter(help="Write the denied customers too, as CSV, with the columns reason and clause added.")
    ] = False,
    resume: Annotated[
        bool,
        Parameter(
            help="Go on with a run that was interrupted, with the same list and --output. Whoever was permitted then is"
            " asked again, since a customer may have said no meanwhile."
        ),
    ] = False,
    url: Url = None,
) -> int:
    """
    Of many customers, write those of whom something may be done: the ids, or with --column their whole CSV rows.

    Each customer is written once, by the first row that names them. Customers nobody knows are denied; ids that can
    be none (empty, too long, with invisible characters) are counted and left out. A summary goes to standard error.
    Memory stays the same however long the list is. A list is text in UTF-8; CSV may have commas, semicolons or tabs,
    and comes out as it was, with its byte-order mark if it had one. No error shows what the list holds.

    The output is complete or absent. If a customer could not be checked, there is none: that is no customer's no.
    Beside an --output FILE, a run that was interrupted leaves FILE.resume, for --resume to go on with.

    Exit status: 0 all were checked, 2 something failed and nothing was written, 130 interrupted.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read, or not for all customers.

        ValueError, TypeError, OSError: what was typed, or what the input holds, cannot be meant, read or written.
    """
    question = ask_from(ask, subject, options)
    tally = Tally()
    with (
        reading(source) as stream,
        opened(url) as store,
        asking(store) as client,
        noting(output, partial(_run, store, question), resume=resume) as notes,
        written_whole(output) as text,
        _watching(stream) as show,
    ):
        audience = Audience(stream, column)
        rows = Rows(text, _header(audience.header) if reasons else audience.header, audience.form)
        for row, decision in _decided(client, store, audience, question, notes):
            tally.add(decision)
            show(tally.total)
            if reasons:
                rows.write([*row.values, decision.reason, str(decision.clause)])
            elif decision:
                rows.write(row.values)
    console_for(sys.stderr).print(tally.table(audience))
    return 0


def _header(header: list[str] | None) -> list[str]:
    """The header with the columns of `--reasons`."""
    taken = [name for name in REASON_COLUMNS if name in (header or ())]
    if taken:
        raise ValueError(f"--reasons adds a column {taken[0]!r}, and the input has one: rename that")
    return [*(header or ["user_id"]), *REASON_COLUMNS]


def _run(store: Store, ask: Ask) -> Run:
    question = wire.encode({"ask": type(ask).__name__, **attrs.asdict(ask, recurse=False)})
    return Run(question=question.decode(), epoch=store.load(()).cursor.epoch)


Decided = Iterator[tuple[Row, Decision]]


def _decided(client: ConsentClient, store: Store, audience: Audience, ask: Ask, notes: Notes) -> Decided:
    """
    Each row with its customer's answer; where an interrupted run has a no, that.

    Raises:
        StoreUnavailable: some could not be checked.
    """
    rows = iter(audience)
    while notes.left:
        batch = [(row, notes.recall(row.user_id)) for row in islice(rows, min(notes.left, RECALLED_AT_ONCE))]
        if not batch:
            raise NotResumable("the list is shorter than in the interrupted run: run without --resume")
        asked = _asked(client, store, (row for row, no in batch if no is None), ask)
        for row, no in batch:
            yield (row, no) if no is not None else next(asked)
    for row, decision in _asked(client, store, rows, ask):
        notes.keep(row.user_id, decision)
        yield row, decision


def _asked(client: ConsentClient, store: Store, rows: Iterator[Row], ask: Ask) -> Decided:
    """Each row with its customer's answer from the store; `client.users` looks some batches ahead, no further."""
    rows, ahead = tee(rows)
    asked = zip(rows, client.users(row.user_id for row in ahead), strict=True)
    for row, user in asked:
        decision = user.decide(ask)
        if decision.reason in UNCHECKED:
            more = list(islice(asked, LOOK_ON))
            unchecked = [row.user_id, *(r.user_id for r, other in more if other.decide(ask).reason in UNCHECKED)]
            number = f"{len(unchecked):,}" + (" or more" if len(more) == LOOK_ON else "")
            why = _why(store, unchecked)
            raise StoreUnavailable(f"{number} of the customers could not be checked, which is no customer's no: {why}")
        yield row, decision


def _why(store: Store, user_ids: list[str]) -> str:
    """What the store says of customers who could not be checked."""
    try:
        store.load(user_ids)
    except ConsentError as error:
        return str(error)
    return "the store answers again, run the same command again"


@contextmanager
def _watching(stream: BinaryIO) -> Iterator[Callable[[int], None]]:
    """A progress bar: call what this gives with the number of customers done."""
    size = size_of(stream)
    with progress("checking", size) as show:

        def at(users: int) -> None:
            if users % SHOW_EVERY == 0:
                show(0 if size is None else stream.tell(), users)

        yield at
