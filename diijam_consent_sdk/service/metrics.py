"""
The service's Prometheus metrics. They hold no user id, token, body or query string.

The figures lie on the board that the processes of one service share, so that each of them gives those of all.
"""

from __future__ import annotations

import functools
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, product

import attrs
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from .._logging import log
from .access_log import AccessLine, AccessLog
from .board import Board
from .problems import PROBLEMS
from .verification import Verification

METRICS_TYPE = "text/plain; version=0.0.4"  # Prometheus's text format; the framework adds the charset
OTHER = "(other)"  # in place of an unknown path or method, which a client may have put an id into
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", OTHER)
STATUSES = ("200", "204", *sorted({str(status) for status, _ in PROBLEMS.values()}), OTHER)
OUTCOMES = ("done", *PROBLEMS)
TOKENS = ("none", "unknown", "expired", "scope")
WARN_EVERY_SECONDS = 10.0  # between two log lines about unknown tokens
# Seconds; the longest stream ends in the last one.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30, 60, 120, 240, 480)
BOUNDS = (*map(floatToGoString, BUCKETS), "+Inf")
MAX_GAUGES = 32


@attrs.frozen
class Gauge:
    """A figure that each process reads for each report. The service's is their sum, or the largest of them."""

    name: str
    what: str
    read: Callable[[], float]
    is_summed: bool = True


@attrs.frozen
class Counters:
    """Counters of one name, by their labels, and where on the board they are."""

    name: str
    what: str
    labels: tuple[str, ...]
    values: dict[tuple[str, ...], int]

    def family(self, sums: Sequence[float]) -> Metric:
        """Give those that counted something."""
        family = CounterMetricFamily(f"diijam_consent_{self.name}", self.what, labels=self.labels)
        for labels, place in self.values.items():
            if sums[place]:
                family.add_metric(labels, sums[place])
        return family


class Layout:
    """
    Where each figure is in a row of the board.

    Args:
        paths: Requests to these paths are counted by path, all others as one.
    """

    def __init__(self, paths: frozenset[str] = frozenset()) -> None:
        self.size = MAX_GAUGES
        self.paths = (*sorted(paths), OTHER)
        self.requests = self._counters(
            "requests", "Requests answered.", method=METHODS, path=self.paths, status=STATUSES
        )
        self.appends = self._counters("appends", "Appends by what became of them.", outcome=OUTCOMES)
        self.refusals = self._counters(
            "refusals",
            "Requests not let in, by what their token is: none, unknown, expired, or without the scope.",
            token=TOKENS,
        )
        self.seconds = {path: self._taken(len(BOUNDS) + 1) for path in self.paths}  # each bucket, then the sum

    def _counters(self, name: str, what: str, **labels: tuple[str, ...]) -> Counters:
        combinations = list(product(*labels.values()))
        first = self._taken(len(combinations))
        return Counters(name, what, tuple(labels), {each: first + at for at, each in enumerate(combinations)})

    def _taken(self, numbers: int) -> int:
        self.size += numbers
        return self.size - numbers


