"""Stores that each keep the policy but for one thing: what the conformance suite has to notice."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

import attrs

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.policy import MAX_EVENTS, MAX_OPEN_REQUESTS
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.standing import EVERY_ASK, standing_of
from diijam_consent_sdk.stores import Appended, Changes, Cursor, Loaded, MemoryStore
from diijam_consent_sdk.stores.answers import StandingRow, Standings
from diijam_consent_sdk.stores.standings import decode_standing, encode_standing
from diijam_consent_sdk.testing import WallClock
from diijam_consent_sdk.vocabulary import Account

Batch = Iterable[e.Event]


class Sound(MemoryStore):
    """A store with nothing wrong, and a clock to set."""

    def __init__(self) -> None:
        self.wall = WallClock()
        super().__init__(clock=self.wall)


class _Misread(Sound):
    """A store that shows each record other than its entries make it."""

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        return record

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        loaded = super().load(user_ids)
        return attrs.evolve(loaded, records=tuple(map(self.shown, loaded.records)))

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`; they are of the records as they are shown, so that it is the records that fail."""
        loaded = self.load(user_ids)
        rows = [
            StandingRow(record.user_id, record.version, encode_standing(standing_of(record, loaded.at)))
            for record in loaded.records
        ]
        return Standings(loaded.cursor, loaded.at, EVERY_ASK, tuple(rows))

    def misread(self, appended: Appended) -> Appended:
        """The answer to an append, its record as it is shown."""
        assert appended.record is not None
        record = self.shown(appended.record)
        return attrs.evolve(appended, record=record, version=record.version)

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
        appended = super().append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )
        return self.misread(appended)


class ForgetsEnds(_Misread):
    """Consents never expire."""

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        consents = {key: attrs.evolve(consent, expires_at=None) for key, consent in record.consents.items()}
        return attrs.evolve(record, consents=consents)


class ForgetsWithdrawals(_Misread):
    """A consent once given is for good."""

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        consents = {key: attrs.evolve(consent, withdrawn_at=None) for key, consent in record.consents.items()}
        return attrs.evolve(record, consents=consents)


class AgreesUntold(_Misread):
    """Being told of a sharing counts as agreeing to it."""

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        notices = {key: attrs.evolve(notice, given_at=notice.told_at) for key, notice in record.notices.items()}
        return attrs.evolve(record, notices=notices)


class DueADayLate(_Misread):
    """A customer waits a day longer than the law allows."""

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        late = timedelta(days=1)
        requests = {key: attrs.evolve(asked, due_at=asked.due_at + late) for key, asked in record.requests.items()}
        return attrs.evolve(record, requests=requests)


class KeepsOneRestriction(_Misread):
    """All data restricted is read as some data restricted."""

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        return attrs.evolve(record, all_restricted=False)


class CountsAppends(_Misread):
    """The version counts appends, not entries."""

    def __init__(self) -> None:
        super().__init__()
        self.appends: dict[str, int] = {}

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        return attrs.evolve(record, version=self.appends.get(record.user_id, 0))

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
        appended = MemoryStore.append(self, user_id, events, idempotency_key=idempotency_key, provenance=provenance)
        self.appends[user_id] = self.appends.get(user_id, 0) + 1
        return self.misread(appended)


class _Misstands(Sound):
    """A store whose records are right, and whose standings are not."""

    def stood(self, row: StandingRow) -> StandingRow:
        """The row as it is given."""
        return row

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        found = super().standings(user_ids)
        return attrs.evolve(found, users=tuple(map(self.stood, found.users)))


