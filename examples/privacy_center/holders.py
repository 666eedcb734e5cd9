"""
Two holders of copies, each with a job that erases what it owes and then confirms it, as if in separate processes.

The ledger records nobody as erased before both have confirmed. The page of requests shows who has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from diijam_consent_sdk import AsyncConsentClient, Method, Provenance
from diijam_consent_sdk.errors import ConsentError, InvalidEvent
from diijam_consent_sdk.events import ErasureConfirmed

from .words import Words

HOLDERS = ("mailer", "warehouse")
LOOK_EVERY_SECONDS = 1.0
log = logging.getLogger(__name__)


def holder_name(holder: str, words: Words) -> str:
    """How a holder is called in the middle of a sentence."""
    return words(f"holder.{holder}") if holder in HOLDERS else holder


@asynccontextmanager
async def at_work(client: AsyncConsentClient, holder: str) -> AsyncIterator[None]:
    """Run a holder's job for as long as the block runs."""
    job = asyncio.create_task(_confirm_for_ever(client, holder))
    try:
        yield
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job


async def _confirm_for_ever(client: AsyncConsentClient, holder: str) -> None:
    while True:
        try:
            await confirm_owed(client, holder)
        except (ConsentError, ValueError) as error:  # what is owed stays on the list until the next look
            log.warning("center.holder_waits error=%s", type(error).__name__)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def confirm_owed(client: AsyncConsentClient, holder: str) -> None:
    """
    Erase what the holder owes, and confirm what is gone. What a hold keeps is confirmed once the hold has ended.

    Raises:
        StoreError: the ledger cannot be reached.

        ValueError: no such holder is registered.
    """
    for owed in await client.erasures(holder):
        if owed.kept:
            continue
        # A real job deletes its rows of `owed.user_id` here, and confirms only then.
        with suppress(InvalidEvent):  # the customer took the request back meanwhile
            said = Provenance(method=Method.SYSTEM, evidence=f"job-{holder}")
            await client.record(owed.user_id, ErasureConfirmed(holder, owed.began_at), provenance=said)
