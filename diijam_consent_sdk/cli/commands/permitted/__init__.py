"""
`diijam-consent permitted`: filter a list of customers by an ask.

A campaign asks for millions at once, so it streams, and a run that was interrupted can be resumed.
"""

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
from ....client.exchanges import MALFORMED
from ....decisions import NOT_ENTITLED, UNANSWERED, Ask, Decision, entitlement_error
from ....errors import ConsentError, StoreUnavailable
from ....stores import wire
from ....stores.protocol import Store
from ....stores.standings import decode_standing
from ...console import make_console, show_progress
from ...input import file_size, open_input
from ...options import SYNTAX, AskName, AskOptions, Subject, parse_ask
from ...output import STANDARD_OUTPUT, open_output
from ...store import Url, make_client, open_store
from .audience import Audience, Row
from .checkpoint import Checkpoint, NotResumable, Run, open_checkpoint
from .csv_rows import RowWriter
from .tally import Tally

LOOKAHEAD = 999  # customers checked after the first unchecked one, only to count the unchecked
RESTORED_AT_ONCE = 1000  # customers of an interrupted run
UPDATE_EVERY = 500  # customers, so that the progress bar costs nothing
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


Source = Annotated[
    str,
    Parameter(
        name="--input",
        help="A file of ids, one a line; with --column a CSV file. - is standard input.",
        allow_leading_hyphen=True,
    ),
]
Column = Annotated[str | None, Parameter(help="The input is CSV with a header, and this column holds the ids.")]
Output = Annotated[str, Parameter(help="Where to write. - is standard output.", allow_leading_hyphen=True)]
Reasons = Annotated[
    bool, Parameter(help="Write the denied customers too, as CSV, with the columns reason and clause added.")
]
Resume = Annotated[
    bool,
    Parameter(
        help="Go on with a run that was interrupted, with the same list and --output. Customers who were permitted"
        " then are asked again, since they may have said no meanwhile."
    ),
]


def permitted(
    ask: AskName,
    subject: Subject = None,
    /,
    *,
    options: Annotated[AskOptions | None, Parameter(name="*")] = None,
    source: Source = "-",
    column: Column = None,
    output: Output = STANDARD_OUTPUT,
    reasons: Reasons = False,
    resume: Resume = False,
    url: Url = None,
) -> int:
    """
    Write those of many customers who allow something: their ids, or their CSV rows.

    With --column the list is CSV, and whole rows are written. Each customer is written once, by the first row that
    names them. Unknown customers are denied. What cannot be an id (empty, too long, with invisible characters) is
    counted and left out. A summary goes to standard error. Memory stays the same however long the list is. A list
    is text in UTF-8; CSV may have commas, semicolons or tabs, and comes out as it was, with its byte-order mark if
    it had one. No error shows what the list holds.

    The output is complete or absent. It is absent too if a customer could not be checked, which is no customer's no.
    Beside an --output FILE, a run that was interrupted leaves FILE.resume, for --resume to go on with.

    Exit status: 0 all were checked, 2 something failed and nothing was written, 130 interrupted.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read, or not for all customers.

        ValueError, TypeError, OSError: what was typed, or what the input holds, cannot be meant, read or written.
    """
    question = parse_ask(ask, subject, options)
    tally = Tally()
    with (
        open_input(source) as stream,
        open_store(url) as store,
        make_client(store) as client,
        open_checkpoint(output, partial(_describe_run, store, question), resume=resume) as checkpoint,
        open_output(output) as text,
        _count_customers(stream) as update,
    ):
        audience = Audience(stream, column)
        header = _add_reason_columns(audience.header) if reasons else audience.header
        writer = RowWriter(text, header, audience.dialect)
        for row, decision in _decide_rows(client, store, audience, question, checkpoint):
            tally.add(decision)
            update(tally.total)
            if reasons:
                writer.write([*row.values, decision.reason, str(decision.clause)])
            elif decision:
                writer.write(row.values)
    make_console(sys.stderr).print(tally.table(audience))
    return 0


def _add_reason_columns(header: list[str] | None) -> list[str]:
    """Return the header with the columns of `--reasons`."""
    taken = [name for name in REASON_COLUMNS if name in (header or ())]
    if taken:
        raise ValueError(f"--reasons adds a column {taken[0]!r}, and the input has one: rename that")
    return [*(header or ["user_id"]), *REASON_COLUMNS]


def _describe_run(store: Store, ask: Ask) -> Run:
    question = wire.encode({"ask": type(ask).__name__, **attrs.asdict(ask, recurse=False)})
    return Run(question=question.decode(), epoch=store.standings(()).cursor.epoch)


DecidedRows = Iterator[tuple[Row, Decision]]


def _decide_rows(
    client: ConsentClient, store: Store, audience: Audience, ask: Ask, checkpoint: Checkpoint
) -> DecidedRows:
    """
    Yield each row with the answer of its customer: the interrupted run's denial, or the store's answer.

    Raises:
        StoreUnavailable: some customers could not be checked.
    """
    rows = iter(audience)
    while checkpoint.remaining:
        count = min(checkpoint.remaining, RESTORED_AT_ONCE)
        batch = [(row, checkpoint.restore(row.user_id)) for row in islice(rows, count)]
        if not batch:
            raise NotResumable("the list is shorter than in the interrupted run: run without --resume")
        asked = _ask_store(client, store, (row for row, denial in batch if denial is None), ask)
        for row, denial in batch:
            yield (row, denial) if denial is not None else next(asked)
    for row, decision in _ask_store(client, store, rows, ask):
        checkpoint.save(row.user_id, decision)
        yield row, decision


def _ask_store(client: ConsentClient, store: Store, rows: Iterator[Row], ask: Ask) -> DecidedRows:
    """Yield each row with the store's answer. `client.users` reads some batches ahead, and `tee` keeps only those."""
    rows, ahead = tee(rows)
    asked = zip(rows, client.users(row.user_id for row in ahead), strict=True)
    for row, user in asked:
        decision = user.decide(ask)
        if decision is NOT_ENTITLED:
            raise entitlement_error(ask)
        if decision.reason in UNANSWERED:
            more = list(islice(asked, LOOKAHEAD))
            unchecked = [row.user_id, *(r.user_id for r, other in more if other.decide(ask).reason in UNANSWERED)]
            number = f"{len(unchecked):,}" + (" or more" if len(more) == LOOKAHEAD else "")
            why = _find_cause(store, unchecked)
            raise StoreUnavailable(f"{number} of the customers could not be checked, which is no customer's no: {why}")
        yield row, decision


def _find_cause(store: Store, user_ids: list[str]) -> str:
    """Ask the store again why these customers could not be checked, since a guard gives no cause."""
    try:
        answer = store.standings(user_ids)
        for row in answer.users:
            decode_standing(row.standing, answer.view)
    except ConsentError as error:
        return str(error)
    except wire.Malformed:
        return MALFORMED
    return "the store answers again, run the same command again"


@contextmanager
def _count_customers(stream: BinaryIO) -> Iterator[Callable[[int], None]]:
    """Show a progress bar, and give a function that updates it with the number of customers done."""
    size = file_size(stream)
    with show_progress("checking", size) as update:

        def count(users: int) -> None:
            if users % UPDATE_EVERY == 0:
                update(0 if size is None else stream.tell(), users)

        yield count
