"""The library's log, whatever the application configured: a line that fails changes nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk._logging import log
from diijam_consent_sdk.errors import OutcomeUnknown
from diijam_consent_sdk.events import Objected
from diijam_consent_sdk.testing import ConsentForTests
from tests.client.conftest import eventually


@pytest.fixture(autouse=True)
def _configuration() -> Iterator[None]:
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


def rendered(*processors: Any, **options: Any) -> None:
    """Configure structlog as an application does."""
    structlog.configure(processors=list(processors), **options)


def as_bytes(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    """Render a line as bytes."""
    return json.dumps(dict(event)).encode()


def broken(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
    """A processor that fails."""
    raise RuntimeError(event["event"])


async def asynchronous(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
    """A processor that is a coroutine, which cannot be awaited here."""
    return event


class Raising(logging.Handler):
    """A handler that fails, which most do not."""

    def emit(self, record: logging.LogRecord) -> None:
        """Fail."""
        raise RuntimeError(record.msg)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged."""
    return [record.getMessage() for record in caplog.records if record.name == "diijam_consent_sdk"]


def test_unconfigured_lines_are_the_event_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Without a structlog configuration a line has no time and no level: the application's logging adds them."""
    log.warning("store.unreachable", cause="out of reach: 'x'", tries=2)
    log.error("plain")
    assert lines(caplog) == ["store.unreachable cause=\"out of reach: 'x'\" tries=2", "plain"]


def test_configured_lines_are_rendered_by_the_application(caplog: pytest.LogCaptureFixture) -> None:
    """A configuration of the application's renders the line, its levels are heeded, and bytes become text."""
    rendered(structlog.processors.add_log_level, as_bytes, wrapper_class=structlog.make_filtering_bound_logger(30))
    with caplog.at_level(logging.DEBUG):
        log.info("quiet")
        log.warning("seen", n=1)
    assert [json.loads(line) for line in lines(caplog)] == [{"event": "seen", "level": "warning", "n": 1}]


def test_the_formatter_of_structlog_gets_its_dict(caplog: pytest.LogCaptureFixture) -> None:
    """What is rendered by `ProcessorFormatter` arrives there unrendered."""
    rendered(structlog.stdlib.add_logger_name, structlog.stdlib.ProcessorFormatter.wrap_for_formatter)
    log.warning("seen")
    assert caplog.records[-1].msg == {"event": "seen", "logger": "diijam_consent_sdk"}


def test_an_async_bound_logger_is_used_synchronously(caplog: pytest.LogCaptureFixture) -> None:
    """With structlog's `AsyncBoundLogger` the same processors render, at once."""
    rendered(structlog.processors.JSONRenderer(), wrapper_class=structlog.stdlib.AsyncBoundLogger)
    log.warning("seen")
    assert lines(caplog) == ['{"event": "seen"}']


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("processor", [broken, asynchronous], ids=lambda p: p.__name__)
def test_a_line_that_fails_is_written_plainly(caplog: pytest.LogCaptureFixture, processor: Any) -> None:
    """A processor that fails, or must be awaited, loses no line, and the line names its error."""
    rendered(processor)
    log.warning("seen", n=1)
    (line,) = lines(caplog)
    assert line.startswith("seen n=1 log_failed=")


def test_a_handler_that_fails_changes_nothing() -> None:
    """Even with nowhere to write, nothing is raised."""
    logger, handler = logging.getLogger("diijam_consent_sdk"), Raising()
    logger.addHandler(handler)
    try:
        log.error("lost")
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize("wrapper", [structlog.stdlib.AsyncBoundLogger, structlog.stdlib.BoundLogger])
def test_a_write_of_unknown_outcome_is_settled(wrapper: Any) -> None:
    """Whatever the log does, `record` raises `OutcomeUnknown`, the write is settled, and `close` raises nothing."""
    rendered(broken, wrapper_class=wrapper)
    with ConsentForTests(deadline=0.2) as consent:
        consent.opted_in("u-1", "email")
        consent.store.broken_after = OutcomeUnknown("the answer was lost", "")
        with pytest.raises(OutcomeUnknown):
            consent.record("u-1", Objected("fraud_detection"))
        consent.store.broken_after = None
        assert eventually(lambda: bool(consent.can_market("u-1", "email")))


def test_metrics_that_fail_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the application's OpenTelemetry raises, while the log fails too, never keeps a client from being made."""

    def fail() -> None:
        raise RuntimeError("no meter")

    rendered(broken)
    monkeypatch.setattr("diijam_consent_sdk.client.telemetry._register", fail)
    monkeypatch.setattr("diijam_consent_sdk.client.telemetry._numbers", iter([1]))
    ConsentClient.from_url("memory:").close()
