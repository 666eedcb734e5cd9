"""The library names a user to its caller only, never in logs or errors."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import ConsentError
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from diijam_consent_sdk.testing import FaultyStore, unreachable
from tests.client.conftest import SIGNED_UP, eventually

SECRETS = ("secret-user", "secret-notice", "secret-recipient", "secret-key", "secret-hold")


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Everything that any logger of the process writes, at its lowest level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def test_an_answer_shows_no_choices() -> None:
    """The repr of what `record` returns, which a notebook or a log shows, leaves the user's record out."""
    with ConsentClient(MemoryStore()) as consent:
        appended = consent.record("secret-user", *SIGNED_UP, e.Granted("surveys", "secret-notice"))
    assert appended.record is not None
    assert "secret" not in repr(appended)
    assert repr(appended) == f"Appended(cursor={appended.cursor!r}, version={appended.version}, is_repeat=False)"


def test_logs_and_errors_name_nobody(said: io.StringIO, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Through every kind of failure, at the lowest log level, no id, notice, recipient or key is logged."""
    store = FaultyStore(MemoryStore())
    errors: list[BaseException] = []
    consent = ConsentClient(store, max_staleness=1, deadline=0.2)

    def fail(*events: e.Event, **options: object) -> None:
        with pytest.raises((ConsentError, ValueError)) as raised:
            consent.record("secret-user", *events, **options)  # type: ignore[arg-type]
        errors.append(raised.value)

    consent.record("secret-user", *SIGNED_UP, idempotency_key="secret-key")
    consent.user("secret-user").can_share("secret-recipient", {"email"}, "marketing")
    fail(e.AccountOpened())
    fail(e.Agreed("secret-notice"))
    fail(e.Granted("marketing", "secret-notice", ["email"]), idempotency_key="secret-key")
    fail(e.AccountClosed(), expected_version=9)
    store.broken = unreachable()
    fail(e.AccountClosed())
    assert eventually(lambda: "store.unreachable" in said.getvalue())
    store.broken, store.hold["append"] = None, threading.Event()
    fail(e.Notified("secret-notice", "secret-recipient", {"email"}, "marketing"))
    store.hold["append"].set()
    assert eventually(lambda: "store.reachable" in said.getvalue())
    consent.user("secret-user")
    consent.close()
    assert "client.closed" in said.getvalue()
    file = SqliteStore(tmp_path / "c.db")
    file.append("secret-user", [e.AccountOpened(), e.HoldPlaced("secret-hold", "debt", {"email"})])
    file.close()
    out, err = capfd.readouterr()
    shown = said.getvalue() + out + err + "".join(f"{error}{error!r}{error.__cause__!r}" for error in errors)
    assert not [secret for secret in SECRETS if secret in shown]


def test_one_line_a_change_of_state_and_none_a_guard(said: io.StringIO) -> None:
    """An outage is two lines, however many guards ask during it."""
    store = FaultyStore(MemoryStore())
    with structlog.testing.capture_logs() as lines, ConsentClient(store, follow=False) as consent:
        consent.can_market("u", "email")
        store.broken = unreachable()
        for number in range(20):
            consent.can_market(f"u{number}", "email")
        store.broken = None
        for number in range(20):
            consent.can_market(f"u{number}", "email")
    assert lines == [
        {
            "event": "store.unreachable",
            "error": "StoreUnavailable",
            "cause": str(unreachable()),
            "log_level": "warning",
        },
        {"event": "store.reachable", "log_level": "info"},
        {"event": "client.closed", "log_level": "info"},
    ]


def test_an_application_that_configured_nothing_gets_nothing_on_its_output(capfd: pytest.CaptureFixture[str]) -> None:
    """A library's INFO lines go to loggers that ask for them, never to standard output."""
    ConsentClient(MemoryStore()).close()
    assert capfd.readouterr().out == ""
