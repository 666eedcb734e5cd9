"""No no is lost to an idempotency key (policy.md, "Events"; S13), on every kind of store."""

from __future__ import annotations

from collections import Counter

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Market, Process, decide
from diijam_consent_sdk.errors import InvalidEvent, VersionConflict
from diijam_consent_sdk.stores import Store
from diijam_consent_sdk.vocabulary import Reason

from .contract import AGREED, OPENED, TOLD, Batch, Home, at_once, erase, head, insist, record_of, repeat_of, sign_up

YES = e.Granted("marketing", "n-1", ["email"])
NOES: dict[str, Batch] = {
    "withdrawal": [e.Withdrawn("marketing")],
    "withdrawal of an agreement": [e.AgreementWithdrawn("n-1")],
    "objection": [e.Objected("payment")],
    "restriction": [e.Restricted()],
    "hiding": [e.Hidden("avatar")],
    "erasure request": [e.RequestFiled("q-1", "erasure")],
    "closing": [e.AccountClosed()],
    "erasure": [e.AccountClosed(), e.Erased()],
    "several": [e.Withdrawn("marketing"), e.Objected("payment"), e.Hidden("avatar")],
}


@pytest.mark.parametrize("noes", NOES.values(), ids=NOES)
def test_what_takes_away_is_written_under_a_used_key(noes: Batch, store: Store) -> None:
    """Whoever used the key before, and for what: a batch that does nothing but take away is written all the same."""
    sign_up(store, "u-1")
    store.append("u-1", [TOLD, AGREED, YES], idempotency_key="k-1")
    written = store.append("u-1", noes, idempotency_key="k-1")
    assert not written.is_repeat
    assert written.cursor == head(store)
    assert store.history("u-1")[-1].event == noes[-1]


@pytest.mark.parametrize("noes", NOES.values(), ids=NOES)
def test_a_no_under_a_used_key_is_written_once(noes: Batch, store: Store) -> None:
    """Its own repeats are recognised, also after others used the key, and so are the repeats of the key's first use."""
    sign_up(store, "u-1")
    first = store.append("u-1", [TOLD, AGREED, YES], idempotency_key="k-1")
    written = store.append("u-1", noes, idempotency_key="k-1")
    assert store.append("u-1", noes, idempotency_key="k-1") == repeat_of(written)
    if record_of(written).account != "erased":
        assert store.append("u-1", [TOLD, AGREED, YES], idempotency_key="k-1") == repeat_of(first)
    assert head(store) == written.cursor


def test_a_guessed_key_keeps_no_withdrawal_out(store: Store) -> None:
    """S13: whatever was written first under the key, the customer's withdrawal is neither refused nor swallowed."""
    guessed: list[Batch] = [[YES], [e.Withdrawn("surveys")], [e.RequestFiled("q-1", "access")], [TOLD]]
    for number, before in enumerate(guessed):
        user_id = f"u-{number}"
        store.append(user_id, [OPENED, YES])
        store.append(user_id, before, idempotency_key="withdraw-1")
        written = store.append(user_id, [e.Withdrawn("marketing")], idempotency_key="withdraw-1")
        assert (written.version, written.is_repeat) == (4, False)
        loaded = store.load([user_id])
        assert decide(loaded.records[0], Market("email"), loaded.at).reason is Reason.WITHDRAWN


def test_one_key_for_many_acts_loses_no_no(store: Store) -> None:
    """A caller that uses one key for every act loses yeses to `ValueError`, and no no."""
    sign_up(store, "u-1")
    store.append("u-1", [YES], idempotency_key="k-1")
    for purpose in ("surveys", "contests", "marketing"):
        assert not store.append("u-1", [e.Withdrawn(purpose)], idempotency_key="k-1").is_repeat
        assert store.append("u-1", [e.Withdrawn(purpose)], idempotency_key="k-1").is_repeat
    with pytest.raises(ValueError, match="idempotency_key"):
        store.append("u-1", [e.Granted("surveys", "n-1")], idempotency_key="k-1")
    assert len(store.history("u-1")) == 5


def test_a_repeated_no_is_told_as_one(store: Store) -> None:
    """The same no under the same key is a repeat although a yes came in between: a late retry revokes no newer yes."""
    store.append("u-1", [OPENED, e.Granted("surveys", "n-1")])
    first = store.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k-1")
    store.append("u-1", [e.Granted("surveys", "n-1")])
    assert store.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k-1") == repeat_of(first)
    loaded = store.load(["u-1"])
    assert decide(loaded.records[0], Process("surveys"), loaded.at).reason is Reason.CONSENTED
    assert not store.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k-2").is_repeat


def test_a_no_under_a_used_key_expects_its_version(store: Store) -> None:
    """A used key changes nothing else: the version is compared, and a refused no is not remembered."""
    store.append("u-1", [OPENED], idempotency_key="k-1")
    with pytest.raises(VersionConflict):
        store.append("u-1", [e.Withdrawn("surveys")], expected_version=7, idempotency_key="k-1")
    with pytest.raises(InvalidEvent):
        store.append("u-1", [e.AgreementWithdrawn("n-1")], idempotency_key="k-1")
    store.append("u-1", [TOLD])
    for no in (e.Withdrawn("surveys"), e.AgreementWithdrawn("n-1")):
        assert not store.append("u-1", [no], idempotency_key="k-1").is_repeat


def test_eight_threads_write_a_no_under_a_used_key_once(store: Store) -> None:
    """The key is looked up once more by the one writer, so the same no at the same time is written once."""
    sign_up(store, "u-1")
    store.append("u-1", [TOLD], idempotency_key="k-1")
    answers = at_once(lambda _: insist(store.append, "u-1", [e.Objected("payment")], idempotency_key="k-1"))
    assert Counter(answer.is_repeat for answer in answers) == {False: 1, True: 7}
    assert len(store.history("u-1")) == 3


def test_noes_under_a_used_key_are_known_after_reopening(lasting_home: Home) -> None:
    """Another store on the ledger recognises each batch that was written under the key."""
    store = lasting_home.open()
    store.append("u-1", [OPENED], idempotency_key="k-1")
    written = [store.append("u-1", [e.Withdrawn(p)], idempotency_key="k-1") for p in ("surveys", "contests")]
    lasting_home.close()
    store = lasting_home.open()
    again = [store.append("u-1", [e.Withdrawn(p)], idempotency_key="k-1") for p in ("surveys", "contests")]
    assert again == list(map(repeat_of, written))


def test_an_erasure_forgets_every_use_of_a_key(store: Store) -> None:
    """Of an erased user only the erasure's own answer is kept, also where its key was used before it."""
    store.append("u-1", [OPENED], idempotency_key="k-1")
    store.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k-1")
    erased = erase(store, "u-1", key="k-1")
    batch: Batch = [e.AccountClosed(), e.Erased()]
    assert store.append("u-1", batch, idempotency_key="k-1") == repeat_of(erased)
    with pytest.raises(InvalidEvent):
        store.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k-1")
