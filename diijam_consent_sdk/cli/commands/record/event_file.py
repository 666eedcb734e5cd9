"""
Read event files, JSON Lines of `{"user_id": ..., "event": {...}}`.

The whole file is checked before anything is written, so that a mistake on the last line does not leave half an import.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, BinaryIO, NoReturn

import attrs

from ....events import Event
from ....identifiers import identifier
from ....policy import MAX_EVENTS
from ....stores import wire
from ...errors import ErrorList
from ...input import Lines, is_cut
from ...options import missing_fields

SHOWN_LINES = 20
SHOWN_CHARACTERS = 40  # that an error of the vocabulary quotes of a wrong word
EXAMPLE = '{"user_id": "u-1", "event": {"type": "Withdrawn", "purpose": "marketing"}}'


@attrs.define
class UserEvents:
    """One user's events in the order of the file, and the line of each."""

    user_id: str = attrs.field(repr=False)
    lines: list[int] = attrs.field(factory=list)
    events: list[Event] = attrs.field(factory=list)

    def add(self, line: int, event: Event) -> None:
        """Add an event; raises `ValueError` if there are as many as one append may have."""
        if len(self.events) == MAX_EVENTS:
            raise ValueError(
                f"one append has at most {MAX_EVENTS:,} events, and the lines of one user are one:"
                " put the rest into a file of its own"
            )
        self.lines.append(line)
        self.events.append(event)

    def key(self, label: str) -> str:
        """Compute the idempotency key: the same for the same user, events and label, however the JSON is spelled."""
        digest = hashlib.sha256()
        for part in (
            label.encode(errors="surrogateescape"),
            self.user_id.encode(),
            *map(wire.encode_event, self.events),
        ):
            digest.update(len(part).to_bytes(8, "big") + part)
        return f"file-{digest.hexdigest()}"


def read_events(stream: BinaryIO) -> list[UserEvents]:
    """
    Read the events of each user, in the order in which the users first appear. Blank lines are skipped.

    Raises:
        ErrorList: some lines are malformed. The first 20 are listed with what is wrong.

        ValueError: the file is not text.
    """
    users: dict[str, UserEvents] = {}
    bad: list[str] = []
    bad_count = 0
    for number, line in enumerate(Lines(stream), start=1):
        if not line.strip():
            continue
        try:
            user_id, event = parse_line(line)
            users.setdefault(user_id, UserEvents(user_id)).add(number, event)
        except (ValueError, TypeError) as error:
            bad_count += 1
            if len(bad) < SHOWN_LINES:
                bad.append(f"  line {number}: {error}")
    if bad_count:
        _raise_malformed(bad, bad_count)
    return list(users.values())


def parse_line(line: bytes) -> tuple[str, Event]:
    """
    Parse the user and the event of one line. No error repeats the content of the line.

    Raises:
        ValueError, TypeError: the line is malformed.
    """
    if is_cut(line):
        raise ValueError("the line is longer than 1 MiB")
    value = _parse_json(line)
    if not isinstance(value, dict) or value.keys() != {"user_id", "event"}:
        raise ValueError(f"a line holds user_id and event and nothing else: {EXAMPLE}")
    fields = value["event"]
    kind = wire.EVENT_TYPES.get(str(fields.get("type"))) if isinstance(fields, dict) else None
    missing = missing_fields(attrs.fields(kind), fields) if kind else ()
    if missing:
        raise ValueError(f"{fields['type']} needs {' and '.join(missing)}")
    try:
        return identifier(value["user_id"]), wire.event_from(fields)
    except wire.Malformed as error:
        raise ValueError(_remove_texts(str(error), _collect_texts(fields))) from None


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
        return json.loads(line.rstrip().decode(), object_pairs_hook=_make_object, parse_constant=_refuse_constant)
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


def _raise_malformed(bad: list[str], bad_count: int) -> NoReturn:
    if bad_count > len(bad):
        bad.append(f"  and {bad_count - len(bad)} more")
    noun = "line is" if bad_count == 1 else "lines are"
    raise ErrorList(f"{bad_count} {noun} malformed, nothing was written: correct, then run the same command again", bad)
