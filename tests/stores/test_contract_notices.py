"""The contract of every store's registry: registered once, never changed, and what an append looks at."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import attrs
import pytest

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, StoreUnavailable
from diijam_consent_sdk.notices import RegisteredNotice
from diijam_consent_sdk.stores import Store
from diijam_consent_sdk.stores.sql.store import SqlStore
from tests.strategies import START

from .contract import OPENED, Home, at_once, erase, head, insist, sign_up

PROMO = NoticeText("promo-1", {"vi": "Khuyến mại\n", "en": 'Promotions "now"\r\n'}, ["marketing"], ["email"])
SHARING = NoticeText("n-1", {"vi": "Chia sẻ với Acme"}, ["marketing"], ["email"], "acme")
CHANGED = attrs.evolve(PROMO, texts={"vi": "Khuyến mại", "en": 'Promotions "now"\r\n'})
EMAIL = e.Granted("marketing", "promo-1", ["email"])


@pytest.fixture
def store(served_home: Home) -> Store:
    """A store on an empty ledger, also behind a service."""
    return served_home.open()


def test_a_registered_notice_is_found_again_word_for_word(store: Store) -> None:
    """It comes back with every character, its digest, and the store's time; one that is not registered is None."""
    registered = store.register_notice(PROMO)
    assert (registered.text, registered.digest, registered.registered_at) == (PROMO, PROMO.digest, START)
    assert store.notice("promo-1") == registered
    assert store.notice("promo-2") is None


def test_the_writer_is_kept(served_home: Home) -> None:
    """An embedded store keeps the name it is given, a service the name of the token."""
    store = served_home.open()
    registered = store.register_notice(PROMO, by="dpo")
    assert registered.by == ("both" if "Http" in type(served_home).__name__ else "dpo")
    assert store.notice("promo-1") == registered


def test_the_same_content_again_is_the_same_registration(served_home: Home) -> None:
    """The first time and writer stay, whoever registers it again and whenever."""
    store = served_home.open()
    first = store.register_notice(PROMO, by="first")
    served_home.clock.tick(60)
    assert store.register_notice(attrs.evolve(PROMO, texts=dict(sorted(PROMO.texts.items()))), by="second") == first
    assert store.notices() == [first]


@pytest.mark.parametrize(
    "other", [CHANGED, attrs.evolve(PROMO, purposes=["surveys"]), attrs.evolve(PROMO, recipient="acme")]
)
def test_other_content_under_the_id_is_refused(store: Store, other: NoticeText) -> None:
    """A registered notice is never changed, in one character or in what it names: a changed text is a new id."""
    first = store.register_notice(PROMO)
    with pytest.raises(InvalidEvent, match="register the changed text under a new id"):
        store.register_notice(other)
    assert store.notice("promo-1") == first
    assert store.register_notice(attrs.evolve(other, notice="promo-2")).text.notice == "promo-2"


def test_a_notice_that_leaves_a_sensitive_field_unnamed_is_refused(store: Store) -> None:
    """The refusal says which field to name as sensitive, and nothing is registered."""
    silent = NoticeText("n-2", {"vi": "lời"}, ["service_improvement"], ["listening_history", "email"])
    with pytest.raises(InvalidEvent, match="name listening_history in `sensitive`"):
        store.register_notice(silent)
    assert store.notice("n-2") is None
    assert store.register_notice(attrs.evolve(silent, sensitive=["listening_history"])).digest


def test_registering_takes_no_position(store: Store) -> None:
    """The head stays where it was, and nobody changed."""
    before = sign_up(store, "u-1").cursor
    store.register_notice(PROMO)
    store.require_notices()
    assert head(store) == before
    assert store.changes(before, wait=0).user_ids == {}


def test_the_time_of_a_registration_never_runs_back(served_home: Home) -> None:
    """It is no earlier than the last entry and the last registration, whatever the clock shows."""
    store = served_home.open()
    served_home.clock.tick(10)
    sign_up(store, "u-1")
    served_home.clock.tick(-20)
    assert store.register_notice(PROMO).registered_at == START + timedelta(seconds=10)
    served_home.clock.tick(40)
    assert store.register_notice(SHARING).registered_at == START + timedelta(seconds=30)
    served_home.clock.tick(-40)
    assert store.register_notice(attrs.evolve(PROMO, notice="a")).registered_at == START + timedelta(seconds=30)


def test_notices_are_listed_in_order_page_by_page(store: Store) -> None:
    """Each page follows from the last id of the one before, until one is empty."""
    for number in (3, 1, 5, 2, 4):
        store.register_notice(attrs.evolve(PROMO, notice=f"n-{number}"))
    found: list[RegisteredNotice] = []
    while page := store.notices(found[-1].text.notice if found else None, limit=2):
        assert len(page) <= 2
        found += page
    assert [notice.text for notice in found] == [attrs.evolve(PROMO, notice=f"n-{number}") for number in range(1, 6)]
    with pytest.raises(ValueError, match="limit is at least 1"):
        store.notices(limit=0)