class KeepsFirstStandings(_Misstands):
    """A standing stays what it was when it was first given."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, StandingRow] = {}

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
        appended = super().append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )
        self.standings([user_id])
        return appended

    def stood(self, row: StandingRow) -> StandingRow:
        """The row as it is given."""
        first = self.first.setdefault(row.user_id, row)
        return StandingRow(row.user_id, row.version, first.standing)


class StandsUnrestricted(_Misstands):
    """A standing has no restriction, though the record has."""

    def stood(self, row: StandingRow) -> StandingRow:
        """The row as it is given."""
        standing = decode_standing(row.standing, EVERY_ASK)
        lifted = attrs.evolve(standing, all_restricted=False, restricted=frozenset())
        return StandingRow(row.user_id, row.version, encode_standing(lifted))


class StandsForAnother(_Misstands):
    """A standing is another user's."""

    def stood(self, row: StandingRow) -> StandingRow:
        """The row as it is given."""
        return StandingRow(f"{row.user_id}-2", row.version, row.standing)


class WritesHalf(Sound):
    """The first half of what is refused for an event of the second is written."""

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
        half = len(batch) // 2
        if half:
            super().append(user_id, batch[:half], expected_version=expected_version, provenance=provenance)
            expected_version = None
        return super().append(
            user_id,
            batch[half:],
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            provenance=provenance,
        )


class MindsNoVersion(Sound):
    """The expected version is not looked at."""

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
        return super().append(user_id, events, idempotency_key=idempotency_key, provenance=provenance)


class MindsNoKey(Sound):
    """Every retry is written again."""

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
        return super().append(user_id, events, expected_version=expected_version, provenance=provenance)


class AnswersKeysAnew(Sound):
    """A repeated key is answered with the record of now."""

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
        appended = super().append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )
        return attrs.evolve(appended, record=self.load([user_id]).records[0])


class KeepsKeys(Sound):
    """A key that was used keeps other events out, noes too."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple[str, str], tuple[e.Event, ...]] = {}

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
        if idempotency_key is not None and self.known.setdefault((user_id, idempotency_key), batch) != batch:
            raise ValueError("the key was used")
        return super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )


class TellsNoRepeat(Sound):
    """A repeat is answered as if it were written now."""

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
        appended = super().append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )
        return attrs.evolve(appended, is_repeat=False)


class SharesKeys(Sound):
    """One user's idempotency key is another's too."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Appended] = {}

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
        family = f"{user_id.rpartition('-')[0]}{idempotency_key}"
        if idempotency_key is None or family not in self.known:
            self.known[family] = super().append(
                user_id, events, expected_version=expected_version, provenance=provenance
            )
        return self.known[family]


class HoardsErased(Sound):
    """The history of an erased user stays."""

    def __init__(self) -> None:
        super().__init__()
        self.hoard: dict[str, list[e.LedgerEntry]] = {}

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
        before = super().history(user_id)
        appended = super().append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )
        after = super().history(user_id)
        self.hoard[user_id] = before + after if len(after) < len(before) else after
        return appended

    def history(self, user_id: str) -> list[e.LedgerEntry]:
        """See `Store.history`."""
        return self.hoard.get(user_id, [])


class TellsNoChanges(Sound):
    """`changes` says that nobody changed."""

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        return Changes(after, after, {}, complete=True, waited=wait)


class LagsBehind(Sound):
    """A load gives the record as it was before the last append."""

    def __init__(self) -> None:
        super().__init__()
        self.stale: dict[str, ConsentRecord] = {}

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
        (self.stale[user_id],) = super().load([user_id]).records
        return super().append(
            user_id, events, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        loaded = super().load(user_ids)
        records = tuple(self.stale.get(record.user_id, record) for record in loaded.records)
        return attrs.evolve(loaded, records=records)


class RefusesNoes(Sound):
    """Only what was granted can be withdrawn."""

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
        if isinstance(batch[0], e.Withdrawn) and not record.consents:
            raise InvalidEvent("there is nothing to withdraw")
        return super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )


class ErasesHeld(Sound):
    """An erasure goes ahead although a hold keeps the data."""

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
        batch = list(events)
        (record,) = self.load([user_id]).records
        if isinstance(batch[-1], e.Erased) and record.account is not Account.UNKNOWN:
            now: datetime = self.wall()
            batch[-1:-1] = [e.HoldReleased(hold.hold) for hold in record.live_holds(now)]
        return super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )


