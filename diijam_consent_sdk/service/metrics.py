"""What the service counts, and its access lines. Neither holds an id, a token, a body or a query string."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .._logging import log

METRICS_TYPE = "text/plain; version=0.0.4"  # Prometheus's text format; the framework adds the charset
OTHER = "(other)"  # in place of a path or method that is not ours: a client may have put an id into it
METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
TELL_EVERY_SECONDS = 10.0  # at most so often a line says how many unknown tokens came
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30, 60)


class Meters:
    """
    The figures of one application.

    Args:
        polls_held: Tells how many long polls wait.

        clock: A monotonic clock, in seconds.
    """

    def __init__(self, polls_held: Callable[[], float], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unknown = 0  # tokens since the last line
        self._told_at = -TELL_EVERY_SECONDS
        self._registry = CollectorRegistry()
        self._paths: frozenset[str] = frozenset()
        self._requests = Counter(
            "diijam_consent_requests", "Requests answered.", ("method", "path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "diijam_consent_request_seconds",
            "Time to the end of the answer, in seconds; of long polls with the waiting.",
            ("path",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._appends = Counter(
            "diijam_consent_appends", "Appends by what became of them.", ("outcome",), registry=self._registry
        )
        self._refusals = Counter(
            "diijam_consent_refusals",
            "Requests not let in, by what their token is: none, unknown, or without the scope.",
            ("token",),
            registry=self._registry,
        )
        held = Gauge("diijam_consent_polls_held", "Long polls that wait for news.", registry=self._registry)
        held.set_function(polls_held)

    def know(self, paths: frozenset[str]) -> None:
        """Count requests to these paths by path, all others as one."""
        self._paths = paths

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered: count it and write its access line."""
        method = method if method in METHODS else OTHER
        path = path if path in self._paths else OTHER
        self._requests.labels(method, path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)
        log.info("service.request", method=method, path=path, status=status, duration_ms=round(seconds * 1000, 1))

    def appended(self, outcome: str) -> None:
        """An append ended: `done`, or the key of the problem it met."""
        self._appends.labels(outcome).inc()

    def refused(self, why: str) -> None:
        """A request was not let in: count it by its token. Of unknown ones a line says how many, without them."""
        self._refusals.labels(why).inc()
        if why != "unknown":
            return
        self._unknown += 1
        if (now := self._clock()) - self._told_at >= TELL_EVERY_SECONDS:
            log.warning("service.unknown_tokens", count=self._unknown)
            self._unknown, self._told_at = 0, now

    def text(self) -> bytes:
        """The figures in Prometheus's text format."""
        return generate_latest(self._registry)
