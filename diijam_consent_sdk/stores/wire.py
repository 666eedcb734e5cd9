"""
The JSON of events, entries and records, the same on disk and on the wire, so that a hash over it holds anywhere.

An event is an object with its class name under `type` and its fields beside it; times are RFC 3339 in UTC. Reading is
strict: an unknown type, a missing or unknown field, a key given twice, or a word outside its vocabulary is an error.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar, get_args

import attrs
import msgspec

from ..events import Event, LedgerEntry, Provenance
from ..record import ConsentRecord
from .record_parts import PARTS, time_fields
from .strict_json import MAX_MESSAGE, UNKNOWN_FIELD, check_names, spelled
from .strict_json import Malformed as Malformed  # noqa: PLC0414 - raised here, so named here

EVENT_TYPES: Mapping[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_KINDS: tuple[type[Any], ...] = (*get_args(Event), Provenance)
_FIELDS = {kind: tuple(field.name for field in attrs.fields(kind)) for kind in _KINDS}
_TIMES = {kind: time_fields(kind) for kind in _KINDS}
TIME_FIELDS = frozenset(chain.from_iterable(_TIMES.values()))

# "sorted" makes the bytes of one value the same in every process and version: digests are taken over them.
_encoder = msgspec.json.Encoder(order="sorted")
LARGE_BYTES = 2**18  # more than that is decoded by one thread at a time
SLICE_BYTES = 2**20  # of records that are read in one step: about as long as Python leaves a thread its turn

T = TypeVar("T")

# Held while much is decoded. Each step of it keeps the GIL, and several threads with such steps would leave the
# others, an event loop among them, one turn in many; one at a time they are as quick.
_large_decoding = threading.RLock()


def encode(value: object) -> bytes:
    """Encode a record or plain values as canonical JSON."""
    return _encoder.encode(value)


def event_fields(event: Event) -> dict[str, Any]:
    """Describe an event by plain values, its class name under `type`."""
    kind = type(event)
    return {"type": kind.__name__, **{name: getattr(event, name) for name in _FIELDS[kind]}}


def event_from(fields: object) -> Event:
    """
    Make the event that `event_fields` described, read from JSON.

    Raises:
        Malformed: *fields* describe no event.
    """
    name = fields.get("type") if isinstance(fields, dict) else None
    kind = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(fields, dict):
        raise Malformed(f"an event is an object whose type is one of {', '.join(EVENT_TYPES)}")
    return _make(kind, {name: value for name, value in fields.items() if name != "type"})


def _make(kind: type[T], given: dict[str, Any]) -> T:
    """Make an event or a provenance of the fields that are *given*; `Malformed` if they do not fit."""
    known = _FIELDS[kind]
    if unknown := given.keys() - known:
        raise Malformed(f"{kind.__name__} has no field {min(unknown)[:40]!r}; known: {', '.join(known) or 'none'}")
    try:
        for time in _TIMES[kind]:
            if given.get(time) is not None:
                given[time] = _time(given[time])
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise Malformed(f"{kind.__name__}: {error}") from None


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a time is written as 2026-11-01T00:00:00Z") from None
    if time.utcoffset() is None:
        raise ValueError("a time needs its zone, like 2026-11-01T00:00:00+07:00")
    return time


def encode_event(event: Event) -> bytes:
    """Encode an event as canonical JSON."""
    return encode(event_fields(event))


def decode_event(data: bytes) -> Event:
    """Decode an event; `Malformed` if *data* holds something else."""
    return event_from(decode(data))


def provenance_fields(provenance: Provenance) -> dict[str, Any]:
    """Describe a provenance by plain values, without those that are None."""
    return {name: value for name in _FIELDS[Provenance] if (value := getattr(provenance, name)) is not None}


def provenance_from(fields: object) -> Provenance:
    """
    Make the provenance that `provenance_fields` described, read from JSON.

    Raises:
        Malformed: *fields* describe no provenance.
    """
    if not isinstance(fields, dict):
        raise Malformed(f"a provenance is an object with some of {', '.join(_FIELDS[Provenance])}")
    return _make(Provenance, dict(fields))


def encode_entry(entry: LedgerEntry, **beside: str) -> bytes:
    """Encode a ledger entry as canonical JSON, and *beside* it what a reader needs to go on."""
    said = {"event": event_fields(entry.event), "provenance": provenance_fields(entry.provenance)}
    return encode({**attrs.asdict(entry, recurse=False), **said, **beside})


def decode(data: bytes) -> object:
    """Decode plain values; `Malformed` if *data* is not JSON, or gives a key twice."""
    return read(data, Any)


def read(data: bytes, kind: type[T]) -> T:
    """
    Decode a value of a *kind*. Safe to use from several threads.

    The codec takes the last of two values of a key, and passes over unknown fields. So the value is encoded again: most
    JSON was written by `encode`, and comes out the same. Only other JSON is compared key by key.

    Raises:
        Malformed: *data* is not JSON of this kind, gives a key twice, or has an unknown field.
    """
    if not isinstance(data, bytes) or len(data) <= LARGE_BYTES:
        return _read(data, kind)
    with _large_decoding:
        return _read(data, kind)


def _read(data: bytes, kind: type[T]) -> T:
    try:
        value: T = prepared(kind).decode(data)  # type: ignore[arg-type]
        known = encode(value)
        if known != data:
            check_names(spelled(data), msgspec.json.decode(known))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        why = str(error)
        raise Malformed(UNKNOWN_FIELD if why.startswith(UNKNOWN_FIELD) else why[:MAX_MESSAGE]) from None
    return value


@functools.cache
def prepared(kind: Any) -> msgspec.json.Decoder[Any]:
    """
    Make the decoder of a *kind*. Kinds that hold times are prepared when their modules are imported: later a test's
    freezegun may stand in for `datetime`, and no text can be decoded as its class.
    """
    return msgspec.json.Decoder(kind)


prepared(list[ConsentRecord])


def decode_records(data: bytes) -> list[ConsentRecord]:
    """
    Decode an array of records; `Malformed` unless each is whole, has a zone at each time, and nothing else.

    A large array is decoded in slices, because a step of the codec keeps the GIL from all other threads.
    """
    if not isinstance(data, bytes) or len(data) <= SLICE_BYTES:
        return _decode_slice(data)  # which takes its turn, if need be
    with _large_decoding:
        return [record for part in _slices(data) for record in _decode_slice(part)]


def _slices(data: bytes) -> Iterator[bytes]:
    """Split an array into several, each of about `SLICE_BYTES` or of one item."""
    try:
        items = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a record: {error}") from None
    part: list[msgspec.Raw] = []
    size = 0
    for item in items:
        length = len(memoryview(item))
        if part and size + length > SLICE_BYTES:
            yield b"[%b]" % b",".join(part)
            part, size = [], 0
        part.append(item)
        size += length
    yield b"[%b]" % b",".join(part)


def _decode_slice(data: bytes) -> list[ConsentRecord]:
    try:
        records = read(data, list[ConsentRecord])
    except Malformed as error:
        raise Malformed(f"not a record: {error}") from None
    check_records(records)
    return records


def check_records(records: Iterable[ConsentRecord]) -> None:
    """
    Check of decoded records what types do not express. Each load passes here, so this is loops and little else.

    Raises:
        Malformed: a time lacks its zone, or a part of a record stands under another's key.
    """
    for record in records:
        times = [record.account_changed_at]
        if record.erasure is not None:
            times.append(record.erasure.began_at)
        for name, key_of, times_of in PARTS:
            if parts := getattr(record, name):
                for key, part in parts.items():
                    times += times_of(part)
                    if key != key_of(part):
                        raise Malformed("not a record: something stands under another's key")
        for time in times:
            if time is not None and time.tzinfo is None:
                raise Malformed("not a record: a time without its zone")


def _renew_lock() -> None:
    """In a forked child: the thread that held the lock is not there."""
    global _large_decoding  # noqa: PLW0603
    _large_decoding = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
