"""Asks that are found by the words they would be built from: the same answers and errors as asks that are built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from diijam_consent_sdk import ConsentClient, Field, Market, Process, Purpose, Reason, Share
from diijam_consent_sdk import events as e
from diijam_consent_sdk.cache import compiled
from diijam_consent_sdk.cache.compiled import MAX_REMEMBERED, AnswerPool
from diijam_consent_sdk.cache.counters import Counters
from diijam_consent_sdk.decisions import Ask, Decision, decide
from diijam_consent_sdk.stores import MemoryStore
from tests import strategies as st
from tests.cache.world import AT, L, World, answers_of, consenting

WITH_DATA = [ask for ask in st.EVERY_ASK if isinstance(ask, (Process, Market, Share)) and ask.data is not None]
SPELLINGS: dict[str, Callable[[Iterable[Field]], Iterable[str]]] = {
    "set": set,
    "frozenset": frozenset,
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "plain words": lambda data: {str(field) for field in data},
    "words given twice": lambda data: [*map(str, data), *data],
    "keys": lambda data: dict.fromkeys(data).keys(),
}
WRONG = [
    ("", {"username"}, "marketing"),
    (3, {"username"}, "marketing"),
    (None, {"username"}, "marketing"),
    (["acme"], {"username"}, "marketing"),
    (" acme", {"username"}, "marketing"),
    ("acme", {"fax"}, "marketing"),
    ("acme", (1,), "marketing"),
    ("acme", [True], "marketing"),
    ("acme", [["username"]], "marketing"),
    ("acme", "username", "marketing"),
    ("acme", b"username", "marketing"),
    ("acme", {"username": 1}, "marketing"),
    ("acme", (), "marketing"),
    ("acme", None, "marketing"),
    ("acme", {"username"}, "fun"),
    ("acme", {"username"}, 1),
    ("acme", {"username"}, ["marketing"]),
    ("acme", {"username"}, None),
]


@pytest.fixture
def consent() -> Iterator[ConsentClient]:
    """A client that knows such a user."""
    store = MemoryStore()
    store.append("u-1", [e.AccountOpened(), e.Notified("n", "acme", {"username"}, "marketing"), e.Agreed("n")])
    with ConsentClient(store, follow=False) as consent:
        yield consent


def put(asked: Any, ask: Ask, data: Iterable[str], *user_id: str) -> Decision:
    """Put an ask with data to a user or a client as a guard."""
    match ask:
        case Process(purpose):
            decision: Decision = asked.can_process(*user_id, purpose, data)
        case Market(channel):
            decision = asked.can_market(*user_id, channel, data)
        case Share(recipient, _, purpose):
            decision = asked.can_share(*user_id, recipient, data, purpose)
    return decision


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_has_the_answer_of_the_ask(
    consent: ConsentClient, spelling: Callable[[Iterable[Field]], Iterable[str]]
) -> None:
    """A guard with data answers as the record does, before and after the ask is remembered, however it is spelled."""
    loaded = consent.load("u-1")
    for asked, user_id in ((consent, ("u-1",)), (consent.user("u-1"), ())):
        for ask in WITH_DATA:
            right = decide(loaded, ask, AT)
            assert [put(asked, ask, spelling(ask.data or ()), *user_id) for _ in range(2)] == [right, right]


@pytest.mark.parametrize("words", WRONG, ids=repr)
def test_wrong_words_raise_what_building_the_ask_raises(consent: ConsentClient, words: tuple[Any, Any, Any]) -> None:
    """Beside an ask that is remembered, and where everything is denied, wrong words raise as ever."""
    with pytest.raises((TypeError, ValueError)) as built:
        Share(*words)
    user = consent.user("u-1")
    for _ in range(2):
        assert consent.can_share("u-1", "acme", {"username"}, "marketing")
        with pytest.raises(built.type) as by_id:
            consent.can_share("u-1", *words)
        with pytest.raises(built.type) as of_user:
            user.can_share(*words)
        assert str(by_id.value) == str(of_user.value) == str(built.value)
    consent.close()
    with pytest.raises(built.type):
        user.can_share(*words)


def test_a_recipient_that_compares_in_another_way_is_the_one_it_names(consent: ConsentClient) -> None:
    """An agreement with `acme` is none with `ACME`, though a subclass of `str` says that they are equal."""

    class Folded(str):
        """Compares without case."""

        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return str(self).lower() == str(other).lower()

        def __hash__(self) -> int:
            return hash(str(self).lower())

    assert consent.can_share("u-1", "acme", {"username"}, "marketing")
    assert consent.can_share("u-1", Folded("acme"), {"username"}, "marketing")
    assert consent.can_share("u-1", Folded("ACME"), {"username"}, "marketing").reason is Reason.NOT_NOTIFIED


def test_a_set_that_changes_is_another_ask(consent: ConsentClient) -> None:
    """The fields are those that the collection holds when the guard is called."""
    fields, some = ["username"], {"username"}
    assert consent.can_share("u-1", "acme", fields, "marketing")
    assert consent.can_share("u-1", "acme", some, "marketing")
    fields[0] = "email"
    some.add("email")
    assert consent.can_share("u-1", "acme", fields, "marketing").reason is Reason.BEYOND_NOTICE
    assert consent.can_share("u-1", "acme", some, "marketing").reason is Reason.BEYOND_NOTICE


def test_no_data_is_not_any_data(consent: ConsentClient) -> None:
    """`()` and None are two asks: a restriction of one field denies only the second."""
    consent.record("u-1", e.Restricted({"email"}))
    for _ in range(2):
        assert consent.can_process("u-1", Purpose.PAYMENT, ())
        assert consent.can_process("u-1", Purpose.PAYMENT, None).reason is Reason.RESTRICTED
        assert not consent.can_process("u-1", Purpose.PAYMENT, ["email"])


def test_rule_7_the_clock_is_read_after_the_data() -> None:
    """Data that takes the rest of the lease to give has no answer of before."""
    world = World(follow=False)
    (user,) = world.load(consenting()).values()

    def late() -> Iterator[str]:
        """Give one field, after the lease."""
        world.clock.tick(L)
        yield "email"

    assert user.can_market("email", ("email",))
    assert user.can_market("email", late()).reason is Reason.STALE


def test_users_share_what_is_remembered_and_others_do_not() -> None:
    """What is remembered lies with the answers: who chose otherwise has another object, with nothing of it."""
    pool = AnswerPool(Counters().by_decision)
    answers = answers_of(consenting("a"), pool=pool)
    assert answers.find(Market, "email", ("username",)) is None
    yes = answers.decide(Market("email", {"username"}))
    for data in ({"username"}, [Field.USERNAME], ("username",), frozenset({"username"})):
        found = answers_of(consenting("b"), pool=pool).find(Market, "email", data)
        assert found is not None
        assert found.decision is yes
    assert compiled.ALL_STALE.find(Market, "email", {"username"}) is None


def test_asks_found_by_words_are_bounded() -> None:
    """I7: the oldest makes room for the newest, which is found."""
    answers = answers_of(consenting())
    for number in range(2 * MAX_REMEMBERED):
        answers.decide(Share(f"r{number}", {"email"}, "payment"))
        assert answers.find(Share, "payment", {"email"}, f"r{number}") is not None
        assert len(answers._remembered) <= MAX_REMEMBERED
    assert answers.find(Share, "payment", {"email"}, "r0") is None
