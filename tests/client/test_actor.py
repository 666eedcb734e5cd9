"""The writer that the entries of an embedded client name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, NoticeText, Provenance
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import MemoryStore

OWN = Provenance("somebody", "app", "form-7", "vi")
WORDS = NoticeText("promo", {"vi": "lời"}, ["surveys"])


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """An empty ledger."""
    store = MemoryStore()
    yield store
    store.close()


@pytest.mark.parametrize("actor", ["billing", None])
def test_the_actor_replaces_whatever_writer_a_caller_names(store: MemoryStore, actor: str | None) -> None:
    """Entries and registered notices name the client's actor, or nobody; the rest of a provenance stays."""
    with ConsentClient(store, follow=False, actor=actor) as client:
        client.record("u", e.AccountOpened(), provenance=OWN)
        client.record("u", e.Restricted())
        assert client.register_notice(WORDS).by == actor
        said = [entry.provenance for entry in client.history("u")]
    assert said == [Provenance(actor, "app", "form-7", "vi"), Provenance(actor)]


def test_the_async_client_names_its_actor(store: MemoryStore) -> None:
    """It writes as the other client does."""

    async def write() -> list[Provenance]:
        """Write, and read what is said of it."""
        async with AsyncConsentClient(store, follow=False, actor="billing") as client:
            await client.record("u", e.AccountOpened(), provenance=OWN)
            assert (await client.register_notice(WORDS)).by == "billing"
            return [entry.provenance for entry in await client.history("u")]

    assert asyncio.run(write()) == [Provenance("billing", "app", "form-7", "vi")]


def test_the_environment_names_the_actor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`from_env` reads DIIJAM_CONSENT_ACTOR; an argument beats it."""
    monkeypatch.setenv("DIIJAM_CONSENT_URL", f"sqlite:///{tmp_path / 'consents.db'}")
    monkeypatch.setenv("DIIJAM_CONSENT_ACTOR", "night-shift")
    with ConsentClient.from_env(follow=False) as client:
        client.record("u", e.AccountOpened())
    with ConsentClient.from_env(follow=False, actor="day-shift") as client:
        client.record("u", e.Restricted())
        assert [entry.provenance.by for entry in client.history("u")] == ["night-shift", "day-shift"]


@pytest.mark.parametrize("actor", ["", " x", "x" * 257])
def test_a_malformed_actor_is_refused_at_once(store: MemoryStore, actor: str) -> None:
    """An actor is an id; the client is not made with another."""
    with pytest.raises(ValueError, match="an id has"):
        ConsentClient(store, follow=False, actor=actor)
