"""The service's Prometheus metrics and its access log. Neither holds a user id, a token, a body or a query string."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .._logging import log
from .verification import Verification

METRICS_TYPE = "text/plain; version=0.0.4"  # Prometheus's text format; the framework adds the charset
OTHER = "(other)"  # in place of an unknown path or method, which a client may have put an id into
METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
WARN_EVERY_SECONDS = 10.0  # between two log lines about unknown tokens
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30, 60)  # seconds


class Metrics:
    """
    The metrics of one application. Use it on one event loop only.

    Args:
        count_held_polls: Returns how many long polls wait.

        count_streams: Returns how many polls are being answered in parts.

        paths: Requests to these paths are counted by path, all others as one.

        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        count_held_polls: Callable[[], float],
        count_streams: Callable[[], float] = lambda: 0,
        paths: frozenset[str] = frozenset(),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._paths = paths
        self._unknown_tokens = 0  # since the last log line
        self._warned_at = -WARN_EVERY_SECONDS
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "diijam_consent_requests", "Requests answered.", ("method", "path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "diijam_consent_request_seconds",
            "Time to the end of the answer, in seconds; of long polls with the waiting.",
            ("path",),
            buckets=BUCKETS,
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
        held.set_function(count_held_polls)
        streams = Gauge("diijam_consent_streams", "Polls that are being answered in parts.", registry=self._registry)
        streams.set_function(count_streams)

    def show_verification(self, verification: Verification) -> None:
        """Show how far the ledger was verified, and when, and whether it is broken."""
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            (
                "verified_position",
                "The position up to which the last whole walk verified the ledger.",
                lambda: verification.verified.position if verification.verified else 0,
            ),
            (
                "verified_timestamp_seconds",
                "When that walk ended, in seconds since 1970; 0 before the first.",
                lambda: verification.verified_at,
            ),
            ("verifying_position", "Where the walk under way is.", lambda: verification.position),
            ("ledger_broken", "1 once the ledger was found broken, else 0.", lambda: verification.is_broken),
        )
        for name, what, read in gauges:
            Gauge(f"diijam_consent_{name}", what, registry=self._registry).set_function(read)

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
        method = method if method in METHODS else OTHER
        path = path if path in self._paths else OTHER
        self._requests.labels(method, path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)
        log.info(
            "service.request",
            method=method, path=path, status=status, duration_ms=round(seconds * 1000, 1), token=token, users=users,
        )  # fmt: skip

    def record_append(self, outcome: str) -> None:
        """Count an append by its outcome: `done`, or the key of its problem."""
        self._appends.labels(outcome).inc()

    def record_refusal(self, token: str) -> None:
        """Count a request that was not let in, by its token, and now and then log the number of unknown tokens."""
        self._refusals.labels(token).inc()
        if token != "unknown":  # noqa: S105 - a label
            return
        self._unknown_tokens += 1
        if (now := self._clock()) - self._warned_at >= WARN_EVERY_SECONDS:
            log.warning("service.unknown_tokens", count=self._unknown_tokens)
            self._unknown_tokens, self._warned_at = 0, now

    def render(self) -> bytes:
        """Write the metrics in Prometheus's text format."""
        return generate_latest(self._registry)
