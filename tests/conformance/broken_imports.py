"""Stores that each keep the policy but for one rule of imports, or of the entry on which a word rests."""

from __future__ import annotations

from datetime import timedelta

import attrs

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.record import ConsentRecord, Said, consent_key
from diijam_consent_sdk.stores import Appended
from diijam_consent_sdk.vocabulary import Field, Method, Purpose
from tests.conformance.broken import Batch, Sound, _Misread


class _JudgesImports(Sound):
    """A store that refuses some imports more, or writes some refused ones all the same."""

    def refuses(self, record: ConsentRecord, event: e.Event) -> bool:
        """Whether the import of an event is refused."""
        return False

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        return None

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
        (record,) = self.load([user_id]).records
        is_import = provenance is not None and provenance.method is Method.IMPORT
        if is_import and any(self.refuses(record, event) for event in batch):
            raise InvalidEvent("this import is refused")
        try:
            return super().append(
                user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key,
                provenance=provenance,
            )  # fmt: skip
        except InvalidEvent:
            other = self.overrules(record, batch[-1], provenance) if provenance is not None and is_import else None
            if other is None:
                raise
            return super().append(user_id, batch, expected_version=expected_version, provenance=other)


def _words(record: ConsentRecord, event: e.Event) -> list[Said]:
    """The customer's words on what an event says yes to."""
    match event:
        case e.Granted(purpose=purpose, channels=channels):
            keys = [consent_key(purpose, channel) for channel in channels or (None,)]
            return [record.consents[key] for key in keys if key in record.consents]
        case e.Agreed(notice):
            return [record.notices[notice]] if notice in record.notices else []
        case e.Published(field):
            return [record.publications[field]] if field in record.publications else []
        case _:
            return []


class ImportsOverrule(_JudgesImports):
    """What was imported is as good as what was said here."""

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        return e.NO_PROVENANCE if _words(record, event) else None


class ImportsOverruleNoes(_JudgesImports):
    """Only a yes is a word, so that an import takes a no away."""

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        noes = [word for word in _words(record, event) if getattr(word, "withdrawn_at", None) is not None]
        return e.NO_PROVENANCE if noes else None


class ImportsPublish(_JudgesImports):
    """A field that is hidden is published by an import."""

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        is_hidden = isinstance(event, e.Published) and event.field in set(record.publications) - record.published
        return e.NO_PROVENANCE if is_hidden else None


class EndedWordsAreNone(_JudgesImports):
    """What a closing ended may be imported anew."""

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        ended = [
            word
            for word in _words(record, event)
            if word.entry_version is not None and getattr(word, "given_at", 0) is None
        ]
        return e.NO_PROVENANCE if ended and all(word.withdrawn_at is None for word in ended) else None  # type: ignore[attr-defined]


class ExpiredWordsAreNone(_JudgesImports):
    """What has expired may be imported anew."""

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        ends = [getattr(word, "expires_at", None) for word in _words(record, event)]
        return e.NO_PROVENANCE if any(end is not None and end <= self.wall() for end in ends) else None


class EqualTimesOverrule(_JudgesImports):
    """An import of the same time as an earlier one is written."""

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        same = any(word.said_at == said.said_at for word in _words(record, event))
        return attrs.evolve(said, said_at=said.said_at + timedelta(microseconds=1)) if same and said.said_at else None


class OnlyTheLastWordCounts(_JudgesImports):
    """An import is compared with the last word alone, whatever was said before it."""

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        versions = [word.entry_version for word in _words(record, event)]
        history = {entry.version: entry.provenance.said_at for entry in self.history(record.user_id)}
        times = [history[version] for version in versions if version is not None]
        is_later = said.said_at is not None and all(at is not None and at < said.said_at for at in times)
        return e.NO_PROVENANCE if times and is_later else None


class TakesTheFuture(_JudgesImports):
    """What is to be said tomorrow is imported today."""

    def overrules(self, record: ConsentRecord, event: e.Event, said: e.Provenance) -> e.Provenance | None:
        """The provenance with which a refused import is written all the same, or None."""
        now = self.load([]).at
        return attrs.evolve(said, said_at=now) if said.said_at is not None and said.said_at > now else None


class RefusesImportedNoes(_JudgesImports):
    """An imported no is refused where the customer has spoken."""

    def refuses(self, record: ConsentRecord, event: e.Event) -> bool:
        """Whether the import of an event is refused."""
        return isinstance(event, e.Withdrawn) and str(event.purpose) in record.consents


class ObjectionsAreWords(_JudgesImports):
    """An objection is taken for a word on what is imported."""

    def refuses(self, record: ConsentRecord, event: e.Event) -> bool:
        """Whether the import of an event is refused."""
        return isinstance(event, e.Granted) and event.purpose in record.objected


class RestrictionsAreWords(_JudgesImports):
    """A restriction is taken for a word on what is imported."""

    def refuses(self, record: ConsentRecord, event: e.Event) -> bool:
        """Whether the import of an event is refused."""
        return isinstance(event, e.Published) and event.field in record.restricted


class TellingIsAWord(_JudgesImports):
    """Who was told of a sharing is taken to have spoken of it."""

    def refuses(self, record: ConsentRecord, event: e.Event) -> bool:
        """Whether the import of an event is refused."""
        return isinstance(event, e.Agreed) and event.notice in record.notices


class ChannelsAreOne(_JudgesImports):
    """A word on one channel is taken for a word on all."""

    def refuses(self, record: ConsentRecord, event: e.Event) -> bool:
        """Whether the import of an event is refused."""
        spoken = [consent for consent in record.consents.values() if consent.purpose is Purpose.MARKETING]
        return isinstance(event, e.Granted) and event.purpose is Purpose.MARKETING and bool(spoken)


class FieldsAreOne(_JudgesImports):
    """A word on one field is taken for a word on all."""

    def refuses(self, record: ConsentRecord, event: e.Event) -> bool:
        """Whether the import of an event is refused."""
        others = set(record.publications) - {event.field} if isinstance(event, e.Published) else set[Field]()
        return bool(others)


class SaysAllWasSaidHere(_Misread):
    """A consent that was imported looks as if it had been said here."""

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        consents = {key: attrs.evolve(consent, said_at=None) for key, consent in record.consents.items()}
        return attrs.evolve(record, consents=consents)


class RestsOnTheLastEntry(_Misread):
    """Each consent names the last entry of all as the one that it rests on."""

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        consents = {
            key: attrs.evolve(consent, entry_version=record.version) for key, consent in record.consents.items()
        }
        return attrs.evolve(record, consents=consents)


BROKEN_WITH_TIME: list[type[Sound]] = [ExpiredWordsAreNone]  # what only a clock that is set shows
BROKEN_IMPORTS: list[type[Sound]] = [
    ImportsOverrule, ImportsOverruleNoes, ImportsPublish, EndedWordsAreNone, EqualTimesOverrule,
    OnlyTheLastWordCounts, TakesTheFuture, RefusesImportedNoes, ObjectionsAreWords, RestrictionsAreWords,
    TellingIsAWord, ChannelsAreOne, FieldsAreOne, SaysAllWasSaidHere, RestsOnTheLastEntry,
]  # fmt: skip
