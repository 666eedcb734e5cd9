"""The ledger's work list, read at most once every few seconds, however many pages are opened meanwhile."""

from __future__ import annotations

import asyncio
from time import monotonic

import attrs

from diijam_consent_sdk import AsyncConsentClient
from diijam_consent_sdk.due import Due, PendingErasure, erasure_due_at
from diijam_consent_sdk.record import ConsentRecord

KEPT_SECONDS = 10.0  # the pages say as of when the list is


class Work:
    """
    The work list of a ledger. One page needs the order of all that is open, so all pages of these seconds share it, and
    there is never more than one reading at a time. For one event loop.
    """

    def __init__(self, consent: AsyncConsentClient) -> None:
        self._consent = consent
        self._reading = asyncio.Lock()
        self._due: Due | None = None
        self._asked_at = self._changed_at = float("-inf")

    async def due(self) -> Due:
        """Give the work list, at most `KEPT_SECONDS` old, with all that staff did here. Errors are those of `due`."""
        async with self._reading:
            if self._due is None or self._asked_at <= max(self._changed_at, monotonic() - KEPT_SECONDS):
                asked_at = monotonic()
                self._due, self._asked_at = await self._consent.due(), asked_at
            return self._due

    def forget(self) -> None:
        """Read the list anew before it is shown again: something was done."""
        self._changed_at = monotonic()

    async def erasure_of(self, record: ConsentRecord) -> PendingErasure | None:
        """Find a customer's pending erasure, with the holders that have yet to confirm by the record."""
        if record.erasure is None or not record.is_erasing():
            return None
        found = _find(await self.due(), record)
        if found is None:  # it began since the list was read, perhaps after another one that ended
            self.forget()
            found = _find(await self.due(), record)
        if found is None:  # it ended since the record was
            return None
        missing = tuple(holder for holder in found.missing if holder not in record.erasure.confirmed)
        return attrs.evolve(found, missing=missing)


def _find(due: Due, record: ConsentRecord) -> PendingErasure | None:
    which = record.user_id, erasure_due_at(record)
    return next((one for one in (*due.erasable, *due.held) if (one.user_id, one.due_at) == which), None)
