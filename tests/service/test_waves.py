"""The waves of beats: no stream is forgotten after a look that was slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable

import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.service.stream import Stream
from diijam_consent_sdk.service.streams import Streams
from diijam_consent_sdk.stores import Changes, Cursor
from tests.service.conftest import on_a_loop

HERE = Cursor("an-epoch", 5, "ab" * 32)
BEAT_SECONDS, SLOW_SECONDS = 0.2, 0.5


@pytest.mark.parametrize("is_away", [True, False])
@on_a_loop
async def test_after_a_slow_look_beats_go_on(*, is_away: bool) -> None:
    """The waves do not wait for it, so it has to wake them itself, whether it found nothing or failed."""
    looks = 0

    async def look(after: Cursor, _: int, __: Hashable) -> tuple[float, Changes]:
        """The second look is slow."""
        nonlocal looks
        looks, at = looks + 1, time.monotonic()
        if looks == 2:
            await asyncio.sleep(SLOW_SECONDS)
            if is_away:
                raise StoreUnavailable("away")
        return at, Changes(after, after, {}, complete=True, waited=0.0)

    streams, now = Streams(look, time.monotonic), time.monotonic()
    stream = Stream(streams.add_taker, HERE, 1000, BEAT_SECONDS, now, now + 300)
    streams.open("a-client", stream)
    async with asyncio.timeout(20):
        for _ in range(4):
            assert await stream.next_part() is not None
    assert looks >= 4
    streams.stop()
