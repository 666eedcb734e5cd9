"""JSON in and out: what was written comes back; anything else is `Malformed`, never a guess and never a yes."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import attrs
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.holders import Erasure
from diijam_consent_sdk.record import Consent, ConsentRecord, Hold, Notice, Publication, Request, refusal, unopened
from diijam_consent_sdk.stores import wire
from diijam_consent_sdk.vocabulary import Field, Purpose
from tests import strategies
from tests.domain.samples import EACH_EVENT, HOLDERS, NEEDED
from tests.strategies import START

from .contract import OPENED, folded

FULL: list[e.Event] = [
    OPENED,
    *NEEDED,
    e.Agreed("n-1", START + timedelta(days=30)),
    e.Granted("surveys", "n-3", expires_at=START + timedelta(days=1)),
    e.Granted("marketing", "n-3", ["email", "call"]),
    e.Withdrawn("marketing", ["call"]),
    e.Objected("payment"),
    e.Restricted(["gender"]),
    e.Published("avatar"),
    e.RequestReplied("q-1"),
    e.RequestResolved("q-1", "refused", "not-yours"),
    e.HoldPlaced("h-2", "tax", ["payment"], START + timedelta(days=9)),
    e.HoldReleased("h-1"),
    e.RequestFiled("q-3", "erasure"),
    e.ErasureConfirmed("mailer"),
]


IMPORTED = e.Provenance(method="import", said_at=START - timedelta(days=9))


def record_of(user_id: str, events: list[e.Event], imported: Container[e.Event] = ()) -> ConsentRecord:
    """The record that those of the events make which the policy accepts, one each second, some of them imported."""
    entries: list[e.LedgerEntry] = []
    for second, event in enumerate(events):
        at = START + timedelta(seconds=second, microseconds=second)
        record = folded(user_id, entries)
        provenance = IMPORTED if event in imported else e.NO_PROVENANCE
        if refusal(record, event, at, provenance=provenance, holders=HOLDERS) is None:
            entries.append(e.LedgerEntry(second + 1, user_id, record.version + 1, at, event, provenance))
    return folded(user_id, entries)


def records() -> st.SearchStrategy[ConsentRecord]:
    """Any record."""
    names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
    steps = st.lists(strategies.events(), max_size=25)
    return st.builds(lambda user_id, events: record_of(user_id, [OPENED, *events], events[::3]), names, steps)


def decode_record(data: bytes) -> ConsentRecord:
    """The one record in *data*, read as a store reads many, and counts them."""
    records = wire.decode_records(b"[%b]" % data)
    if len(records) != 1:
        raise wire.Malformed
    return records[0]


RECORD = record_of("u-1", FULL, [e.Agreed("n-1", START + timedelta(days=30)), e.Published("avatar")])
WIRE = wire.encode(RECORD)


def test_the_sample_record_has_one_of_everything() -> None:
    """The record that the tests below take apart has parts of each kind, and no empty set."""
    assert all(
        bool(getattr(RECORD, field.name)) for field in attrs.fields(ConsentRecord) if not field.name.startswith("a")
    )


def reaches(value: object) -> Iterator[tuple[object, ...]]:
    """The path to each field of an object within plain values, outermost first."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (name,)
            yield from ((name, *rest) for rest in reaches(inner))


def at(plain: Any, path: tuple[object, ...]) -> Any:
    """What stands at the end of a path."""
    for name in path:
        plain = plain[name]
    return plain


# Round trips


@given(strategies.events())
def test_an_event_comes_back(event: e.Event) -> None:
    """Decoding what was encoded gives the event, and encoding that gives the bytes."""
    data = wire.encode_event(event)
    assert wire.decode_event(data) == event
    assert wire.encode_event(wire.decode_event(data)) == data


@pytest.mark.parametrize("event", EACH_EVENT, ids=lambda event: type(event).__name__)
def test_each_kind_of_event_comes_back(event: e.Event) -> None:
    """Every kind of event is an object with its class name and its fields."""
    data = wire.encode_event(event)
    assert wire.decode_event(data) == event
    names = {"type", *(field.name for field in attrs.fields(type(event)))}
    assert json.loads(data).keys() == names
    assert json.loads(data)["type"] == type(event).__name__


@given(records())
@settings(max_examples=60)
def test_a_record_comes_back(record: ConsentRecord) -> None:
    """Decoding what was encoded gives the record, and encoding that gives the bytes."""
    data = wire.encode(record)
    assert decode_record(data) == record
    assert wire.encode(decode_record(data)) == data


