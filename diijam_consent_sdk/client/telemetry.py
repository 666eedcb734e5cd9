"""What `ConsentClient.status()` tells, as OpenTelemetry metrics, where the application has OpenTelemetry."""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import attrs

from .._logging import log
from ..status import Feed, Status

SCOPE = "diijam_consent_sdk"
NONE: dict[str, str] = {}
Figures = Iterable[tuple[float, dict[str, str]]]


class Observed(Protocol):
    """What is observed: a client."""

    def status(self) -> Status:
        """One look at it."""


@attrs.frozen
class Instrument:
    """
    One instrument.

    Attributes:
        kind: The meter's method that makes it.

        unit: As OpenTelemetry writes units (UCUM).

        figures: What a look at a client gives: values, each with its attributes. None where there is nothing to say.
    """

    kind: str
    unit: str
    description: str
    figures: Callable[[Status], Figures]


def one(value: float | None) -> Figures:
    """A figure without attributes."""
    return () if value is None else ((value, NONE),)


GAUGE, COUNTER = "create_observable_gauge", "create_observable_counter"
INSTRUMENTS: dict[str, Instrument] = {
    "diijam_consent.ready": Instrument(
        GAUGE, "1", "1 if a question would be answered from what the store said last", lambda s: one(int(s.ready))
    ),
    "diijam_consent.feed.up": Instrument(
        GAUGE, "1", "1 while the change feed is reached, 0 while it is not", lambda s: one(_is_up(s))
    ),
    "diijam_consent.feed.since": Instrument(
        GAUGE,
        "s",
        "since when the feed has been so, Unix time",
        lambda s: one(s.feed_since.timestamp() if s.feed_since else None),
    ),
    "diijam_consent.position": Instrument(
        GAUGE, "{entry}", "the ledger's position up to which changes are known", lambda s: one(s.position)
    ),
    "diijam_consent.age": Instrument(GAUGE, "s", "how old what the feed said is at most", lambda s: one(s.age_seconds)),
    "diijam_consent.users": Instrument(GAUGE, "{user}", "users kept in memory", lambda s: one(s.users)),
    "diijam_consent.hits": Instrument(
        COUNTER, "{lookup}", "users who were in memory when asked for", lambda s: one(s.hits)
    ),
    "diijam_consent.misses": Instrument(COUNTER, "{lookup}", "users who were not", lambda s: one(s.misses)),
    "diijam_consent.denials": Instrument(
        COUNTER,
        "{decision}",
        "guards that said no, by `reason`",
        lambda s: ((count, {"reason": str(reason)}) for reason, count in s.denials.items()),
    ),
}


@attrs.define
class _Client:
    """A client that is observed, and the most that was told of each of its counters."""

    ref: weakref.ref[Observed]
    told: dict[tuple[object, ...], float] = attrs.field(factory=dict)

    def counted(self, name: str, attributes: dict[str, str], count: float) -> float:
        """A counter never goes back, although threads that count at once may lose some. A forked child's is its own."""
        key = (os.getpid(), name, *attributes.values())
        self.told[key] = max(count, self.told.get(key, 0))
        return self.told[key]


# No lock: each use is one step of a dict, and a forked child inherits nothing that could be held.
_clients: dict[int, _Client] = {}
_numbers = itertools.count(1)


def observe(client: Observed) -> None:
    """
    Let the application's OpenTelemetry metrics tell of *client* as long as it lives. Raises nothing.

    The instruments are those of `INSTRUMENTS`. Each has the attribute `client`, a number within the process; no
    attribute names a user. Without the package `opentelemetry-api` nothing happens.

    Args:
        client: Who is asked for its status whenever metrics are collected. It is not kept alive.
    """
    number = next(_numbers)
    _clients[number] = _Client(weakref.ref(client, lambda _: _clients.pop(number, None)))
    if number == 1:
        try:
            _register()
        except ImportError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever an application's provider does, its clients work
            log.warning("telemetry.failed", error=type(error).__name__)


def _register() -> None:
    from opentelemetry import metrics  # noqa: PLC0415 - it belongs to the application

    meter = metrics.get_meter(SCOPE)  # one that comes to life once the application sets its provider

    def observing(name: str, instrument: Instrument) -> Callable[[Any], Iterator[metrics.Observation]]:
        def observations(_: Any) -> Iterator[metrics.Observation]:
            for value, attributes in _figures(name, instrument):
                yield metrics.Observation(value, attributes)

        return observations

    for name, instrument in INSTRUMENTS.items():
        make = getattr(meter, instrument.kind)
        make(name, callbacks=[observing(name, instrument)], unit=instrument.unit, description=instrument.description)


def _figures(name: str, instrument: Instrument) -> Iterator[tuple[float, dict[str, str]]]:
    for number, seen in list(_clients.items()):
        client = seen.ref()
        if client is None:
            continue
        for value, attributes in instrument.figures(client.status()):
            told = seen.counted(name, attributes, value) if instrument.kind == COUNTER else value
            yield told, {"client": str(number), **attributes}


def _is_up(status: Status) -> int | None:
    return None if status.feed is Feed.OFF else int(status.feed is Feed.UP)
