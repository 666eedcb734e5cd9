"""What Prometheus's expressions ask about, and what the service and its clients really offer of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import attrs
import promql_parser
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from diijam_consent_sdk.client.telemetry import INSTRUMENTS, SCOPE
from diijam_consent_sdk.service.app import LAYOUT
from diijam_consent_sdk.service.metrics import METHODS, OUTCOMES, STATUSES, TOKENS, Metrics
from diijam_consent_sdk.vocabulary import Reason

TARGET = {"job", "instance"}  # the labels of whoever scrapes
Series = Mapping[str, Mapping[str, set[str]]]  # each series, its labels, and their values


def parse(text: str) -> Series:
    """Parse Prometheus's text format."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found[sample.name]
            for name, value in sample.labels.items():
                labels[name].add(value)
    return found


def count_everything(metrics: Metrics) -> None:
    """Count once of each label's values, as a service that has seen everything."""
    for method, path in zip(METHODS * len(LAYOUT.paths), LAYOUT.paths, strict=False):
        metrics.record_request(method, path, 200, 0.01)
    for status in STATUSES:
        metrics.record_request("POST", "/v1/standings/load", int(status) if status.isdecimal() else 0, 0.01)
    for outcome in OUTCOMES:
        metrics.record_append(outcome)
    for token in TOKENS:
        metrics.record_refusal(token)


def client_series() -> Series:
    """What a service that uses the library exports by OpenTelemetry's exporter for Prometheus."""
    reader = PrometheusMetricReader()
    provider = MeterProvider([reader], Resource.get_empty())
    meter = provider.get_meter(SCOPE)

    def observations(_: CallbackOptions) -> Iterator[Observation]:
        for reason in Reason:
            yield Observation(1, {"client": "1", "reason": str(reason)})

    for name, instrument in INSTRUMENTS.items():
        make = getattr(meter, instrument.kind)
        make(name, callbacks=[observations], unit=instrument.unit, description=instrument.description)
    text = generate_latest(REGISTRY).decode()
    provider.shutdown()
    return {name: labels for name, labels in parse(text).items() if name.startswith("diijam_consent_")}


@attrs.frozen
class Selector:
    """
    One selection of series in an expression.

    Attributes:
        labels: Pairs of a label and the values that are asked for, each by itself.
    """

    metric: str
    labels: tuple[tuple[str, tuple[str, ...]], ...]


def selectors(expression: str) -> list[Selector]:
    """
    Parse an expression, and find which series it selects.

    Raises:
        ValueError: it is no expression.
    """
    found: list[Selector] = []

    def note(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            matchers = node.matchers.matchers
            found.append(
                Selector(node.name or "", tuple((each.name, tuple(each.value.split("|"))) for each in matchers))
            )

    promql_parser.walk(promql_parser.parse(expression), note)
    return found


def faults(expressions: Iterable[str], series: Series) -> Iterator[str]:
    """Find what expressions ask for that there never is: a metric, a label of it, or a value of that label."""
    for expression in expressions:
        for selector in selectors(expression):
            if selector.metric != "up" and selector.metric not in series:
                yield f"{selector.metric} is no metric"
                continue
            labels = series.get(selector.metric, {})
            for label, values in selector.labels:
                if label in TARGET:
                    continue
                yield from (f"{selector.metric}{{{label}}} is never {v}" for v in values if v not in labels[label])
        by = re.findall(r"\bby \(([^)]*)\)", expression)
        names = {name.strip() for group in by for name in group.split(",")} - TARGET
        known = {label for selector in selectors(expression) for label in series.get(selector.metric, {})}
        yield from (f"{name} is no label of what {expression} selects" for name in names - known)