@pytest.mark.parametrize("record", [unopened("u-1"), RECORD, record_of("u-1", [OPENED, e.AccountClosed(), e.Erased()])])
def test_records_at_each_end_come_back(record: ConsentRecord) -> None:
    """A record of nobody, one with everything, and a tombstone come back."""
    assert decode_record(wire.encode(record)) == record


def test_what_is_accepted_may_be_spelled_otherwise() -> None:
    """Spaces, another order and escapes change nothing: others write JSON too."""
    plain = json.loads(WIRE)
    assert decode_record(json.dumps(dict(reversed(plain.items())), indent=1).encode()) == RECORD
    event = e.Notified("Nguyễn", "b", ["email"], "marketing")
    backwards = dict(reversed(json.loads(wire.encode_event(event)).items()))
    assert wire.decode_event(json.dumps(backwards, indent=1).encode()) == event


def test_the_bytes_of_a_value_are_always_the_same() -> None:
    """Fields and sets are sorted, and times are in UTC: digests are taken over these bytes."""
    channels = ["notification", "email", "call", "message"]
    one = e.Granted("marketing", "n", channels, datetime(2027, 1, 1, 7, tzinfo=timezone(timedelta(hours=7))))
    assert wire.encode_event(one) == (
        b'{"channels":["call","email","message","notification"],"expires_at":"2027-01-01T00:00:00Z","notice":"n",'
        b'"purpose":"marketing","type":"Granted"}'
    )


# What is malformed

EVENTS: dict[str, bytes] = {
    "nothing": b"",
    "half": b'{"type":"AccountClosed"',
    "too much": b'{"type":"AccountClosed"}{}',
    "not UTF-8": b'{"type":"Agreed","notice":"\xff\xfe","expires_at":null}',
    "UTF-16": '{"type":"AccountClosed"}'.encode("utf-16"),
    "with a byte order mark": b'\xef\xbb\xbf{"type":"AccountClosed"}',
    "a lone surrogate": b'{"type":"Agreed","notice":"\\ud83d","expires_at":null}',
    "null": b"null",
    "a number": b"7",
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "a word": b'"AccountClosed"',
    "a list": b'[{"type":"AccountClosed"}]',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"type":' * 100_000,
    "deep but whole": b'{"type":"Agreed","notice":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "no type": b'{"notice":"n-1"}',
    "type null": b'{"type":null}',
    "type a list": b'{"type":["AccountClosed"]}',
    "type an object": b'{"type":{}}',
    "type unknown": b'{"type":"Forgiven"}',
    "type of another case": b'{"type":"accountclosed"}',
    "type of no event": b'{"type":"LedgerEntry","position":1}',
    "type of Python's own": b'{"type":"__class__"}',
    "field unknown": b'{"type":"AccountClosed","reason":"moved"}',
    "field of Python's own": b'{"type":"AccountClosed","__class__":"Erased"}',
    "field of another event": b'{"type":"Agreed","notice":"n-1","purpose":"marketing"}',
    "field missing": b'{"type":"Agreed"}',
    "all fields missing": b'{"type":"Notified"}',
    "field twice": b'{"type":"Withdrawn","purpose":"surveys","purpose":"contests","channels":[]}',
    "type twice": b'{"type":"Hidden","type":"Published","field":"avatar"}',
    "field twice, spelled otherwise": b'{"type":"Withdrawn","purpose":"surveys","purp\\u006fse":"contests"}',
    "word unknown": b'{"type":"Withdrawn","purpose":"world_peace"}',
    "word of another case": b'{"type":"Withdrawn","purpose":"SURVEYS"}',
    "word a number": b'{"type":"Withdrawn","purpose":1}',
    "word a list": b'{"type":"Withdrawn","purpose":["surveys"]}',
    "word null": b'{"type":"Withdrawn","purpose":null}',
    "set a word": b'{"type":"Withdrawn","purpose":"marketing","channels":"email"}',
    "set an object": b'{"type":"Withdrawn","purpose":"marketing","channels":{"email":true}}',
    "set null": b'{"type":"Withdrawn","purpose":"marketing","channels":null}',
    "set of lists": b'{"type":"Withdrawn","purpose":"marketing","channels":[["email"]]}',
    "set of objects": b'{"type":"Withdrawn","purpose":"marketing","channels":[{}]}',
    "id empty": b'{"type":"Agreed","notice":""}',
    "id too long": b'{"type":"Agreed","notice":"' + b"x" * 257 + b'"}',
    "id with a control character": b'{"type":"Agreed","notice":"a\\u0000b"}',
    "id a number": b'{"type":"Agreed","notice":7}',
    "id null": b'{"type":"Agreed","notice":null}',
    "time naive": b'{"type":"Agreed","notice":"n-1","expires_at":"2027-01-01T00:00:00"}',
    "time a day": b'{"type":"Agreed","notice":"n-1","expires_at":"2027-01-01"}',
    "time a number": b'{"type":"Agreed","notice":"n-1","expires_at":1798761600}',
    "time true": b'{"type":"Agreed","notice":"n-1","expires_at":true}',
    "time a list": b'{"type":"Agreed","notice":"n-1","expires_at":[]}',
    "time empty": b'{"type":"Agreed","notice":"n-1","expires_at":""}',
    "time out of range": b'{"type":"Agreed","notice":"n-1","expires_at":"9999-12-31T23:59:59-01:00"}',
    "time of no day": b'{"type":"Agreed","notice":"n-1","expires_at":"2027-02-30T00:00:00Z"}',
    "flag a number": b'{"type":"Erased","anonymised":1}',
    "flag a word": b'{"type":"Erased","anonymised":"true"}',
    "flag null": b'{"type":"Erased","anonymised":null}',
    "number too long": b'{"type":"Erased","anonymised":' + b"9" * 5_000 + b"}",
}  # fmt: skip


