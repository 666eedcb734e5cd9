"""
Read event files, JSON Lines of `{"user_id": ..., "event": {...}}`, with `"provenance": {...}` where it is known.

The whole file is checked before anything is written, so that a mistake on the last line does not leave half an import.
Both passes over it keep one batch in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NoReturn

import attrs

from ....events import Event, Provenance
from ....identifiers import identifier
from ....stores import wire
from ...console import show_progress
from ...errors import ErrorList
from ...input import Lines, file_size, is_cut
from ...options import missing_fields
from .batches import Batch, Grouping
from .file_index import FileIndex

SHOWN_LINES = 20
LINES_BETWEEN_UPDATES = 1_000  # of the progress bar, which costs more than a line
SHOWN_CHARACTERS = 40  # that an error of the vocabulary quotes of a wrong word
EXAMPLE = '{"user_id": "u-1", "event": {"type": "Withdrawn", "purpose": "marketing"}}'
IMPORT_EXAMPLE = """\
  {"user_id": "u-1", "event": {"type": "Withdrawn", "purpose": "marketing"},
   "provenance": {"method": "import", "said_at": "2024-11-20T10:00:00+07:00"}}
  (on one line)"""
NO_EVENTS = "a file has one event a line, in JSON; docs/how-to/import.md makes such lines of a CSV"
NEEDED, KNOWN = {"user_id", "event"}, {"user_id", "event", "provenance"}


class LineDigest:
    """
    The hash of the lines read so far.

    Attributes:
        number: How many lines these are.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.number = 0

    def add(self, line: bytes) -> None:
        """Take the next line in."""
        self.number += 1
        self._digest.update(line.rstrip() + b"\n")

    def hexdigest(self) -> str:
        """Return the hash, in hex."""
        return self._digest.hexdigest()


def check_lines(
    stream: BinaryIO, index: FileIndex, actor: str | None = None, label: str = "", until: int = 0
) -> tuple[int, str, str]:
    """
    Check every line, with a progress bar. Blank lines are skipped. The noes that were said here go into *index*, with
    the keys of the batches that `read_batches` will make.

    Returns:
        The number of events, and the digests of the first *until* lines and of all.

    Raises:
        ErrorList: some lines are malformed. The first 20 are listed with what is wrong.

        ValueError: the file is not text.

        OSError: the disk failed, or is full.
    """
    bad: list[str] = []
    bad_count = events = 0
    read, start, grouping = LineDigest(), "", Grouping(label)
    with show_progress("checking", file_size(stream), "lines") as update:
        for line in Lines(stream):
            read.add(line)
            if read.number == until:
                start = read.hexdigest()
            if read.number % LINES_BETWEEN_UPDATES == 0:
                update(stream.tell(), read.number)
            if not line.strip():
                continue
            events += 1
            try:
                index.add_noes(grouping.add(read.number, *parse_line(line, actor)), label)
            except (ValueError, TypeError) as error:
                bad_count += 1
                if len(bad) < SHOWN_LINES:
                    bad.append(f"  line {read.number}: {error}")
        index.add_noes(grouping.batch, label)
    if bad_count:
        _raise_malformed(bad, bad_count, has_events=bad_count < events)
    index.begin_again()
    return events, start, read.hexdigest()


def read_batches(
    stream: BinaryIO, actor: str | None = None, label: str = "", whole: str | None = None
) -> Iterator[tuple[Batch, str]]:
    """
    Read the batches of a file that `check_lines` accepted, each with the digest of all lines to its last one. *actor*
    writes them, whatever the lines say. *whole* is the digest of all lines when they were checked, if it is known.

    Raises:
        ValueError: the file changed since it was checked, so lines may be missing.
    """
    grouping = Grouping(label)
    read, digest = LineDigest(), ""
    for line in Lines(stream):
        is_blank = not line.strip()
        if not is_blank and (before := grouping.add(read.number + 1, *parse_line(line, actor))) is not None:
            yield before, digest
        read.add(line)
        if not is_blank:
            digest = read.hexdigest()
    if grouping.batch is not None:
        yield grouping.batch, digest
    if whole is not None and read.hexdigest() != whole:
        raise ValueError("the file changed while it was read: see that nothing writes to it")


def parse_line(line: bytes, actor: str | None = None) -> tuple[str, Event, Provenance]:
    """
    Parse the user, the event and its provenance of one line, with *actor* in place of the writer that the line names.
    No error repeats the content of the line.

    Raises:
        ValueError, TypeError: the line is malformed.
    """
    if is_cut(line):
        raise ValueError("the line is longer than 1 MiB")
    value = _parse_json(line)
    if not isinstance(value, dict) or not NEEDED <= value.keys() <= KNOWN:
        raise ValueError(f"a line holds user_id and event, may hold provenance, and nothing else: {EXAMPLE}")
    fields, said = value["event"], value.get("provenance", {})
    kind = wire.EVENT_TYPES.get(str(fields.get("type"))) if isinstance(fields, dict) else None
    missing = missing_fields(attrs.fields(kind), fields) if kind else ()
    if missing:
        raise ValueError(f"{fields['type']} needs {' and '.join(missing)}")
    if actor is not None and isinstance(said, dict):
        said["by"] = actor
    try:
        provenance = wire.provenance_from(said)
        return identifier(value["user_id"]), wire.event_from(fields), provenance
    except wire.Malformed as error:
        raise ValueError(_remove_texts(str(error), _collect_texts(fields) | _collect_texts(said))) from None


def _collect_texts(fields: object) -> set[str]:
    """Collect the texts of an event, names and values, since a wrongly made file may have a customer's anywhere."""
    found: set[str] = set()
    for name, value in fields.items() if isinstance(fields, dict) else ():
        found |= {name, *(text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))}
    return found


def _remove_texts(message: str, texts: Collection[str]) -> str:
    """Remove from the message what it quotes of *texts*, whole or shortened."""
    for text in sorted(texts, key=len, reverse=True):
        message = message.replace(repr(text), "…").replace(repr(text[:SHOWN_CHARACTERS]), "…")
    return message


def _parse_json(line: bytes) -> Any:
    try:
        return _decoder.decode(line.rstrip().decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _make_object(pairs: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    """Make a JSON object; a name given twice is refused, since programs read it differently."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError("a name is given twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name}")


_decoder = json.JSONDecoder(object_pairs_hook=_make_object, parse_constant=_refuse_constant)


def _raise_malformed(bad: list[str], bad_count: int, *, has_events: bool) -> NoReturn:
    if bad_count > len(bad):
        bad.append(f"  and {bad_count - len(bad)} more")
    if not has_events:
        raise ErrorList(f"no line is an event, nothing was written: {NO_EVENTS}", bad)
    noun = "line is" if bad_count == 1 else "lines are"
    raise ErrorList(f"{bad_count} {noun} malformed, nothing was written: correct, then run the same command again", bad)
