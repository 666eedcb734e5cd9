"""The store behind a consent service, for threads: clients need no access to its database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Unpack

from ...events import Event, LedgerEntry, Provenance
from ...holders import RegisteredHolder
from ...identifiers import identifier
from ...notices import NoticeText, RegisteredNotice
from ..answers import (
    Appended,
    Changes,
    Cursor,
    Entries,
    ErasurePlace,
    Loaded,
    OpenRequests,
    OwedErasures,
    Standings,
    StandingsPage,
    Write,
    WriteResult,
)
from ..checks import checked_ids
from ..history import HistoryPage, join_history
from ..message_fields import MAX_USERS
from ..registry import MAX_NOTICES_PAGE
from ..token_messages import OwnToken
from . import append_exchange, exchange, holder_exchange, ledger_exchange, registry_exchange, standing_exchange
from .exchange import Exchange
from .parts import Parts
from .stream import HttpChangesStream
from .transport import Transport, TransportOptions


class HttpStore:
    """
    The store behind the consent service at *url*. Safe to use from several threads, and after a fork.

    Each call ends within *deadline* (a long poll: its wait and *deadline*), however slowly bytes come. What may be
    repeated is tried again within it. An answer that is compressed, cached, redirected, too long, to another question
    or about another user is refused.

    Args:
        url: `https://host[:port][/path]`; plain http only to this machine, and to *insecure_hosts*.

        deadline: Seconds for one call.

        token: The bearer token, or a callable that returns it, called for each attempt.

        verify: A CA file, or an `ssl.SSLContext`, to check the service's certificate by; False to check nothing. Unless
            given, the file that `SSL_CERT_FILE` names, or else the public CAs.

        cert: A client certificate's file, or a pair of it and its key's.

        trust_env: Whether to use the proxy variables of the environment.

        insecure_hosts: Exact names of hosts to which plain http is allowed, because something below HTTP encrypts.

    Raises:
        ValueError: the URL or the token is malformed, or a file holds no certificate or key.

        OSError: a file with certificates or a key cannot be read.
    """

    def __init__(self, url: str, *, deadline: float = 1.0, **options: Unpack[TransportOptions]) -> None:
        self._deadline = deadline
        self._transport = Transport(url, **options)

    def __repr__(self) -> str:
        return f"<HttpStore {self._transport.url}>"

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        pages = exchange.split_into_pages(checked_ids(user_ids))
        return exchange.join_pages([self._run(exchange.load(page)) for page in pages])

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        pages = exchange.split_into_pages(checked_ids(user_ids))
        return standing_exchange.join_standings([self._run(standing_exchange.standings(page)) for page in pages])

    def list_standings(self, after_user_id: str | None, limit: int = MAX_USERS) -> StandingsPage:
        """See `Store.list_standings`."""
        page: StandingsPage = self._run(standing_exchange.list_standings(after_user_id, limit))
        return page

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        provenance: Provenance | None = None,
    ) -> Appended:
        """See `Store.append`."""
        appending = append_exchange.append(user_id, events, expected_version, idempotency_key, provenance)
        appended: Appended = self._run(appending)
        return appended

    def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`. A write without a key gets one, so that the call may be repeated."""
        many = append_exchange.append_many(writes)
        answered: list[WriteResult] = self._run(many.exchange()) if many.sent() else []
        return many.results(answered)

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        changes: Changes = self._run(exchange.changes(after, wait, limit))
        return changes

    def entries(self, after: Cursor, *, wait: float, limit: int = 1000) -> Entries:
        """See `Store.entries`."""
        entries: Entries = self._run(ledger_exchange.entries(after, wait, limit))
        return entries

    def stream_changes(
        self,
        after: Cursor,
        *,
        wait: float,
        beat: float,
        limit: int = 1000,
        client: str | None = None,
        silence: float | None = None,
    ) -> HttpChangesStream:
        """See `StreamsChanges.stream_changes`."""
        parts = Parts(after, wait=wait, beat=beat, limit=limit, client=client, silence=silence, deadline=self._deadline)
        return HttpChangesStream(self._transport, parts)

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        entries: list[LedgerEntry] = []
        after: int | None = 0
        while after is not None:
            page = self.history_page(user_id, after)
            entries += page.entries
            after = page.after
        return join_history(entries)

    def history_page(self, user_id: str, after: int) -> HistoryPage:
        """See `PagedHistory.history_page`."""
        page: HistoryPage = self._run(exchange.history(identifier(user_id), after))
        return page

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        found: OpenRequests = self._run(exchange.open_requests(after, limit))
        return found

    def erasures(self, holder: str, after: ErasurePlace | None = None, *, limit: int = MAX_USERS) -> OwedErasures:
        """See `Store.erasures`."""
        page: OwedErasures = self._run(holder_exchange.erasures(holder, after, limit))
        return page

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`. The writer is the token's name; *by* counts from a relay alone."""
        registered: RegisteredNotice = self._run(registry_exchange.register_notice(text, by))
        return registered

    def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        found: RegisteredNotice | None = self._run(registry_exchange.notice(notice))
        return found

    def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`. A list comes without texts, so each notice on the page is loaded by itself."""
        ids: list[str] = self._run(registry_exchange.notice_ids(after, limit))
        found = [self.notice(notice) for notice in ids]
        return [notice for notice in found if notice is not None]

    def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        self._run(registry_exchange.require_notices())

    def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """See `Holders.register_holder`. The writer is the token's name; *by* counts from a relay alone."""
        registered: RegisteredHolder = self._run(holder_exchange.register_holder(holder, by))
        return registered

    def retire_holder(self, holder: str) -> None:
        """See `Holders.retire_holder`."""
        self._run(holder_exchange.retire_holder(holder))

    def holders(self) -> list[RegisteredHolder]:
        """See `Holders.holders`."""
        found: list[RegisteredHolder] = self._run(holder_exchange.holders())
        return found

    def own_token(self) -> OwnToken:
        """
        Ask the service what the token of this store is.

        Raises:
            StoreUnavailable: the service does not answer, or not with this token.
        """
        own: OwnToken = self._run(exchange.own_token())
        return own

    def close(self) -> None:
        """See `Store.close`."""
        self._transport.close()

    def _run(self, exchange: Exchange) -> Any:
        attempts = exchange.attempts(self._deadline)
        return attempts.run(partial(self._transport.send, exchange, attempts))
