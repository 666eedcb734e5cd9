"""Compare what was found with what a case expects."""

from __future__ import annotations

from typing import Any

from ...errors import InvalidEvent, StoreError, VersionConflict

REFUSALS = (ValueError, TypeError, VersionConflict)  # `InvalidEvent` is a ValueError


class Mismatch(Exception):
    """The store or the decision differs from what the case expects."""


def expect(what: str, found: object, expected: object) -> None:
    """Raise `Mismatch` unless both are equal."""
    if found != expected:
        raise Mismatch(f"{what}: {found!r}, expected: {expected!r}")


def compare(name: str, found: Any, expected: Any) -> None:
    """Compare the fields of an object that are expected, and lists as sets; raises `Mismatch` if one differs."""
    if isinstance(expected, dict) and expected and isinstance(found, dict):
        for key, value in expected.items():
            compare(f"{name}.{key}", found.get(key), value)
    elif isinstance(expected, list) and isinstance(found, list):
        expect(name, sorted(found), sorted(expected))
    else:
        expect(name, found, expected)


def expect_refusal(error: Exception, expected: str | None) -> None:
    """Raise `Mismatch` unless the error is the expected kind of refusal; an outage is raised as it is."""
    if isinstance(error, InvalidEvent):
        kind = "invalid-event"
    elif isinstance(error, StoreError):
        raise error
    else:
        kind = "version-conflict" if isinstance(error, VersionConflict) else "malformed"
    if kind != expected:
        raise Mismatch(f"refused as {kind}, expected: {expected or 'accepted'}") from error


def expect_accepted(expected: str | None) -> None:
    """Raise `Mismatch` if a refusal was expected of what was accepted."""
    if expected is not None:
        raise Mismatch(f"accepted, expected: refused as {expected}")
