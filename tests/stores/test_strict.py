"""A key given twice, or an unknown field, is refused at any depth, because programs read them differently."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.service.examples import EXAMPLES
from diijam_consent_sdk.standing import EVERY_ASK
from diijam_consent_sdk.stores import Cursor, messages, standing_messages, wire
from diijam_consent_sdk.stores._retry import Failure
from diijam_consent_sdk.stores.http import append_exchange, exchange
from diijam_consent_sdk.stores.problem_document import Problem
from diijam_consent_sdk.stores.standings import decode_standing
from diijam_consent_sdk.stores.strict_json import MAX_MESSAGE
from diijam_consent_sdk.testing.strategies import records

NONCE = "0123456789abcdef"
ANSWERS: dict[str, Any] = {
    "/v1/standings/load": standing_messages.StandingsAnswer,
    "/v1/standings/list": standing_messages.StandingsListAnswer,
    "/v1/records/load": messages.LoadAnswer,
    "/v1/events/append": messages.AppendAnswer,
    "/v1/history/load": messages.HistoryAnswer,
    "/v1/requests/due": messages.RequestsAnswer,
    "/v1/changes": messages.ChangesAnswer,
}
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {}
for question_kind, question_path in (messages.PATHS | standing_messages.PATHS).items():
    question_example, answer_example = EXAMPLES[question_path]
    KINDS[question_kind.__name__] = (question_kind, {"nonce": NONCE, **question_example})
    KINDS[ANSWERS[question_path].__name__] = (ANSWERS[question_path], {"nonce": NONCE, **answer_example})
MAPS = {"user_ids", "consents", "notices", "holds", "requests"}  # their keys are ids and words, not fields

Path = tuple[str | int, ...]


def members(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path to each member of an object within plain values."""
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if isinstance(value, dict):
            yield (*path, name)
        yield from members(inner, (*path, name))


def spelled(value: Any, twice: Path, more: str) -> str:
    """JSON in which *more*, with a comma before it, stands after the member at a path."""
    if isinstance(value, dict):
        found = []
        for name, inner in value.items():
            rest = twice[1:] if twice[:1] == (name,) else ("",)
            found.append(f"{json.dumps(name)}:{spelled(inner, rest, more)}" + (more if rest == () else ""))
        return "{" + ",".join(found) + "}"
    if isinstance(value, list):
        inners = [spelled(inner, twice[1:] if twice[:1] == (n,) else ("",), more) for n, inner in enumerate(value)]
        return "[" + ",".join(inners) + "]"
    return json.dumps(value)


def stands_at(value: Any, path: Path) -> Any:
    """What stands at a path."""
    for name in path:
        value = value[name]
    return value


def read(data: bytes, kind: Any) -> Any:
    """Read a message as its receiver does, with the standings that it has as bytes."""
    value = wire.read(data, kind)
    if isinstance(value, standing_messages.StandingsAnswer):
        for row in value.rows():
            decode_standing(row.standing, EVERY_ASK)
    return value


PLACES: list[Any] = [
    pytest.param(name, path, id=f"{name}-{'.'.join(map(str, path))}")
    for name in KINDS
    for path in members(KINDS[name][1])
]


@pytest.mark.parametrize(("name", "path"), PLACES)
def test_a_key_given_twice_is_refused(name: str, path: Path) -> None:
    """In questions and answers, at any depth, also where it is spelled otherwise, or says the same again."""
    kind, plain = KINDS[name]
    assert read(spelled(plain, ("",), "").encode(), kind)
    value, key = json.dumps(stands_at(plain, path)), str(path[-1])
    escaped = f"\\u{ord(key[0]):04x}{key[1:]}"
    for more in (f',"{key}":{value}', f',"{escaped}" : {value}'):
        with pytest.raises(wire.Malformed, match="a key is given twice"):
            read(spelled(plain, path, more).encode(), kind)


@pytest.mark.parametrize(("name", "path"), [p for p in PLACES if not MAPS.intersection(map(str, p.values[1][-2:-1]))])
def test_a_field_that_is_none_is_refused(name: str, path: Path) -> None:
    """Beside any field of a question or answer, at any depth: it might have said that something is suspended."""
    kind, plain = KINDS[name]
    data = spelled(plain, path, ',"suspended":true').encode()
    if kind in {messages.AppendQuestion, messages.HistoryAnswer} and "event" in str(path[:-1]):
        fields = stands_at(msgspec.to_builtins(read(data, kind)), path[:-1])
        with pytest.raises(wire.Malformed, match="has no field 'suspended'"):
            wire.event_from(fields)
        return
    if "provenance" in path[:-1]:
        data = data.replace(b'"suspended":true', b'"suspended":"true"')
        fields = stands_at(msgspec.to_builtins(read(data, kind)), path[:-1])
        with pytest.raises(wire.Malformed, match="has no field 'suspended'"):
            wire.provenance_from(fields)
        return
    with pytest.raises(wire.Malformed, match="unknown field"):
        read(data, kind)


@given(records(), st.data())
def test_a_record_with_any_key_twice_is_refused(record: Any, data: st.DataObject) -> None:
    """On disk a record is read as strictly, whatever it holds."""
    plain = json.loads(wire.encode(record))
    path = data.draw(st.sampled_from(sorted(members(plain), key=str)))
    again = f',"{path[-1]}":{json.dumps(stands_at(plain, path))}'
    with pytest.raises(wire.Malformed, match="a key is given twice"):
        wire.decode_records(f"[{spelled(plain, path, again)}]".encode())


