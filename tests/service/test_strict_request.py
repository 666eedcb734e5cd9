"""Decoding of questions off the event loop."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from diijam_consent_sdk.stores import wire
from diijam_consent_sdk.stores.messages import SMALL_BODY_BYTES
from tests.service.conftest import Asker


def test_a_large_question_is_decoded_off_the_event_loop(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a large question is decoded, the service answers health checks and small questions."""
    begun, over, inner = threading.Event(), threading.Event(), wire.read

    def read(data: bytes, kind: type[Any]) -> Any:
        """Decode a large question slowly."""
        if len(data) > SMALL_BODY_BYTES:
            begun.set()
            assert over.wait(20)
        return inner(data, kind)

    monkeypatch.setattr(wire, "read", read)
    large = [f"{number:06}" + "x" * 80 for number in range(1_000)]
    with ThreadPoolExecutor(1) as threads, httpx.Client(timeout=20) as client:
        answer = threads.submit(Asker(asker.url, asker.token, client).load, *large)
        assert begun.wait(20)
        assert asker.http.get(f"{asker.url}/healthz").status_code == 200
        assert len(asker.load("u-1")["records"]) == 1
        assert not answer.done()
        over.set()
        assert [record["user_id"] for record in answer.result()["records"]] == large
