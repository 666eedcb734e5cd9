"""What a ledger's registry does, in the SQL of either database. A registration takes no position in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs

from ...errors import InvalidEvent, StoreUnavailable
from ...identifiers import identifier, optional_identifier
from ...notices import NEW_ID, NoticeText, RegisteredNotice, registering_refusal
from ..answers import MAX_POSITION
from ..checks import checked_limit
from .hash_chain import time_from
from .notices import insert_notice, notice_from, row_from, select_notice, select_notices
from .operations import Operations
from .statements import CommitBatch, Query, Row, Statement, Steps, Transaction
from .store_clock import CLOCK_AHEAD

LAST_REGISTERED: Statement = ("SELECT max(registered_at) FROM notices", ())


@attrs.frozen
class Registry:
    """The reads and writes of a registry, beside the ledger's own operations."""

    operations: Operations

    def register(self, text: NoticeText, by: str | None) -> Transaction[RegisteredNotice]:
        """See `Notices.register_notice`. A text that is registered already is found, so a repeat is safe."""
        if not isinstance(text, NoticeText):
            raise TypeError(f"a NoticeText is needed, not {type(text).__name__}")
        refused = registering_refusal(text)
        if refused is not None:
            raise InvalidEvent(f"the notice is refused: {refused}")
        steps = partial(self._register, text, optional_identifier(by))
        return Transaction(steps, idempotency_key=text.digest)

    def _register(self, text: NoticeText, by: str | None) -> Steps[RegisteredNotice]:
        head_rows, rows, last_rows = yield [self.operations.select_head(), select_notice(text.notice), LAST_REGISTERED]
        if rows:
            known = _check_same(notice_from(rows[0]), text)
            yield CommitBatch(())  # it ends once the replicas have what an earlier try wrote
            return known
        now, last = self.operations.read_head(head_rows).now, last_rows[0][0]
        if self.operations.clock_trouble() is not None:
            raise StoreUnavailable(CLOCK_AHEAD)
        registered = RegisteredNotice(text, text.digest, now if last is None else max(now, time_from(last)), by)
        yield CommitBatch([insert_notice(row_from(registered)), *self.operations.mark_tested()])
        return registered

    def notice(self, notice: str) -> Query[RegisteredNotice | None]:
        """See `Notices.notice`."""
        return Query([select_notice(identifier(notice))], lambda rows: notice_from(rows[0]) if rows else None)

    def page(self, after: str | None, limit: int) -> Query[list[RegisteredNotice]]:
        """See `Notices.notices`."""
        start = "" if after is None else identifier(after)
        return Query([select_notices(start, min(checked_limit(limit), MAX_POSITION))], _notices_from)

    def require(self) -> Transaction[None]:
        """See `Notices.require_notices`."""
        return Transaction(self._require, idempotency_key="notices")  # a repeat changes nothing

    def _require(self) -> Steps[None]:
        yield [self.operations.select_head()]  # takes the lock of the one writer, where the first statement does
        yield CommitBatch([(self.operations.dialect.require_notices, ())])


def _notices_from(rows: Sequence[Row]) -> list[RegisteredNotice]:
    return list(map(notice_from, rows))


def _check_same(known: RegisteredNotice, text: NoticeText) -> RegisteredNotice:
    if known.digest != text.digest:
        raise InvalidEvent(f"other content is registered under this id, and a notice is never changed: {NEW_ID}")
    return known