def test_an_event_with_its_type_twice_is_refused() -> None:
    """`Withdrawn` and `Granted` in one event are neither."""
    both = b'{"type":"Withdrawn","purpose":"surveys","notice":"n-1","type":"Granted"}'
    with pytest.raises(wire.Malformed, match="a key is given twice"):
        wire.decode_event(both)


ODD = {
    "nothing": b"",
    "with a byte-order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "not UTF-8": b'{"nonce":"\xff"}',
    "half a character": b'{"nonce":"\xe1\xba"}',
    "overlong": b'{"nonce":"\xc0\x80"}',
    "a surrogate": b'{"nonce":"\xed\xa0\x80"}',
    "a surrogate, escaped": b'{"nonce":"\\ud83d"}',
    "not a number": b'{"wait":NaN}',
    "infinity": b'{"wait":-Infinity}',
    "too large a number": b'{"wait":1e999}',
    "too long a number": b'{"wait":' + b"9" * 10_000 + b"}",
    "a number that begins with 0": b'{"wait":01}',
    "something behind": b"{}{}",
    "a null byte behind": b"{}\x00",
    "a comma behind": b'{"nonce":"n",}',
    "a comment": b"{/**/}",
    "single quotes": b"{'nonce':1}",
    "a line end in a text": b'{"nonce":"\n"}',
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "deep but whole": b"[" * 100_000 + b"]" * 100_000,
}


@pytest.mark.parametrize("kind", [Any, messages.ChangesQuestion, messages.LoadAnswer, Problem], ids=str)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_json_is_malformed(odd: str, kind: Any) -> None:
    """Whatever the bytes, reading them ends in `Malformed`, which says what is wrong and not more than that."""
    with pytest.raises(wire.Malformed) as caught:
        wire.read(ODD[odd], kind)
    assert 0 < len(str(caught.value)) <= MAX_MESSAGE


@pytest.mark.parametrize("depth", [10, 300, 500, 900, 1_100, 3_000])
def test_depth_within_an_unknown_field_is_malformed(depth: int) -> None:
    """An unknown field is refused at any depth, on the wire and on disk."""
    deep = b"[" * depth + b"]" * depth
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    for inner in (deep, nested):
        with pytest.raises(wire.Malformed):
            wire.read(b'{"epoch":"e","position":1,"hash":"h","more":%b}' % inner, Cursor)


@pytest.mark.parametrize("depth", range(100, 1_200, 50))
def test_depth_of_plain_values_is_no_error_of_ours(depth: int) -> None:
    """Plain values are read to some depth, and are `Malformed` beyond, however they are spelled."""
    for data in (b"[ " * depth + b"]" * depth, b'{"a": ' * depth + b"1" + b"}" * depth):
        with suppress(wire.Malformed):
            wire.read(data, Any)
    if depth == 100:
        assert wire.read(data, Any)


def test_no_text_of_a_caller_is_told_uncut() -> None:
    """Of what the codec or an event's fields quote, no more than the beginning is in the error."""
    long = "secret" * 100_000
    for data, kind in (
        (f'{{"nonce":"{NONCE}","{long}":1}}', messages.HistoryQuestion),
        (f'{{"nonce":"{NONCE}","at":"{long}"}}', messages.LoadAnswer),
        (json.dumps({"nonce": NONCE, "cursor": {"epoch": 1}, long: 2}), messages.LoadAnswer),
    ):
        with pytest.raises(wire.Malformed) as caught:
            wire.read(data.encode(), kind)
        assert len(str(caught.value)) <= MAX_MESSAGE
    for fields in (
        {"type": long},
        {"type": "Agreed", "notice": "n", "expires_at": long},
        {"type": "Agreed", "notice": long},
        {"type": "Agreed", "notice": "n", long: 1},
        {"type": "Hidden", "field": long},
        {"type": "Withdrawn", "purpose": "marketing", "channels": [long]},
    ):
        with pytest.raises(wire.Malformed) as caught:
            wire.event_from(fields)
        assert "secretsecretsecretsecretsecretsecretsecret" not in str(caught.value)


def answer_of(extra: str) -> bytes:
    """The answer to a load of nobody, with something more in it."""
    cursor = '{"epoch":"e","hash":"h","position":1}'
    return f'{{"at":"2026-01-01T00:00:00Z","cursor":{cursor},"nonce":"n","records":[]{extra}}}'.encode()


def test_an_answer_with_a_key_twice_is_not_believed() -> None:
    """A load whose answer gives a key twice is a failure; so is one with an unknown field."""
    headers = {"content-type": "application/json"}
    assert exchange.load([]).result("n", 200, headers, answer_of("")).cursor == Cursor("e", 1, "h")
    for extra in (',"nonce":"n"', ',"records":[]', ',"suspended":true'):
        with pytest.raises(Failure, match="it is malformed"):
            exchange.load([]).result("n", 200, headers, answer_of(extra))


def test_a_problem_with_its_type_twice_promises_nothing() -> None:
    """A refusal that also says `store-unavailable` does not promise that nothing was written."""
    append = append_exchange.append("u", [e.AccountOpened()], None, "k")
    known = b'{"type":"urn:diijam-consent:store-unavailable","title":"","status":503,"detail":"","more":1'
    with pytest.raises(Failure) as promise:
        append.result("n", 503, {}, known + b"}")
    assert not promise.value.maybe_written
    with pytest.raises(Failure) as failure:
        append.result("n", 503, {}, known + b',"type":"urn:diijam-consent:outcome-unknown"}')
    assert failure.value.maybe_written