@pytest.mark.parametrize("kind", EVENTS)
def test_malformed_events(kind: str) -> None:
    """What is no event is `Malformed`, which is a `ValueError`."""
    with pytest.raises(wire.Malformed) as caught:
        wire.decode_event(EVENTS[kind])
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", [None, 7, 1.5, []], ids=str)
def test_what_are_no_bytes_is_malformed(value: Any) -> None:
    """A column of another type holds no event and no record."""
    for read in (wire.decode, wire.decode_event, wire.decode_records):
        with pytest.raises(wire.Malformed):
            read(value)


def test_an_event_says_what_is_wrong() -> None:
    """The message names the type, the field and the known ones."""
    with pytest.raises(wire.Malformed, match="Agreed has no field 'purpose'; known: notice, expires_at"):
        wire.decode_event(EVENTS["field of another event"])
    with pytest.raises(wire.Malformed, match="AccountOpened, AccountClosed"):
        wire.decode_event(EVENTS["type unknown"])


def altered(path: tuple[object, ...], value: object) -> bytes:
    """The sample record with another value at the end of a path."""
    plain = json.loads(WIRE)
    at(plain, path[:-1])[path[-1]] = value
    return json.dumps(plain).encode()


RECORDS: dict[str, bytes] = {
    "nothing": b"",
    "half": WIRE[:-1],
    "too much": WIRE + b"}",
    "not UTF-8": WIRE.replace(b"acme", b"\xff\xfe"),
    "UTF-16": WIRE.decode().encode("utf-16"),
    "not a number": re.sub(rb'"version":\d+', b'"version":NaN', WIRE),
    "null": b"null",
    "a list": b"[" + WIRE + b"]",
    "an event": wire.encode_event(OPENED),
    "deep": b"[" * 100_000,
    "deep within": WIRE[:-1] + b',"more":' + b"[" * 100_000,
    "field twice": WIRE[:-1] + b',"all_restricted":false}',
    "field twice, first": b'{"restricted":[],' + WIRE[1:],
    "field twice, within": WIRE.replace(b'"withdrawn_at":', b'"withdrawn_at":null,"withdrawn_at":'),
    "key twice": WIRE.replace(b'"holds":{', b'"holds":{"h-1":' + wire.encode(RECORD.holds["h-2"]) + b","),
    "field unknown": altered(("suspended",), value=True),
    "field unknown, within": altered(("consents", "surveys", "suspended"), value=True),
    "word unknown": altered(("account",), "suspended"),
    "word unknown in a set": altered(("restricted",), ["soul"]),
    "word a number": altered(("account",), 1),
    "set null": altered(("objected",), None),
    "set a word": altered(("objected",), "payment"),
    "map a list": altered(("holds",), []),
    "map null": altered(("holds",), None),
    "map of nulls": altered(("holds", "h-1"), None),
    "flag null": altered(("all_restricted",), None),
    "flag a number": altered(("all_restricted",), 0),
    "flag a word": altered(("all_restricted",), "false"),
    "version a word": altered(("version",), "18"),
    "version with a fraction": altered(("version",), 18.5),
    "version null": altered(("version",), None),
    "user null": altered(("user_id",), None),
    "time a number": altered(("account_changed_at",), 1798761600),
    "time a day": altered(("account_changed_at",), "2027-01-01"),
    "consent under another purpose": altered(("consents", "contests"), json.loads(WIRE)["consents"]["surveys"]),
    "consent under another channel": altered(("consents", "marketing:message"),
                                             json.loads(WIRE)["consents"]["marketing:email"]),
    "publication under another field": altered(("publications", "username"),
                                               json.loads(WIRE)["publications"]["avatar"]),
    "notice under another id": altered(("notices", "n-2"), json.loads(WIRE)["notices"]["n-1"]),
    "hold under another id": altered(("holds", "h-3"), json.loads(WIRE)["holds"]["h-2"]),
    "request under another id": altered(("requests", "q-2"), json.loads(WIRE)["requests"]["q-1"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", RECORDS)
def test_malformed_records(kind: str) -> None:
    """What is no record is `Malformed`."""
    assert RECORDS[kind] != WIRE
    with pytest.raises(wire.Malformed):
        decode_record(RECORDS[kind])


TIMES = [path for path in reaches(json.loads(WIRE)) if re.match(r"20\d\d-", str(at(json.loads(WIRE), path)))]


@pytest.mark.parametrize("path", TIMES, ids=lambda path: ".".join(map(str, path)))
def test_every_time_in_a_record_has_its_zone(path: tuple[object, ...]) -> None:
    """A record in which a time is naive is `Malformed`: compared with `at` it would raise, or lie."""
    with pytest.raises(wire.Malformed):
        decode_record(altered(path, at(json.loads(WIRE), path).removesuffix("Z")))


def test_the_times_are_all_of_them() -> None:
    """The test above goes through every field that holds a time, in each kind of part."""
    expected = {"account_changed_at", "given_at", "expires_at", "withdrawn_at", "told_at"}
    expected |= {"placed_at", "until", "released_at", "filed_at", "due_at", "resolved_at"}
    expected |= {"received_at", "reply_due_at", "replied_at", "said_at", "began_at"}
    kinds = (ConsentRecord, Consent, Notice, Publication, Hold, Request, Erasure)
    assert {field.name for kind in kinds for field in attrs.fields(kind) if "datetime" in str(field.type)} == expected
    assert {path[-1] for path in TIMES} == expected


# Decoding never gives a yes that was not written

MAPS = {"consents": Consent, "publications": Publication, "notices": Notice, "holds": Hold, "requests": Request}
ENTRIES_OF_MAPS = {(name, key) for name in MAPS for key in getattr(RECORD, name)}
FIELDS = [path for path in reaches(json.loads(WIRE)) if path not in ENTRIES_OF_MAPS]


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
def test_a_record_that_lacks_any_field_never_decodes(path: tuple[object, ...]) -> None:
    """No field of a record or its parts has a default, so one that is missing cannot read as "not restricted"."""
    plain = json.loads(WIRE)
    del at(plain, path[:-1])[path[-1]]
    with pytest.raises(wire.Malformed):
        decode_record(json.dumps(plain).encode())


def test_the_fields_are_all_of_them() -> None:
    """The test above goes through every field of the record and of each kind of part."""
    expected: set[tuple[str, ...]] = {(field.name,) for field in attrs.fields(ConsentRecord)}
    for name, kind in MAPS.items():
        expected |= {(name, key, field.name) for key in getattr(RECORD, name) for field in attrs.fields(kind)}
    expected |= {("erasure", field.name) for field in attrs.fields(Erasure)}
    assert set(FIELDS) == expected


@given(records(), st.data())
@settings(max_examples=100)
def test_a_random_record_that_lacks_fields_never_decodes(record: ConsentRecord, data: st.DataObject) -> None:
    """Whatever the record, without any one or more of its fields, at any depth, it is `Malformed`."""
    whole = json.loads(wire.encode(record))
    keys = {(name, key) for name in MAPS for key in whole[name]}
    fields = [path for path in reaches(whole) if path not in keys]
    plain = copy.deepcopy(whole)
    for path in data.draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3, unique=True)):
        try:
            del at(plain, path[:-1])[path[-1]]
        except KeyError:  # a part of what was removed before
            continue
    with pytest.raises(wire.Malformed):
        decode_record(json.dumps(plain).encode())


DECODERS: list[Callable[[bytes], object]] = [wire.decode_event, decode_record]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([*Purpose, *Field]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode))
@example(b"\x00" * 64)
@settings(max_examples=300)
def test_arbitrary_bytes_decode_to_nothing(data: bytes) -> None:
    """Whatever the bytes, decoding them ends in `Malformed` and in nothing else."""
    for decode in DECODERS:
        with pytest.raises(wire.Malformed):
            decode(data)


