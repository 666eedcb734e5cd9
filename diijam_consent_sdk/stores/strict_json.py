"""
Strict JSON: a key that is given twice or is unknown is an error, since programs read such JSON in different ways.
"""

from __future__ import annotations

import json

import msgspec

MAX_MESSAGE = 200  # characters of a codec's message, which may quote a text as long as a request
UNKNOWN_FIELD = "Object contains unknown field"  # the codec's message up to the name, which is any text that was sent


class Malformed(ValueError):
    """Bytes that are not what they should be. The message names what is wrong and where, and repeats no user id."""


def spelled(data: bytes) -> object:
    """
    Decode plain values, every key of them.

    What comes out the same when it is encoded again was JSON of values in which no key is twice. Other JSON, with space
    in it or with other escapes, is decoded key by key, which takes nine times as long.

    Raises:
        Malformed: *data* is no JSON, or gives a key twice.
    """
    try:
        value = msgspec.json.decode(data)
        if msgspec.json.encode(value) == data:
            return value
        return json.loads(data, object_pairs_hook=_object)
    except ValueError as error:
        raise Malformed(str(error)[:MAX_MESSAGE]) from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("a key is given twice")
    return fields


def check_names(given: object, known: object) -> None:
    """Check that *given* has no other fields than *known*, which is nested alike."""
    if isinstance(given, dict) and isinstance(known, dict):
        if given.keys() - known.keys():
            raise Malformed(f"{UNKNOWN_FIELD} within")
        for name, inner in given.items():
            if isinstance(inner, (dict, list)):
                check_names(inner, known[name])
    elif isinstance(given, list) and isinstance(known, list):
        for inner, other in zip(given, known, strict=False):  # a set may name a word twice
            if isinstance(inner, (dict, list)):
                check_names(inner, other)