class Metrics:
    """
    The metrics of one process. Use it on one event loop only.

    Args:
        layout: Where the figures are on the board.

        gauges: What this process reads again for each report; the same names in the same order in each process.

        board: The board of all processes; without one this process has its own.

        process: The number of this process, from 0.

        access_log: Gets a line for each request.

        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        layout: Layout,
        gauges: Sequence[Gauge] = (),
        board: Board | None = None,
        process: int = 0,
        *,
        access_log: AccessLog | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._access_log = access_log or AccessLog()
        self._layout = layout
        self._gauges = gauges
        self._board = board or Board(layout.size)
        self._row = self._board.row(process)
        self._unknown_tokens = 0  # since the last log line
        self._warned_at = -WARN_EVERY_SECONDS
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def record_request(
        self, method: str, path: str, status: int, seconds: float, *, token: str | None = None, users: int = 0
    ) -> None:
        """
        Count an answered request and write its access line.

        Args:
            method: The request's method.

            path: Its path.

            status: The answer's status.

            seconds: The time to the end of the answer.

            token: The name of the request's token; None if it was not let in, or needed none.

            users: How many users were asked about, or named by the answer.
        """
        requests, row = self._layout.requests.values, self._row
        place = requests.get((method, path, str(status)))
        if place is None:
            method = method if method in METHODS else OTHER
            path = path if path in self._layout.seconds else OTHER
            place = requests.get((method, path, str(status)), requests[method, path, OTHER])
        row[place] += 1
        first = self._layout.seconds[path]
        row[first + bisect_left(BUCKETS, seconds)] += 1
        row[first + len(BOUNDS)] += seconds
        self._access_log.record(AccessLine(method, path, status, round(seconds * 1000, 1), token, users))

    def record_append(self, outcome: str) -> None:
        """Count an append by its outcome: `done`, or the key of its problem."""
        self._row[self._layout.appends.values[outcome,]] += 1

    def record_refusal(self, token: str) -> None:
        """Count a request that was not let in, by its token, and now and then log the number of unknown tokens."""
        self._row[self._layout.refusals.values[token,]] += 1
        if token != "unknown":  # noqa: S105 - a label
            return
        self._unknown_tokens += 1
        if (now := self._clock()) - self._warned_at >= WARN_EVERY_SECONDS:
            log.warning("service.unknown_tokens", count=self._unknown_tokens)
            self._unknown_tokens, self._warned_at = 0, now

    def publish_gauges(self) -> None:
        """Put the gauges on the board, for the reports of other processes."""
        for place, gauge in enumerate(self._gauges):
            self._row[place] = gauge.read()

    def render(self) -> bytes:
        """Write the metrics of all processes in Prometheus's text format."""
        self.publish_gauges()
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Give the metrics of all processes; see `prometheus_client.registry.Collector`."""
        sums, largest = self._board.sums(), self._board.largest()
        for counters in (self._layout.requests, self._layout.appends, self._layout.refusals):
            yield counters.family(sums)
        what = "Time to the end of the answer, in seconds; of long polls with the waiting."
        family = HistogramMetricFamily("diijam_consent_request_seconds", what, labels=("path",))
        for path, first in self._layout.seconds.items():
            *counts, seconds = sums[first : first + len(BOUNDS) + 1]
            if any(counts):
                family.add_metric([path], list(zip(BOUNDS, accumulate(counts), strict=True)), seconds)
        yield family
        for place, gauge in enumerate(self._gauges):
            value = (sums if gauge.is_summed else largest)[place]
            yield GaugeMetricFamily(f"diijam_consent_{gauge.name}", gauge.what, value)


def verification_gauges(verification: Verification | None) -> tuple[Gauge, ...]:
    """
    Show how far the ledger was verified, and when, and whether it is broken.

    Args:
        verification: The walks; None in a process that leaves them to another one.
    """
    return tuple(
        Gauge(name, what, functools.partial(_read, verification, read), is_summed=False)
        for name, what, read in (
            (
                "verified_position",
                "The position up to which the last whole walk verified the ledger.",
                lambda walks: walks.verified.position if walks.verified else 0,
            ),
            (
                "verified_timestamp_seconds",
                "When that walk ended, in seconds since 1970; 0 before the first.",
                lambda walks: walks.verified_at,
            ),
            ("verifying_position", "Where the walk under way is.", lambda walks: walks.position),
            ("ledger_broken", "1 once the ledger was found broken, else 0.", lambda walks: walks.is_broken),
        )
    )


def _read(verification: Verification | None, read: Callable[[Verification], float]) -> float:
    return 0.0 if verification is None else read(verification)


def clear_gauges(board: Board, process: int) -> None:
    """Forget the gauges of a process that ended."""
    row = board.row(process)
    for place in range(MAX_GAUGES):
        row[place] = 0.0
