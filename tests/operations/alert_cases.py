"""For each alert: series that are well, series that are not, and what is then reported, for `promtool test rules`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

Values = dict[str, str]  # a series, and its values minute by minute, as promtool writes them
LOAD = "/v1/standings/load"


@attrs.frozen
class Case:
    """
    One alert.

    Attributes:
        at: When to look.

        labels: The labels of the alert that fires, beside its severity.

        summary: Its words.
    """

    alert: str
    at: str
    severity: str
    summary: str
    well: Values
    ill: Values
    labels: dict[str, str] = attrs.field(factory=dict)

    def tests(self) -> Iterator[dict[str, Any]]:
        """Give the two tests of it: first nothing is reported, then this alert alone is."""
        report = {
            "exp_labels": {"severity": self.severity, **self.labels},
            "exp_annotations": {"summary": self.summary},
        }
        for series, reports in ((self.well, []), (self.ill, [report])):
            yield {
                "name": f"{self.alert}: {'fires' if reports else 'is quiet'}",
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": self.at, "alertname": self.alert, "exp_alerts": reports}],
            }


def up(instance: str) -> str:
    """Whether Prometheus reaches a process."""
    return f'up{{job="consent", instance="{instance}"}}'


def one(metric: str, **labels: str) -> str:
    """A series of one process."""
    pairs = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f"diijam_consent_{metric}{{{pairs}}}"


def requests(status: str, path: str = LOAD) -> str:
    """The answers of a status."""
    return one("requests_total", instance="a", method="POST", path=path, status=status)


def loads(*counts: int) -> Values:
    """The loads of a minute that took a hundredth, a half and a whole second at most, and all of them."""
    bounds = ("0.01", "0.5", "1.0", "+Inf")
    return {
        one("request_seconds_bucket", instance="a", path=LOAD, le=bound): f"0+{count}x30"
        for bound, count in zip(bounds, counts, strict=True)
    }


def appends(outcome: str) -> str:
    """The appends with an outcome."""
    return one("appends_total", instance="a", outcome=outcome)


def refused(token: str) -> str:
    """The requests that were not let in."""
    return one("refusals_total", instance="a", token=token)


def denials(reason: str) -> str:
    """The guards of a service that denied."""
    return one("denials_total", job="shop", reason=reason)


POLLS, STREAMS = one("polls_held", instance="a"), one("streams", instance="a")
VERIFIED = one("verified_timestamp_seconds", instance="a")
BROKEN, ALSO_BROKEN = one("ledger_broken", instance="a"), one("ledger_broken", instance="b")
FEED, LAG = one("feed_up", job="shop"), one("watch_lag_seconds", job="index")

CASES = (
    Case(
        "ConsentServiceGone", "5m", "critical", "No process of the consent service answers",
        well={up("a"): "1x10", up("b"): "0x10"},
        ill={up("a"): "0x10", up("b"): "0x10"},
    ),
    Case(
        "ConsentProcessDown", "5m", "warning", "b of the consent service does not answer",
        well={up("a"): "1x10", up("b"): "0 0 1x10"},
        ill={up("a"): "1x10", up("b"): "0x10"}, labels={"job": "consent", "instance": "b"},
    ),
    Case(
        "ConsentLedgerBroken", "5m", "critical", "The ledger does not verify",
        well={BROKEN: "0x10", ALSO_BROKEN: "0x10"}, ill={BROKEN: "0x10", ALSO_BROKEN: "1x10"},
    ),
    Case(
        "ConsentLedgerNotVerified", "245m", "warning", "The ledger was not verified for hours",
        well={VERIFIED: "0x120 7200x300"}, ill={VERIFIED: "0x400"},
    ),
    Case(
        "ConsentUnhealthy", "5m", "critical", "a is not well: no store, no tokens, or a broken ledger",
        well={requests("200", "/healthz"): "0+6x10", requests("503", "/healthz"): "3x10"},
        ill={requests("200", "/healthz"): "6x10", requests("503", "/healthz"): "0+6x10"},
        labels={"instance": "a", "method": "POST", "path": "/healthz", "status": "503"},
    ),
    Case(
        "ConsentErrors", "15m", "critical", "10% of the answers are errors",
        well={requests("200"): "0+970x20", requests("503"): "0+30x20", requests("503", "/healthz"): "0+9000x20"},
        ill={requests("200"): "0+900x20", requests("503"): "0+100x20"},
    ),
    Case(
        "ConsentAppendsLost", "15m", "critical", "Customers' choices are not written (store-unavailable)",
        well={appends("done"): "0+5x20", appends("invalid-event"): "0+5x20"},
        ill={appends("done"): "0+5x20", appends("store-unavailable"): "0+5x20"},
        labels={"outcome": "store-unavailable"},
    ),
    Case(
        "ConsentAppendsUnknown", "30m", "warning", "It is not known of some appends whether they were written",
        well={appends("done"): "0+5x60", appends("outcome-unknown"): "4x60"},
        ill={appends("outcome-unknown"): "4x20 5x40"}, labels={"instance": "a", "outcome": "outcome-unknown"},
    ),
    Case(
        "ConsentSlow", "25m", "warning", "One load in a hundred takes 950ms or longer",
        well=loads(990, 999, 1000, 1000), ill=loads(500, 900, 1000, 1000),
    ),
    Case(
        "ConsentTokenRefused", "15m", "warning", "A client asks with a token that is expired",
        well={refused("none"): "0+5x30", refused("unknown"): "7x30"},
        ill={refused("expired"): "0+5x30"}, labels={"token": "expired"},
    ),
    Case(
        "ConsentScopeMissing", "40m", "info", "A client asks for what its token does not allow",
        well={refused("none"): "0+5x60", refused("scope"): "7x60"},
        ill={refused("scope"): "0+5x60"}, labels={"instance": "a", "token": "scope"},
    ),
    Case(
        "ConsentStreamsHeldBack", "75m", "info", "Most clients poll, since a proxy holds their streams back",
        well={POLLS: "2x90", STREAMS: "9x90"}, ill={POLLS: "9x90", STREAMS: "2x90"},
    ),
    Case(
        "ConsentClientCutOff", "5m", "critical", "shop is cut off from the consent service, and denies",
        well={FEED: "1x3 0 1x10"}, ill={FEED: "0x10"}, labels={"job": "shop"},
    ),
    Case(
        "ConsentDenialsByOutage", "15m", "warning", "shop denies what customers allowed (stale)",
        well={denials("withdrawn"): "0+9x30", denials("stale"): "5x30"},
        ill={denials("stale"): "0+9x30"}, labels={"job": "shop", "reason": "stale"},
    ),
    Case(
        "ConsentDenialsByToken", "40m", "info", "shop asks what its token does not allow",
        well={denials("withdrawn"): "0+9x60"}, ill={denials("not_entitled"): "0+9x60"}, labels={"job": "shop"},
    ),
    Case(
        "ConsentWatchLags", "10m", "warning", "A copy in index is 10m 0s behind the ledger",
        well={LAG: "0 400 0x30"}, ill={LAG: "600x30"}, labels={"job": "index"},
    ),
)  # fmt: skip
