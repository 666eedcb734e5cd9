"""A history is read page by page, each within the deadline."""

from __future__ import annotations

import time

import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import MemoryStore, history
from diijam_consent_sdk.stores.history import HistoryPage
from diijam_consent_sdk.testing import FaultyStore

from .conftest import MakeClient


class SlowPages(MemoryStore):
    """A store that takes so many seconds for each page of a history."""

    seconds = 0.15

    def history_page(self, user_id: str, after: int) -> HistoryPage:
        """See `PagedHistory.history_page`."""
        time.sleep(self.seconds)
        return super().history_page(user_id, after)


def test_the_deadline_is_each_pages(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that take longer together than the deadline are read; a page that does by itself is not."""
    monkeypatch.setattr(history, "MAX_HISTORY_PAGE", 2)
    store = SlowPages()
    store.append("u", [e.Objected("surveys")] * 11)
    client = make_client(store, deadline=0.6, follow=False)
    assert [entry.version for entry in client.history("u")] == list(range(1, 12))
    store.seconds = 1.0
    with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.6 s"):
        client.history("u")
    store.close()


def test_a_history_of_another_kind_of_store_is_read_at_once(store: FaultyStore) -> None:
    """A store of the caller's that has `history` alone is asked once."""
    store.append("u", [e.Objected("surveys")] * 3)
    with ConsentClient(store, follow=False) as client:
        assert len(client.history("u")) == 3
    assert store.calls.count("history") == 1