class RemembersConsents(_Misread):
    """A reopened account has the consents that it was closed with."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, ConsentRecord] = {}

    def shown(self, record: ConsentRecord) -> ConsentRecord:
        """The record as it is shown."""
        given = {key: said for key, said in record.consents.items() if said.given_at is not None}
        if given:
            self.kept[record.user_id] = record
        if record.account is Account.OPEN and not given and record.user_id in self.kept:
            return attrs.evolve(record, consents=self.kept[record.user_id].consents)
        return record


class OpensFirst(Sound):
    """A no needs an account."""

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
        if record.account is Account.UNKNOWN and not isinstance(batch[0], e.AccountOpened):
            raise InvalidEvent("open the account first")
        return super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )


class KeepsClosed(Sound):
    """A user who refused something before opening an account cannot open one."""

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
        batch = list(events)
        (record,) = self.load([user_id]).records
        if record.account is Account.UNKNOWN and record.version and isinstance(batch[0], e.AccountOpened):
            raise InvalidEvent("there is something of this user already")
        return super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )


class TakesAnyBatch(Sound):
    """An append takes any number of events."""

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
        batch = list(events)
        while len(batch) > MAX_EVENTS:
            super().append(user_id, batch[:MAX_EVENTS], expected_version=expected_version, provenance=provenance)
            del batch[:MAX_EVENTS]
        return super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )


class CountsErasures(Sound):
    """An erasure request is refused for the number of other requests."""

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
        if isinstance(batch[0], e.RequestFiled) and len(record.open_requests()) >= MAX_OPEN_REQUESTS:
            raise InvalidEvent("there are too many requests")
        return super().append(
            user_id, batch, expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance
        )


class _Confuses(_Misread):
    """A store for which some ids of different customers are the same."""

    def same(self, user_id: str) -> str:
        """The id that stands for all that are the same."""
        raise NotImplementedError

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
        appended = super().append(
            self.same(user_id), events,
            expected_version=expected_version, idempotency_key=idempotency_key, provenance=provenance,
        )  # fmt: skip
        return attrs.evolve(appended, record=appended.record and attrs.evolve(appended.record, user_id=user_id))

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        asked = list(user_ids)
        loaded = super().load(dict.fromkeys(map(self.same, asked)))
        records = {record.user_id: record for record in loaded.records}
        return attrs.evolve(loaded, records=tuple(attrs.evolve(records[self.same(id_)], user_id=id_) for id_ in asked))

    def history(self, user_id: str) -> list[e.LedgerEntry]:
        """See `Store.history`."""
        return [attrs.evolve(entry, user_id=user_id) for entry in super().history(self.same(user_id))]


class MindsNoCase(_Confuses):
    """Ids are compared without regard to case, as some databases do."""

    def same(self, user_id: str) -> str:
        """The id in small letters."""
        return user_id.casefold()


class MindsNoAccent(_Confuses):
    """Ids are compared without regard to accents, as some databases do."""

    def same(self, user_id: str) -> str:
        """The id without accents."""
        return unicodedata.normalize("NFKD", user_id).encode("ascii", "ignore").decode()


class CutsIds(_Confuses):
    """Only the first 128 characters of an id are kept."""

    def same(self, user_id: str) -> str:
        """The beginning of the id."""
        return user_id[:128]


BROKEN: list[type[Sound]] = [
    KeepsFirstStandings, StandsUnrestricted, StandsForAnother,
    ForgetsEnds, ForgetsWithdrawals, AgreesUntold, DueADayLate, KeepsOneRestriction, CountsAppends, WritesHalf,
    MindsNoVersion, MindsNoKey, AnswersKeysAnew, KeepsKeys, TellsNoRepeat,
    SharesKeys, HoardsErased, TellsNoChanges, LagsBehind, RefusesNoes,
    ErasesHeld, RemembersConsents, OpensFirst, KeepsClosed, TakesAnyBatch, CountsErasures,
    MindsNoCase, MindsNoAccent, CutsIds,
]  # fmt: skip