@given(st.sampled_from(EACH_EVENT), st.data())
@settings(max_examples=300)
def test_an_event_with_any_value_in_a_field(event: e.Event, data: st.DataObject) -> None:
    """An event in which a value was replaced by any other is `Malformed`, or just the event with that value."""
    plain = json.loads(wire.encode_event(event))
    name = data.draw(st.sampled_from(sorted(plain)))
    plain[name] = data.draw(JSON)
    try:
        decoded = wire.decode_event(json.dumps(plain).encode())
    except wire.Malformed:
        return
    again = json.loads(wire.encode_event(decoded))
    assert {key: value for key, value in again.items() if key != name} == {k: v for k, v in plain.items() if k != name}
    written = plain[name]
    assert again[name] == (sorted(set(written)) if isinstance(written, list) else written)


@given(st.binary(min_size=1, max_size=3), st.integers(0, len(WIRE) - 1), st.integers(0, 3))
@settings(max_examples=400)
def test_a_record_with_any_bytes_replaced(patch: bytes, place: int, cut: int) -> None:
    """A record in which any few bytes were replaced is `Malformed`, or reads as exactly what now stands there."""
    data = WIRE[:place] + patch + WIRE[place + cut :]
    assume(data != WIRE)
    try:
        record = decode_record(data)
    except wire.Malformed:
        return
    assert normal(json.loads(wire.encode(record))) == normal(json.loads(data))


