"""The contract of every store: provenance comes back in the history, and an import never overrules the customer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from diijam_consent_sdk import Channel, Market
from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import decide
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.stores import Store
from tests.strategies import START

from .contract import AGREED, OPENED, TOLD, Home, folded, head, repeat_of, sign_up

EARLY, LATE = (e.Provenance(None, "import", "row-9", "vi", START - timedelta(days=days)) for days in (200, 100))
BY_EMAIL = e.Granted("marketing", "n-1", ["email"])


@pytest.fixture
def store(served_home: Home) -> Store:
    """A store on an empty ledger, also behind a service."""
    return served_home.open()


@pytest.mark.parametrize(
    "said",
    [e.Provenance("shop", "web", "form-7", "vi"), e.Provenance("shop", "call"), EARLY, e.Provenance()],
    ids=["all of it", "some of it", "imported", "nothing"],
)
def test_provenance_comes_back_in_the_history(said: e.Provenance, served_home: Home) -> None:
    """Each entry of an append has it word for word; behind a service the writer is the token."""
    store = served_home.open()
    store.append("u-1", [OPENED, TOLD, AGREED], provenance=said)
    writer = "both" if "Http" in type(served_home).__name__ else said.by
    expected = e.Provenance(writer, said.method, said.evidence, said.language, said.said_at)
    assert [entry.provenance for entry in store.history("u-1")] == [expected] * 3
    assert folded("u-1", store.history("u-1")) == store.load(["u-1"]).records[0]


@pytest.mark.parametrize(
    "word", [BY_EMAIL, e.Withdrawn("marketing"), e.Withdrawn("marketing", ["email"])], ids=["yes", "no", "no to it"]
)
def test_an_import_never_overrules_what_was_said_here(word: e.Event, store: Store) -> None:
    """It is refused whole, with the channel's name, and nothing is written; the rest by itself is."""
    sign_up(store, "u-1")
    before = store.append("u-1", [word]).cursor
    granted = e.Granted("marketing", "n-1", ["email", "call"])
    with pytest.raises(InvalidEvent, match=r"leave marketing over (email|call) out"):
        store.append("u-1", [TOLD, granted], provenance=LATE)
    assert head(store) == before
    if word is BY_EMAIL:
        assert store.append("u-1", [e.Granted("marketing", "n-1", ["call"])], provenance=LATE).version == 3
        loaded = store.load(["u-1"])
        assert decide(loaded.records[0], Market(Channel.CALL), loaded.at)


def test_a_later_import_updates_an_earlier_one(store: Store) -> None:
    """In the order of what was said, not of what was written; the record tells when it was said."""
    store.append("u-1", [OPENED, BY_EMAIL], provenance=EARLY)
    store.append("u-1", [BY_EMAIL], provenance=LATE)
    with pytest.raises(InvalidEvent, match="of the same time or later was imported already"):
        store.append("u-1", [BY_EMAIL], provenance=EARLY)
    consent = store.load(["u-1"]).records[0].consents["marketing:email"]
    assert (consent.entry_version, consent.said_at) == (3, LATE.said_at)


def test_an_imported_no_is_taken_after_all_that_was_said(store: Store) -> None:
    """However old it is; and no import says yes again."""
    store.append("u-1", [OPENED, BY_EMAIL, TOLD, AGREED, e.Published("avatar")])
    noes: list[e.Event] = [e.Withdrawn("marketing"), e.AgreementWithdrawn("n-1"), e.Hidden("avatar")]
    store.append("u-1", noes, provenance=EARLY)
    yeses: list[e.Event] = [BY_EMAIL, AGREED, e.Published("avatar")]
    for yes in yeses:
        with pytest.raises(InvalidEvent, match="an import never overrules it"):
            store.append("u-1", [yes], provenance=LATE)
    loaded = store.load(["u-1"])
    assert not decide(loaded.records[0], Market(Channel.EMAIL), loaded.at)
    assert {said.entry_version for said in loaded.records[0].publications.values()} == {8}


def test_said_in_the_future_is_refused(served_home: Home) -> None:
    """By the store's time, as the record's other times; but never a no, which an importer's clock could lose."""
    store = served_home.open()
    sign_up(store, "u-1")
    said = e.Provenance(method="import", said_at=START + timedelta(seconds=1))
    batches: list[list[e.Event]] = [[BY_EMAIL], [e.Withdrawn("surveys"), BY_EMAIL]]
    for batch in batches:
        with pytest.raises(InvalidEvent, match="said_at is in the future"):
            store.append("u-1", batch, provenance=said)
    served_home.clock.tick(1)
    assert store.append("u-1", [BY_EMAIL], provenance=said).version == 2
    late = e.Provenance(method="import", said_at=START + timedelta(days=1))
    assert store.append("u-1", [e.Withdrawn("surveys")], provenance=late).version == 3


def test_the_same_import_again_is_a_repeat(store: Store) -> None:
    """A key is looked for before anything is judged: an import that goes on after a stop refuses nothing."""
    first = store.append("u-1", [OPENED, BY_EMAIL], idempotency_key="row-1", provenance=LATE)
    assert store.append("u-1", [OPENED, BY_EMAIL], idempotency_key="row-1", provenance=LATE) == repeat_of(first)
