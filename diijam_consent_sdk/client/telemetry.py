"""
Telemetry: `ConsentClient.status()` as OpenTelemetry metrics, if the application has OpenTelemetry.

The figures are read when metrics are collected, so a client that is used costs nothing more.
"""

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
NO_ATTRIBUTES: dict[str, str] = {}
Figures = Iterable[tuple[float, dict[str, str]]]


class Observed(Protocol):
    """What can be observed: a client."""

    def status(self) -> Status:
        """Give its status now."""


@attrs.frozen
class Instrument:
    """
    One instrument.

    Attributes:
        kind: The meter's method that makes it.

        unit: As OpenTelemetry writes units (UCUM).

        figures: Gives the values in a status, each with its attributes; empty while there is nothing to report.
    """

    kind: str
    unit: str
    description: str
    figures: Callable[[Status], Figures]


def one(value: float | None) -> Figures:
    """Give one figure without attributes, or none for None."""
    return () if value is None else ((value, NO_ATTRIBUTES),)


GAUGE, COUNTER = "create_observable_gauge", "create_observable_counter"
INSTRUMENTS: dict[str, Instrument] = {
    "diijam_consent.ready": Instrument(
        GAUGE,
        "1",
        "1 if the client is open and its last load or poll for guards succeeded",
        lambda s: one(int(s.ready)),
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
    "diijam_consent.feed.streaming": Instrument(
        GAUGE,
        "1",
        "1 while the feed comes as a stream, 0 while it is polled for",
        lambda s: () if _is_up(s) is None else one(int(s.is_streaming)),
    ),
    "diijam_consent.position": Instrument(
        GAUGE, "{entry}", "the ledger's position up to which changes are known", lambda s: one(s.position)
    ),
    "diijam_consent.age": Instrument(
        GAUGE, "s", "the greatest age of what the feed reported last", lambda s: one(s.age_seconds)
    ),
    "diijam_consent.watch.lag": Instrument(
        GAUGE,
        "s",
        "for how long the watch that is furthest behind has not been at the ledger's end",
        lambda s: one(s.watch_lag_seconds),
    ),
    "diijam_consent.users": Instrument(GAUGE, "{user}", "users kept in memory", lambda s: one(s.users)),
    "diijam_consent.hits": Instrument(
        COUNTER, "{lookup}", "users who were in memory when asked for", lambda s: one(s.hits)
    ),
    "diijam_consent.misses": Instrument(COUNTER, "{lookup}", "users who were not", lambda s: one(s.misses)),
    "diijam_consent.denials": Instrument(
        COUNTER,
        "{decision}",
        "guards that denied, by `reason`",
        lambda s: ((count, {"reason": str(reason)}) for reason, count in s.denials.items()),
    ),
}


@attrs.define
class ObservedClient:
    """A client that is observed, and the highest figure reported of each of its counters."""

    ref: weakref.ref[Observed]
    highest: dict[tuple[object, ...], float] = attrs.field(factory=dict)

    def monotonic(self, name: str, attributes: dict[str, str], count: float) -> float:
        """
        Give the highest count reported so far: threads that count at once may lose some, but a counter never goes back.
        A forked child counts apart.
        """
        key = (os.getpid(), name, *attributes.values())
        self.highest[key] = max(count, self.highest.get(key, 0))
        return self.highest[key]


# No lock, since each use is one step of a dict; a forked child so inherits nothing that could be held.
_clients: dict[int, ObservedClient] = {}
_numbers = itertools.count(1)


def observe(client: Observed) -> None:
    """
    Report *client* in the application's OpenTelemetry metrics as long as the client lives. Raises nothing.

    The instruments are those of `INSTRUMENTS`. Each has the attribute `client`, a number within the process; no
    attribute names a user. Without the package `opentelemetry-api` nothing happens.

    Args:
        client: Asked for its status whenever metrics are collected. It is not kept alive.
    """
    number = next(_numbers)
    _clients[number] = ObservedClient(weakref.ref(client, lambda _: _clients.pop(number, None)))
    if number == 1:
        try:
            _register()
        except ImportError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever an application's provider does, its clients work
            log.warning("telemetry.failed", error=type(error).__name__)


def _register() -> None:
    from opentelemetry import metrics  # noqa: PLC0415 - it belongs to the application

    meter = metrics.get_meter(SCOPE)  # a proxy until the application sets its provider

    def observing(name: str, instrument: Instrument) -> Callable[[Any], Iterator[metrics.Observation]]:
        def observations(_: Any) -> Iterator[metrics.Observation]:
            for value, attributes in _figures(name, instrument):
                yield metrics.Observation(value, attributes)

        return observations

    for name, instrument in INSTRUMENTS.items():
        make = getattr(meter, instrument.kind)
        make(name, callbacks=[observing(name, instrument)], unit=instrument.unit, description=instrument.description)


def _figures(name: str, instrument: Instrument) -> Iterator[tuple[float, dict[str, str]]]:
    for number, observed in list(_clients.items()):
        client = observed.ref()
        if client is None:
            continue
        for value, attributes in instrument.figures(client.status()):
            figure = observed.monotonic(name, attributes, value) if instrument.kind == COUNTER else value
            yield figure, {"client": str(number), **attributes}


def _is_up(status: Status) -> int | None:
    return None if status.feed is Feed.OFF else int(status.feed is Feed.UP)
