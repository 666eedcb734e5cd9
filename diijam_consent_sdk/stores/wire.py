"""
The JSON of events, entries and records, the same on disk and on the wire. Times are RFC 3339 in UTC.

An event is an object with its class name under `type` and its fields beside it. Reading is strict: an unknown
type, a missing or unknown field, a word outside its vocabulary is an error, never a guess.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, get_args

import attrs
import msgspec

from ..events import Event, LedgerEntry
from ..record import Consent, ConsentRecord, Hold, Notice, Request, consent_key
from ..vocabulary import Channel, Purpose

EVENT_TYPES: Mapping[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_FIELDS = {kind: tuple(field.name for field in attrs.fields(kind)) for kind in get_args(Event)}

# "sorted" makes the bytes of one value the same in every process and version: digests are taken over them.
_encoder = msgspec.json.Encoder(order="sorted")
SLICE_BYTES = 2**18  # of records that are read in one step
_records_decoder = msgspec.json.Decoder(list[ConsentRecord])


class Malformed(ValueError):
    """Bytes that are not what they should be; the message says what and where, and repeats no id."""


def encode(value: object) -> bytes:
    """The canonical JSON of a record or of plain values."""
    return _encoder.encode(value)


def event_fields(event: Event) -> dict[str, Any]:
    """The event as plain values, its class name under `type`."""
    kind = type(event)
    return {"type": kind.__name__, **{name: getattr(event, name) for name in _FIELDS[kind]}}


def event_from(fields: object) -> Event:
    """
    The event that `event_fields` described, read from JSON.

    Raises:
        Malformed: it is no such description.
    """
    name = fields.get("type") if isinstance(fields, dict) else None
    kind = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(fields, dict):
        raise Malformed(f"an event is an object whose type is one of {', '.join(EVENT_TYPES)}")
    given = {name: value for name, value in fields.items() if name != "type"}
    known = [field.name for field in attrs.fields(kind)]
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise Malformed(f"{name} has no field {unknown[0][:40]!r}; known: {', '.join(known) or 'none'}")
    try:
        for end in given.keys() & {"expires_at", "until"}:
            given[end] = None if given[end] is None else datetime.fromisoformat(given[end])
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise Malformed(f"{name}: {error}") from None


def encode_event(event: Event) -> bytes:
    """The canonical JSON of an event."""
    return encode(event_fields(event))


def decode_event(data: bytes) -> Event:
    """The event in *data*; `Malformed` if there is none, or a field is given twice."""
    event = event_from(decode(data))
    if encode_event(event) != data:
        _spelled(data)
    return event


def encode_entry(entry: LedgerEntry) -> bytes:
    """The canonical JSON of a ledger entry."""
    return encode({**attrs.asdict(entry, recurse=False), "event": event_fields(entry.event)})


def decode(data: bytes) -> object:
    """The plain values in *data*; `Malformed` if it is not JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise Malformed(f"not JSON: {error}") from None


def decode_records(data: bytes) -> list[ConsentRecord]:
    """
    The records in an array; `Malformed` if one is not whole, with every time in its zone and with nothing else.

    A large array is read in slices: each step keeps Python from all other threads.
    """
    if not isinstance(data, bytes) or len(data) <= SLICE_BYTES:
        return _decode_slice(data)
    return [record for part in _slices(data) for record in _decode_slice(part)]


def _slices(data: bytes) -> Iterator[bytes]:
    """The array as several arrays, each of about `SLICE_BYTES` or of one item."""
    try:
        items = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a record: {error}") from None
    part: list[msgspec.Raw] = []
    size = 0
    for item in items:
        if part and size + len(bytes(item)) > SLICE_BYTES:
            yield b"[%b]" % b",".join(part)
            part, size = [], 0
        part.append(item)
        size += len(bytes(item))
    yield b"[%b]" % b",".join(part)


def _decode_slice(data: bytes) -> list[ConsentRecord]:
    try:
        records = _records_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise Malformed(f"not a record: {error}") from None
    check_records(records)
    if (known := encode(records)) != data and _names(_spelled(data)) != _names(_spelled(known)):
        raise Malformed("not a record: it has unknown fields")
    return records


def check_records(records: Iterable[ConsentRecord]) -> None:
    """
    What types alone do not say of records that were read. In loops and little else: all that are loaded come by here.

    Raises:
        Malformed: a time lacks its zone, or something stands under another's key.
    """
    for record in records:
        times = [record.account_changed_at]
        for name, key_of, times_of in _PARTS:
            if parts := getattr(record, name):
                for key, part in parts.items():
                    times += times_of(part)
                    if key != key_of(part):
                        raise Malformed("not a record: something stands under another's key")
        for time in times:
            if time is not None and time.tzinfo is None:
                raise Malformed("not a record: a time without its zone")


def _spelled(data: bytes) -> object:
    """The plain values in JSON that is not spelled as `encode` does; `Malformed` if it gives a key twice."""
    try:
        return json.loads(data, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("a key is given twice")
    return fields


def _names(value: object) -> object:
    if isinstance(value, list):
        return [_names(inner) for inner in value]
    return {name: _names(inner) for name, inner in value.items()} if isinstance(value, dict) else None


def _times_of(kind: type) -> Callable[[object], tuple[datetime | None, ...]]:
    times = (field.name for field in attrs.fields(kind) if "datetime" in str(field.type))
    return attrgetter(*times)


_CONSENT_KEYS = {
    (purpose, channel): consent_key(purpose, channel) for purpose in Purpose for channel in (None, *Channel)
}
# The maps of a record: under which key a part of it stands, and its times.
_PARTS: tuple[tuple[str, Callable[[Any], str], Callable[[Any], tuple[datetime | None, ...]]], ...] = (
    ("consents", lambda consent: _CONSENT_KEYS[consent.purpose, consent.channel], _times_of(Consent)),
    ("notices", attrgetter("notice"), _times_of(Notice)),
    ("holds", attrgetter("hold"), _times_of(Hold)),
    ("requests", attrgetter("request"), _times_of(Request)),
)
