"""Stores that each keep the policy but for one rule of proof: provenance, notices, and keys."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import attrs

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.notices import NoticeText, RegisteredNotice
from diijam_consent_sdk.stores import Appended, MemoryStore
from diijam_consent_sdk.vocabulary import Method
from tests.conformance.broken import Batch, Sound


class _Rewrites(Sound):
    """A store that shows each entry of a history other than it was written."""

    def rewritten(self, entry: e.LedgerEntry) -> e.LedgerEntry:
        """The entry as it is shown."""
        return entry

    def history(self, user_id: str) -> list[e.LedgerEntry]:
        """See `Store.history`."""
        return list(map(self.rewritten, super().history(user_id)))


class ForgetsProvenance(_Rewrites):
    """Nothing is known of how an entry came about."""

    def rewritten(self, entry: e.LedgerEntry) -> e.LedgerEntry:
        """The entry as it is shown."""
        return attrs.evolve(entry, provenance=e.NO_PROVENANCE)


class ForgetsWhenItWasSaid(_Rewrites):
    """What was imported is shown as if it had been said here."""

    def rewritten(self, entry: e.LedgerEntry) -> e.LedgerEntry:
        """The entry as it is shown."""
        if entry.provenance.said_at is None:
            return entry
        return attrs.evolve(entry, provenance=attrs.evolve(entry.provenance, method=Method.STAFF, said_at=None))


class ForgetsDigests(_Rewrites):
    """No entry keeps what its notice said."""

    def rewritten(self, entry: e.LedgerEntry) -> e.LedgerEntry:
        """The entry as it is shown."""
        return attrs.evolve(entry, notice_digest=None)


class ProvesInHindsight(_Rewrites):
    """An entry gets the digest of a notice that was registered after it."""

    def rewritten(self, entry: e.LedgerEntry) -> e.LedgerEntry:
        """The entry as it is shown."""
        found = self.notice(entry.event.notice) if isinstance(entry.event, (e.Granted, e.Notified, e.Agreed)) else None
        return entry if found is None else attrs.evolve(entry, notice_digest=found.digest)


class KeepsEvidenceOfErased(Sound):
    """The evidence and the language of an erasure outlive the customer's data."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, e.Provenance] = {}

    def append(
        self,
        user_id: str,
        events: Batch,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: e.Provenance | None = None,
    ) -> Appended:
        """See `Store.append`."""
        self.kept[user_id] = provenance or e.NO_PROVENANCE
        return super().append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )

    def history(self, user_id: str) -> list[e.LedgerEntry]:
        """See `Store.history`."""
        entries = super().history(user_id)
        if not entries or not isinstance(entries[-1].event, e.Erased):
            return entries
        return [attrs.evolve(entries[-1], provenance=self.kept[user_id])]


class ComparesProvenance(Sound):
    """A key that is repeated with another provenance is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[tuple[str, str], e.Provenance | None] = {}

    def append(
        self,
        user_id: str,
        events: Batch,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: e.Provenance | None = None,
    ) -> Appended:
        """See `Store.append`."""
        batch = tuple(events)
        if idempotency_key is not None and self.first.get((user_id, idempotency_key), provenance) != provenance:
            raise ValueError("this key was used with another provenance")
        appended = super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )
        if idempotency_key is not None:
            self.first[user_id, idempotency_key] = provenance
        return appended


class RemembersRefusedKeys(Sound):
    """The key of a refused append cannot be used any more."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: set[tuple[str, str]] = set()

    def append(
        self,
        user_id: str,
        events: Batch,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: e.Provenance | None = None,
    ) -> Appended:
        """See `Store.append`."""
        batch = tuple(events)
        if idempotency_key is not None and (user_id, idempotency_key) in self.spent:
            raise ValueError("this key was used before")
        try:
            return super().append(
                user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key,
                provenance=provenance,
            )  # fmt: skip
        except InvalidEvent:
            if idempotency_key is not None:
                self.spent.add((user_id, idempotency_key))
            raise


class RequiresNothing(Sound):
    """Notices are required, and nothing is refused for want of them."""

    def require_notices(self) -> None:
        """See `Notices.require_notices`."""


class RequiresNoticesOfNoes(Sound):
    """Where notices are required, an agreement under an unregistered one is neither given nor withdrawn."""

    def __init__(self) -> None:
        super().__init__()
        self.required = False

    def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        super().require_notices()
        self.required = True

    def append(
        self,
        user_id: str,
        events: Batch,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: e.Provenance | None = None,
    ) -> Appended:
        """See `Store.append`."""
        batch = tuple(events)
        for event in batch:
            if self.required and isinstance(event, e.AgreementWithdrawn) and self.notice(event.notice) is None:
                raise InvalidEvent("register the notice first")
        return super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )


class RegistersAnew(Sound):
    """A notice that is registered again gets a new time."""

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        known = self.notice(text.notice)
        registered = super().register_notice(text, by=by)
        if known is None:
            return registered
        return attrs.evolve(registered, registered_at=registered.registered_at + timedelta(seconds=1))


class ReplacesNotices(Sound):
    """Other words under a known id take the place of those that customers were shown."""

    def __init__(self) -> None:
        super().__init__()
        self.replaced: dict[str, RegisteredNotice] = {}

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        known = self.notice(text.notice)
        if known is None or known.text == text:
            return super().register_notice(text, by=by)
        self.replaced[text.notice] = attrs.evolve(known, text=text, digest=text.digest)
        return self.replaced[text.notice]

    def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        return self.replaced.get(notice) or super().notice(notice)


class NormalisesWords(Sound):
    """Words are kept in another spelling than they were shown in."""

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        texts = {language: unicodedata.normalize("NFC", shown).strip() for language, shown in text.texts.items()}
        return super().register_notice(attrs.evolve(text, texts=texts), by=by)


class DropsRefusedWords(Sound):
    """A refused registration removes what was registered."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: set[str] = set()

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        try:
            return super().register_notice(text, by=by)
        except InvalidEvent:
            self.dropped.add(text.notice)
            raise

    def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        return None if notice in self.dropped else MemoryStore.notice(self, notice)


BROKEN_PROOF: list[type[Sound]] = [
    ForgetsProvenance, ForgetsWhenItWasSaid, ForgetsDigests, ProvesInHindsight, KeepsEvidenceOfErased,
    ComparesProvenance, RemembersRefusedKeys, RequiresNothing, RequiresNoticesOfNoes, RegistersAnew, ReplacesNotices,
    NormalisesWords, DropsRefusedWords,
]  # fmt: skip
