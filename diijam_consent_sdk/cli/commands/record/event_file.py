"""Event files: JSON Lines of `{"user_id": ..., "event": {...}}`, checked whole before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, BinaryIO, NoReturn

import attrs

from ....events import Event
from ....policy import MAX_EVENTS
from ....stores import wire
from ....vocabulary import identifier
from ...errors import Listed
from ...input import Lines, is_cut
from ...options import needed

SHOWN_LINES = 20
SHOWN_CHARACTERS = 40  # of a wrong word, by the vocabulary
EXAMPLE = '{"user_id": "u-1", "event": {"type": "Withdrawn", "purpose": "marketing"}}'


@attrs.define
class Batch:
    """One user's events, in the order of the file, and the line each stands on."""

    user_id: str = attrs.field(repr=False)
    lines: list[int] = attrs.field(factory=list)
    events: list[Event] = attrs.field(factory=list)

    def add(self, line: int, event: Event) -> None:
        """One more event; `ValueError` if there are as many as an append may have."""
        if len(self.events) == MAX_EVENTS:
            raise ValueError(
                f"one append has at most {MAX_EVENTS:,} events, and the lines of one user are one:"
                " put the rest into a file of its own"
            )
        self.lines.append(line)
        self.events.append(event)

    def key(self, label: str) -> str:
        """The idempotency key of this batch: the same for the same user, events and label, however it is spelled."""
        digest = hashlib.sha256()
        for part in (
            label.encode(errors="surrogateescape"),
            self.user_id.encode(),
            *map(wire.encode_event, self.events),
        ):
            digest.update(len(part).to_bytes(8, "big") + part)
        return f"file-{digest.hexdigest()}"


def read(stream: BinaryIO) -> list[Batch]:
    """
    The batches in *stream*, one for each user, in the order in which the users first appear. Blank lines are skipped.

    Raises:
        Listed: some lines are malformed. Each is named with what is wrong with it, the first 20 of them.

        ValueError: the file is no text.
    """
    batches: dict[str, Batch] = {}
    bad: list[str] = []
    bad_count = 0
    for number, line in enumerate(Lines(stream), start=1):
        if not line.strip():
            continue
        try:
            user_id, event = parse(line)
            batch = batches.setdefault(user_id, Batch(user_id))
            batch.add(number, event)
        except (ValueError, TypeError) as error:
            bad_count += 1
            if len(bad) < SHOWN_LINES:
                bad.append(f"  line {number}: {error}")
            continue
    if bad_count:
        _refuse(bad, bad_count)
    return list(batches.values())


def parse(line: bytes) -> tuple[str, Event]:
    """
    The user and the event of one line. No error repeats what is written there.

    Raises:
        ValueError, TypeError: the line is malformed.
    """
    if is_cut(line):
        raise ValueError("the line is longer than 1 MiB")
    value = _json(line)
    if not isinstance(value, dict) or value.keys() != {"user_id", "event"}:
        raise ValueError(f"a line holds user_id and event and nothing else: {EXAMPLE}")
    fields = value["event"]
    kind = wire.EVENT_TYPES.get(str(fields.get("type"))) if isinstance(fields, dict) else None
    lacking = needed(attrs.fields(kind), fields) if kind else ()
    if lacking:
        raise ValueError(f"{fields['type']} needs {' and '.join(lacking)}")
    try:
        return identifier(value["user_id"]), wire.event_from(fields)
    except wire.Malformed as error:
        raise ValueError(_without(str(error), _texts(fields))) from None


def _texts(fields: object) -> set[str]:
    """The texts of an event, names and values: a file that was made wrongly may have a customer's anywhere."""
    found: set[str] = set()
    for name, value in fields.items() if isinstance(fields, dict) else ():
        found |= {name, *(text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))}
    return found


def _without(message: str, texts: Collection[str]) -> str:
    """The message without what it quotes of *texts*, whole or shortened."""
    for text in sorted(texts, key=len, reverse=True):
        message = message.replace(repr(text), "…").replace(repr(text[:SHOWN_CHARACTERS]), "…")
    return message


def _json(line: bytes) -> Any:
    try:
        return json.loads(line.rstrip().decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    """A JSON object. One that gives a name twice is read differently by different programs: refused."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError("a name is given twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name}")


def _refuse(bad: list[str], bad_count: int) -> NoReturn:
    if bad_count > len(bad):
        bad.append(f"  and {bad_count - len(bad)} more")
    noun = "line is" if bad_count == 1 else "lines are"
    raise Listed(f"{bad_count} {noun} malformed, nothing was written: correct, then run the same command again", bad)
