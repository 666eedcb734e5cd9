"""`diijam-consent permitted`: of many customers, those of whom an ask is allowed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import tee
from typing import Annotated, BinaryIO

from cyclopts import Parameter

from ..client import ConsentClient
from ..decisions import Ask, Decision
from ..errors import ConsentError, StoreUnavailable
from ..stores.protocol import Store
from ..vocabulary import Reason
from .asks import SYNTAX, AskName, Options, Subject, ask_from
from .audience import Audience, Row
from .inputs import reading, size_of
from .ledger import Url, asking, opened
from .results import STANDARD_OUTPUT, Rows, written_whole
from .tally import Tally
from .terminal import console_for, progress

UNCHECKED = frozenset({Reason.UNAVAILABLE, Reason.STALE})  # nothing is known of the customer: that is no customer's no
GIVE_UP_AFTER = 1000  # unchecked customers: there will be no output anyway
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
    url: Url = None,
) -> int:
    """
    Of many customers, write those of whom something may be done: the ids, or with --column their whole CSV rows.

    Each customer is written once, by the first row that names them. Customers nobody knows are denied; ids that can
    be none (empty, too long, with control characters) are counted and left out. A summary goes to standard error.
    Memory stays the same however long the list is, except for the ids themselves, kept to find duplicates.

    The output is complete or absent. If a customer could not be checked, there is none: that is no customer's no.

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
        written_whole(output) as text,
        _watching(stream) as show,
    ):
        audience = Audience(stream, column)
        rows = Rows(text, _header(audience.header) if reasons else audience.header)
        for row, decision in _decided(client, store, audience, question):
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


def _decided(client: ConsentClient, store: Store, rows: Iterable[Row], ask: Ask) -> Iterator[tuple[Row, Decision]]:
    """
    Each row with its customer's answer; `client.users` looks a batch ahead, and only so much is kept.

    Raises:
        StoreUnavailable: some could not be checked.
    """
    unchecked: list[str] = []
    rows, ahead = tee(rows)
    for row, user in zip(rows, client.users(row.user_id for row in ahead), strict=True):
        decision = user.decide(ask)
        if decision.reason not in UNCHECKED:
            yield row, decision
            continue
        unchecked.append(row.user_id)
        if len(unchecked) == GIVE_UP_AFTER:
            break
    if unchecked:
        number = f"{len(unchecked):,} or more" if len(unchecked) == GIVE_UP_AFTER else f"{len(unchecked):,}"
        why = _why(store, unchecked)
        raise StoreUnavailable(f"{number} of the customers could not be checked, which is no customer's no: {why}")


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
