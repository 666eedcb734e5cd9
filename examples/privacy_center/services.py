"""
Three services that ask before they use a customer's data, each with a separate client, as if in separate processes.

They share nothing with the centre but the ledger: what a customer says reaches them through the store's changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import attrs

from diijam_consent_sdk import AsyncConsentClient, Channel, Decision, Field, Market, Process, Purpose, Share, Show

Ask = Market | Process | Share | Show
ASKS: Mapping[str, Mapping[str, Ask]] = {
    "marketing": {channel: Market(channel) for channel in Channel},
    "analytics": {
        "listening": Process(Purpose.SERVICE_IMPROVEMENT, {Field.LISTENING_HISTORY}),
        "features": Process(Purpose.TECHNOLOGY_DEVELOPMENT, {Field.DEVICE}),
        "fraud": Process(Purpose.FRAUD_DETECTION, {Field.PAYMENT, Field.DEVICE}),
    },
    "profile": {
        "username": Show(Field.USERNAME),
        "avatar": Show(Field.AVATAR),
        "artists": Show(Field.RECENTLY_FOLLOWED_ARTISTS),
        "feed": Share("tre-xanh-records", {Field.USERNAME, Field.RECENTLY_FOLLOWED_ARTISTS}, Purpose.MARKETING),
    },
}
BOUND_SECONDS = 60  # the clients' max_staleness, which is the default
HEARING_SECONDS = 1.0  # how long a visitor is kept waiting for the services to have heard
LOOK_EVERY_SECONDS = 0.005


@attrs.frozen
class Asked:
    """The answers that one service got about a customer: each of its asks with the decision."""

    name: str
    version: int
    answers: Sequence[tuple[str, Decision]]

    @property
    def allowed(self) -> int:
        """How many answers are yes."""
        return sum(decision.allowed for _, decision in self.answers)


@attrs.frozen
class Service:
    """One service of Diijam's."""

    name: str
    client: AsyncConsentClient

    async def ask(self, user_id: str) -> Asked:
        """Ask about everything this service would like to do."""
        user = await self.client.user(user_id)
        return Asked(self.name, user.version, [(key, user.decide(ask)) for key, ask in ASKS[self.name].items()])

    async def hear(self, user_id: str, version: int) -> None:
        """Return once this service answers on that version of the customer's record, or a later one."""
        while (await self.client.user(user_id)).version < version:  # noqa: ASYNC110 - nobody tells it but its guards
            await asyncio.sleep(LOOK_EVERY_SECONDS)


async def ask_all(services: Sequence[Service], user_id: str) -> list[Asked]:
    """Ask all services' asks about a customer, at the same time."""
    return await asyncio.gather(*(service.ask(user_id) for service in services))


async def heard_after(services: Sequence[Service], user_id: str, version: int) -> int | None:
    """Milliseconds until the last service had heard of that version; None if one has not within `HEARING_SECONDS`."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(HEARING_SECONDS):
            await asyncio.gather(*(service.hear(user_id, version) for service in services))
    except TimeoutError:
        return None
    return round((time.monotonic() - started) * 1000)
