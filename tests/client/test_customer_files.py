"""Gathering a customer's file from a store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk import events as e
from diijam_consent_sdk.customer_file import CustomerFile
from diijam_consent_sdk.errors import ClientClosed, StoreUnavailable
from diijam_consent_sdk.events import LedgerEntry, Provenance
from diijam_consent_sdk.stores import Loaded
from diijam_consent_sdk.testing import FaultyStore, WallClock, unreachable
from tests.client.conftest import SIGNED_UP, Face

PROMO = NoticeText("promo", {"vi": "Nhận ưu đãi?", "en": "Offers?"}, {"marketing"})
ERASED = (e.RequestFiled("r", "erasure"), e.Erased())


def decoded(file: CustomerFile) -> Any:
    """What the JSON of a file holds."""
    return json.loads(file.to_json())


def test_a_file_has_all_that_the_store_has(client: Face, store: FaultyStore, wall: WallClock) -> None:
    """Entries with their hashes, the words shown, the head, and the store's time."""
    notice = client.register_notice(PROMO)
    wall.tick(60)
    asked = Provenance(method="web", evidence="form-7", language="en")
    client.record("v", e.AccountOpened())
    token = client.record("u", *SIGNED_UP, provenance=asked).token
    file = client.customer_file("u")
    assert (file.language, file.made_at, file.head) == ("vi", wall.now, token)
    assert list(file.entries) == client.history("u")
    assert file.record == client.load("u")
    assert file.notices == {"promo": notice}
    found = decoded(file)
    assert [entry["shown_in"] for entry in found["entries"]] == [None, "en"]
    assert found["entries"][-1]["hash"] == token.rpartition(".")[2]
    assert found["entries"][-1]["provenance"]["evidence"] == "form-7"
    assert client.customer_file("u", language="en").to_html().count(">Offers?<") == 1


def test_a_notice_that_nobody_was_shown_is_not_read(client: Face, store: FaultyStore) -> None:
    """Only notices that were registered when an entry named them are asked for, each once."""
    client.record("u", *SIGNED_UP, e.Granted("surveys", "unregistered"))
    client.register_notice(PROMO)
    client.record("u", e.Granted("surveys", "other"))
    before = len(store.calls)
    assert client.customer_file("u").notices == {}
    assert store.calls[before:] == ["load", "history"]


def test_a_file_of_nobody_and_of_an_erased_user(client: Face) -> None:
    """An unknown user has no entry; of an erased one the tombstone is left, with its hash."""
    assert decoded(client.customer_file("nobody"))["entries"] == []
    client.register_notice(PROMO)
    token = client.record("u", *SIGNED_UP, *ERASED).token
    found = decoded(client.customer_file("u"))
    assert [entry["event"]["type"] for entry in found["entries"]] == ["Erased"]
    assert found["entries"][0]["hash"] == token.rpartition(".")[2]
    assert (found["notices"], found["now"], found["requests"], found["holds"]) == ([], [], [], [])
    assert "promo" not in json.dumps(found)


def meanwhile(store: FaultyStore, *events: e.Event) -> None:
    """Let these events happen once, between a load of the record and that of its history."""
    load = store.inner.load

    def load_and_write(user_ids: Any) -> Loaded:
        loaded = load(user_ids)
        store.inner.load = load  # type: ignore[method-assign]
        store.inner.append("u", events)
        return loaded

    store.inner.load = load_and_write  # type: ignore[method-assign]


def test_what_is_written_meanwhile_is_left_out(client: Face, store: FaultyStore) -> None:
    """All of a file is as of its head: an entry behind it waits for the next file."""
    token = client.record("u", *SIGNED_UP).token
    meanwhile(store, e.Withdrawn("marketing"))
    file = client.customer_file("u")
    assert (file.head, len(file.entries), file.record.version) == (token, 2, 2)
    assert len(client.customer_file("u").entries) == 3


def test_an_erasure_meanwhile_leaves_only_the_tombstone(client: Face, store: FaultyStore) -> None:
    """A user erased while the file is made has the file of an erased user, and nothing that was loaded before."""
    client.record("u", *SIGNED_UP)
    meanwhile(store, *ERASED)
    found = decoded(client.customer_file("u"))
    assert [entry["event"]["type"] for entry in found["entries"]] == ["Erased"]
    assert found["now"] == []


def test_a_history_that_lags_makes_no_file(client: Face, store: FaultyStore) -> None:
    """A file without the last entries would be a lie, so it is an error."""
    client.record("u", *SIGNED_UP)
    history = store.inner.history

    def lagging(user_id: str) -> list[LedgerEntry]:
        return history(user_id)[:-1]

    store.inner.history = lagging  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="lags"):
        client.customer_file("u")


@pytest.mark.parametrize("language", ["fr", "VI", "", None])
def test_another_language_is_refused_before_the_store_is_asked(client: Face, store: FaultyStore, language: Any) -> None:
    """A file is in Vietnamese or English."""
    with pytest.raises(ValueError, match="in 'vi' or 'en'"):
        client.customer_file("u", language)
    assert store.calls == []


def test_a_file_raises_what_the_store_does(client: Face, store: FaultyStore) -> None:
    """An outage and a closed client raise, and so does a notice that cannot be read."""
    client.register_notice(PROMO)
    client.record("u", *SIGNED_UP)
    store._refusals["notice"] = unreachable()
    with pytest.raises(StoreUnavailable):
        client.customer_file("u")
    store.broken = unreachable()
    with pytest.raises(StoreUnavailable):
        client.customer_file("u")
    client.close()
    with pytest.raises(ClientClosed):
        client.customer_file("u")
