"""A signal handler that raises while a thread is started: what may have begun is never called "not sent"."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable
from typing import Any

import pytest

from diijam_consent_sdk import _threads
from diijam_consent_sdk import events as e
from diijam_consent_sdk.testing import ConsentForTests
from tests.client.conftest import eventually

SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", notice="promo", channels={"email"}))


class Handled(RuntimeError):
    """What a handler raises: the worst case, since `Thread.start` raises `RuntimeError` too."""


def handler() -> None:
    """Raise in its own frame, as a handler does."""
    raise Handled


@pytest.mark.parametrize("call", ["record", "load", "user"])
def test_a_handler_raises_once_the_thread_began(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The handler's exception comes out as it is, a write is in the ledger, and the user is answered afterwards."""
    start: Callable[..., Any] = start_new_thread
    raised: list[bool] = []

    def interrupted(*arguments: Any) -> None:
        start(*arguments)
        if not raised:
            raised.append(True)
            handler()

    with ConsentForTests() as consent:
        monkeypatch.setattr(_threads, "start_new_thread", interrupted)
        with pytest.raises(Handled):
            consent.record("u", *SIGNED_UP) if call == "record" else getattr(consent, call)("u")
        if call != "record":
            consent.record("u", *SIGNED_UP)
        assert eventually(lambda: bool(consent.can_market("u", "email")))
        assert consent.load("u").version == 2