def normal(value: Any) -> Any:
    """Plain values with sets sorted and times as instants, so that spelling makes no difference."""
    if isinstance(value, dict):
        return {name: normal(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted(set(value))
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[Tt ]", value):
        return datetime.fromisoformat(to_microseconds(value.upper()))
    return value


def to_microseconds(time: str) -> str:
    """A time rounded as it is read, where Python's own reading cuts off."""
    return re.sub(
        r"\.\d{7,}", lambda digits: str(Decimal(digits[0]).quantize(Decimal("1e-6"), ROUND_HALF_UP))[1:], time
    )


def test_large_arrays_are_read_in_slices() -> None:
    """Records that are too many for one step are read as one by one: all of them, in order; a bad one is found."""
    one = wire.encode(unopened("u-" + "x" * 200))
    count = 3 * wire.SLICE_BYTES // len(one)
    assert wire.decode_records(b"[%b]" % b",".join([one] * count)) == [unopened("u-" + "x" * 200)] * count
    for bad in (b"1", b'{"user_id":"u"}', one[:-1] + b',"more":1}', b"{"):
        with pytest.raises(wire.Malformed):
            wire.decode_records(b"[%b]" % b",".join([one] * count + [bad]))


def test_large_arrays_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that decode much take turns, and one that decodes little waits for none of them."""
    one = wire.encode(unopened("u-" + "x" * 200))
    large = b"[%b]" % b",".join([one] * (2 * wire.SLICE_BYTES // len(one)))
    decoding, most, inner = [0], [0], wire._decode_slice

    def counted(data: bytes) -> list[ConsentRecord]:
        """Decode, and count the threads that do."""
        if len(data) < 1_000:
            return inner(data)
        decoding[0] += 1
        most[0] = max(most[0], decoding[0])
        time.sleep(0.02)  # gives every other thread the chance to be here too
        assert wire.decode_records(b"[%b]" % one) == [unopened("u-" + "x" * 200)]
        decoding[0] -= 1
        return inner(data)

    monkeypatch.setattr(wire, "_decode_slice", counted)
    with ThreadPoolExecutor(4) as threads:
        read = list(threads.map(wire.decode_records, [large] * 8))
        held = threads.submit(wire.decode_records, large)
        assert wire.decode_records(b"[%b]" % one) == [unopened("u-" + "x" * 200)]
        assert len(held.result()) == len(read[0])
    assert most == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_child_decodes_although_its_parent_was_decoding() -> None:
    """A fork while another thread decodes much leaves the child no locked lock."""
    one = wire.encode(unopened("u-1"))
    large = b"[%b]" % b",".join([one] * (2 * wire.SLICE_BYTES // len(one)))
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        """Hold the lock as a thread that decodes does."""
        with wire._large_decoding:
            begun.set()
            over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(20)
    child = os.fork()
    if not child:
        signal.alarm(10)
        os._exit(0 if wire.decode_records(large)[0] == unopened("u-1") else 1)
    over.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
