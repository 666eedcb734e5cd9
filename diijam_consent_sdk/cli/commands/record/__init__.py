"""
`diijam-consent record`: write one event, or a file of events.

Imports are long and get interrupted, so the same command again finishes the work and writes nothing twice.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, BinaryIO

from cyclopts import Parameter

from ....errors import OutcomeUnknown
from ....events import Event, Provenance
from ....identifiers import identifier
from ...console import print_result, print_status
from ...errors import FAILED
from ...input import file_size, open_input
from ...options import DEFAULT_ACTOR, Actor
from ...store import Url, open_store
from .event_file import EXAMPLE, IMPORT_EXAMPLE, check_lines
from .event_import import import_events
from .event_options import SYNOPSES, EventOptions, parse_event
from .file_index import FileIndex
from .import_checkpoint import open_import_checkpoint
from .provenance_options import ProvenanceOptions

USAGE = """\
record USER_ID EVENT [OPTIONS]
       diijam-consent record --file FILE [--label LABEL]"""

EXAMPLES = f"""\
Examples:
  diijam-consent record u-1 AccountOpened --origin google
  diijam-consent record u-1 Granted --purpose marketing --notice promo-2026-11 \\
      --channel email --channel notification \\
      --expires-at 2027-11-01T00:00:00+07:00
  diijam-consent record u-1 Withdrawn --purpose marketing --channel email
  diijam-consent record u-1 Notified --notice n-7 --recipient acme-records \\
      --data username --data avatar --purpose marketing
  diijam-consent record --purpose surveys -- --odd-id Objected
  diijam-consent record u-1 Withdrawn --purpose marketing \\
      --method call --evidence call-4711 --language vi
  diijam-consent record --file events.jsonl
  zcat events.jsonl.gz | diijam-consent record --file -

A line of a file, and one of what was said before this ledger:
  {EXAMPLE}
{IMPORT_EXAMPLE}

An id that begins with - goes after --, behind all options. One with spaces is
quoted: 'Nguyễn Văn A'.

Events and their options:
{SYNOPSES}
"""


UserId = Annotated[str | None, Parameter(help="The customer, by the id your services use.")]
EventName = Annotated[str | None, Parameter(help="What happened; see the list below.")]
EventFile = Annotated[
    str | None, Parameter(help="JSON Lines of events; - reads standard input.", allow_leading_hyphen=True)
]
Label = Annotated[
    str | None,
    Parameter(
        help="With --file: an import's own name. The same lines count once for each label, so an import that may"
        " repeat the lines of an earlier one (another week's unsubscribes) needs one.",
    ),
]
ExpectedVersion = Annotated[int | None, Parameter(help="Write only if the customer's record is still at this version.")]
IdempotencyKey = Annotated[
    str | None,
    Parameter(help="A new random key for each act; with the same key and event again nothing is written."),
]


def record(
    user_id: UserId = None,
    event: EventName = None,
    /,
    *,
    options: Annotated[EventOptions | None, Parameter(name="*")] = None,
    file: EventFile = None,
    label: Label = None,
    expected_version: ExpectedVersion = None,
    idempotency_key: IdempotencyKey = None,
    said: Annotated[ProvenanceOptions | None, Parameter(name="*")] = None,
    actor: Actor = DEFAULT_ACTOR,
    url: Url = None,
) -> int:
    """
    Record what a customer did: one event, or with --file many.

    One event prints the record's version, the ledger's position, and the token that another process passes as
    at_least to be sure to see it. A missing database is made.

    With --file, adjacent lines of one customer with the same provenance are written together, in order, all or none;
    imported lines each by itself, and with --label no two yeses together.
    The whole file is checked before anything is written; memory stays the same however long it is. After an
    interruption run the same command again: it goes on where it was (a FILE.resume lies beside the file until the
    end), and what is there already is not written twice. A line that the policy refuses is named on standard error
    with the reason; the rest is written.

    A line with "provenance": {"method": "import", "said_at": ...} was said before this ledger. An import never
    overrules: where the customer has spoken here, closed the account or was erased since, the line is left out,
    named, and counted as "left as it is", which is no failure. An imported no is written all the same, except for
    somebody who was erased. docs/how-to/import.md makes such lines of a CSV.

    Exit status: 0 all is recorded, 2 something is not, 130 interrupted.

    Returns:
        The exit status.

    Raises:
        InvalidEvent: the policy refuses the event. (With --file such events are listed, and the status is 2.)

        VersionConflict: the record is not at *expected_version*.

        StoreError: the store failed. A note says what was written.

        ValueError, TypeError, OSError: what was typed, or what the file holds, cannot be meant or read.
    """
    if file is not None:
        if (user_id, event, options, expected_version, idempotency_key, said) != (None,) * 6:
            more = "only --label, --actor and --url go with it"
            raise ValueError(f"--file takes users, events and provenance from the file: {more}")
        return _record_file(url, file, label or "", identifier(actor))
    if label is not None:
        raise ValueError("--label goes with --file")
    if user_id is None or event is None:
        raise ValueError("what happened to whom? Write: record USER_ID EVENT, or record --file events.jsonl")
    happened = parse_event(event, options)
    provenance = (said or ProvenanceOptions()).provenance(identifier(actor))
    return _record_one(
        url, identifier(user_id), happened, version=expected_version, key=idempotency_key, provenance=provenance
    )


def _record_one(
    url: str | None,
    user_id: str,
    event: Event,
    *,
    version: int | None,
    key: str | None,
    provenance: Provenance,
) -> int:
    key = uuid.uuid4().hex if key is None else identifier(key)
    try:
        with open_store(url, create=True) as store:
            appended = store.append(
                user_id, [event], expected_version=version, idempotency_key=key, provenance=provenance
            )
    except (OutcomeUnknown, KeyboardInterrupt) as error:
        error.add_note(f"it may have been written: run the same command with --idempotency-key {key} to be sure")
        raise
    try:
        print_result(
            f"version   {appended.version}", f"position  {appended.cursor.position}", f"token     {appended.token}"
        )
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:  # the advice of other commands, to run it again, would have the customer say it twice
        why = f"it is recorded, but could not be shown ({error.strerror})"
        raise ValueError(f"{why}: see diijam-consent history, and do not record it again") from None
    return 0


def _record_file(url: str | None, file: str, label: str, actor: str) -> int:
    with (
        open_input(file) as source,
        _read_twice(source, file) as stream,
        open_import_checkpoint(file) as checkpoint,
        FileIndex() as index,
    ):
        total, start, whole = check_lines(stream, index, actor, label, checkpoint.progress.line)
        stream.seek(0)
        with open_store(url, create=True) as store:
            checkpoint.start_over_unless(start, label, store, whole)
            summary = import_events(
                store, stream, label=label, actor=actor, total=total, checkpoint=checkpoint, index=index
            )
    print_result(*summary.lines())
    print_status(*filter(None, [summary.warning()]))
    if not summary.done.refused:
        return 0
    count = summary.done.refused
    noun = "line, which was" if count == 1 else "lines, which were"
    print_status(f'error: the policy refused {count:,} {noun} not written: see "is refused" above')
    return FAILED


@contextmanager
def _read_twice(source: BinaryIO, file: str) -> Iterator[BinaryIO]:
    """Give a stream that can be read twice: the file itself, or a copy on disk of what a pipe gives."""
    if file != "-" and file_size(source) is not None:
        yield source
        return
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(source, spool)
        spool.seek(0)
        yield spool