def test_the_largest_notice_is_kept_whole(store: Store) -> None:
    """Eight texts of 65,536 bytes, of characters that JSON has to escape, pass every home."""
    texts = {f"x-{number}": "\x01" * 65_536 for number in range(8)}
    largest = NoticeText("n-large", texts, ["surveys"])
    assert insist(store.register_notice, largest).text == largest
    found = store.notice("n-large")
    assert found is not None
    assert found.text == largest


@pytest.mark.parametrize("by", [" spaced", ""])
def test_a_malformed_call_is_a_plain_error(store: Store, by: str) -> None:
    """Another thing than a notice is a `TypeError`, and a malformed writer or id a `ValueError`."""
    with pytest.raises(TypeError, match="a NoticeText is needed, not str"):
        store.register_notice("promo-1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="an id has"):
        store.register_notice(PROMO, by=by)
    with pytest.raises(ValueError, match="white space"):
        store.notice(" promo-1")


def test_threads_that_register_one_notice_get_one_registration(store: Store) -> None:
    """Whoever is first, all are answered alike."""
    found = at_once(lambda number: insist(store.register_notice, PROMO, by=f"writer-{number}"), 4)
    assert [store.notice("promo-1")] * 4 == found


REFUSED: list[tuple[e.Event, str]] = [
    (e.Granted("surveys", "promo-1"), "does not name surveys"),
    (e.Notified("promo-1", "acme", ["email"], "marketing"), "names no recipient"),
    (e.Notified("n-1", "other", ["email"], "marketing"), "names another recipient"),
    (e.Notified("n-1", "acme", ["email", "phone"], "marketing"), "names less data"),
    (e.Notified("n-1", "acme", ["email"], "surveys"), "does not name surveys"),
]


@pytest.mark.parametrize(("event", "reason"), REFUSED)
def test_what_the_registered_words_do_not_say_is_refused(store: Store, event: e.Event, reason: str) -> None:
    """The whole batch is refused, and the reason says to register words that do."""
    store.register_notice(PROMO)
    store.register_notice(SHARING)
    sign_up(store, "u-1")
    with pytest.raises(InvalidEvent, match=f"{reason}: register words that say so under a new id"):
        store.append("u-1", [EMAIL, event])
    assert store.load(["u-1"]).records[0].version == 1


def test_what_the_registered_words_say_is_accepted(store: Store) -> None:
    """A consent, a sharing and its agreement within their notices are written."""
    store.register_notice(PROMO)
    store.register_notice(SHARING)
    told = e.Notified("n-1", "acme", ["email"], "marketing")
    assert store.append("u-1", [OPENED, EMAIL, told, e.Agreed("n-1")]).version == 4


def test_entries_keep_the_digest_of_the_notice_that_they_name(store: Store) -> None:
    """`Granted`, `Notified` and `Agreed` keep it, over every path; other events and unregistered notices have none."""
    told = e.Notified("n-1", "acme", ["email"], "marketing")
    store.append("u-1", [OPENED, EMAIL, told])
    store.register_notice(PROMO)
    store.register_notice(SHARING)
    store.append("u-1", [EMAIL, told, e.Agreed("n-1"), e.AgreementWithdrawn("n-1"), e.Granted("surveys", "other")])
    digests = [entry.notice_digest for entry in store.history("u-1")]
    assert digests == [None, None, None, PROMO.digest, SHARING.digest, SHARING.digest, None, None]
    erase(store, "u-1")
    assert [entry.notice_digest for entry in store.history("u-1")] == [None]


def test_a_ledger_with_notices_verifies(home: Home) -> None:
    """Entries before and after the registration, erased ones and notices that nobody names are all in order."""
    store = home.open()
    store.append("u-1", [OPENED, EMAIL])
    store.register_notice(PROMO)
    store.register_notice(SHARING)
    store.append("u-2", [OPENED, EMAIL])
    store.append("u-1", [EMAIL])
    erase(store, "u-2")
    if isinstance(store, SqlStore):  # the asynchronous store has no `verify`
        assert store.verify() == head(store)


def test_a_ledger_that_requires_notices(served_home: Home) -> None:
    """It refuses an unregistered notice for good, also in other stores on it; saying no needs none."""
    store = served_home.open()
    told = e.Notified("n-old", "acme", ["email"], "marketing")
    store.append("u-1", [OPENED, told])
    store.require_notices()
    store.require_notices()
    other = served_home.open()
    for event in (EMAIL, e.Notified("n-1", "acme", ["email"], "marketing"), told):
        with pytest.raises(InvalidEvent, match="register the text under this id before it is named"):
            other.append("u-1", [event])
    noes: list[e.Event] = [e.Withdrawn("marketing"), e.AgreementWithdrawn("n-old"), e.Agreed("n-old")]
    other.append("u-1", noes)
    other.register_notice(PROMO)
    assert store.append("u-1", [EMAIL]).version == 6


def test_a_closed_store_registers_nothing(home: Home) -> None:
    """After `close` every call of the registry raises `StoreUnavailable`."""
    store = home.open()
    store.close()
    register, load = partial(store.register_notice, PROMO), partial(store.notice, "n-1")
    for call in (register, load, store.notices, store.require_notices):
        with pytest.raises(StoreUnavailable):
            call()
