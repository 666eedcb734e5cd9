"""Notices: what can be registered, its digest, and the events that a registered notice refuses."""

from __future__ import annotations

import hashlib
import json
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk import events as e
from diijam_consent_sdk.identifiers import language_tag
from diijam_consent_sdk.notices import (
    NoticeRegistry,
    canonical_json,
    named_notices,
    registering_refusal,
)
from diijam_consent_sdk.policy import SENSITIVE
from diijam_consent_sdk.record import refusal
from diijam_consent_sdk.vocabulary import Field, Purpose
from tests.strategies import START

from .history import opened
from .samples import EACH_EVENT

SHARING = NoticeText(
    "n-1", {"vi": "Chia sẻ với Acme", "en": "Sharing with Acme"}, ["marketing", "surveys"], ["email", "avatar"], "acme"
)
PROMO = NoticeText("promo-1", {"vi": "Khuyến mại"}, ["marketing"])
REGISTERED = NoticeRegistry({"n-1": SHARING.terms(), "promo-1": PROMO.terms()})
REQUIRED = attrs.evolve(REGISTERED, is_required=True)
EMAIL = ("marketing", "promo-1", ["email"])


def test_what_a_notice_names_may_be_plain_words() -> None:
    """Plain words and members make the same notice, and only an id, a text and a purpose are needed."""
    assert NoticeText("promo-1", {"vi": "Khuyến mại"}, {Purpose.MARKETING}) == PROMO
    assert (PROMO.data, PROMO.recipient, PROMO.sensitive) == (frozenset(), None, frozenset())


def test_a_notice_is_a_value() -> None:
    """It cannot be changed, equals, hashes and pickles as its content, and does not follow the caller's mapping."""
    texts = {"vi": "Khuyến mại"}
    notice = NoticeText("promo-1", texts, ["marketing"])
    texts["vi"] = "Khác"
    copy = pickle.loads(pickle.dumps(notice))
    assert copy == notice == PROMO
    assert len({copy, notice}) == 1
    with pytest.raises(AttributeError):
        notice.notice = "promo-2"  # type: ignore[misc]


def test_its_repr_names_the_languages_and_leaves_the_words_out() -> None:
    """A log line with a notice in it stays short."""
    assert "<vi, en>" in repr(SHARING)
    assert "Acme" not in repr(SHARING)


MALFORMED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"notice": ""}, ValueError, "1 to 256 characters"),
    ({"notice": 7}, TypeError, "an id is a string"),
    ({"texts": {}}, ValueError, "1 to 8 languages, not 0"),
    ({"texts": {f"x-{number}": "." for number in range(9)}}, ValueError, "1 to 8 languages, not 9"),
    ({"texts": [("vi", "lời")]}, TypeError, "map a language to its text: a list is none$"),
    ({"texts": "vi"}, TypeError, "map a language to its text"),
    ({"texts": {"vi_VN": "lời"}}, ValueError, "BCP 47 tag, such as vi"),
    ({"texts": {7: "lời"}}, TypeError, "a language is a string"),
    (
        {"texts": {"vi": "lời", "VI": "lời"}},
        ValueError,
        "^a notice has one text in each language: two tags differ in case alone$",
    ),
    ({"texts": {"vi": ""}}, ValueError, "1 to 65,536 bytes of UTF-8, not 0"),
    ({"texts": {"vi": "ờ" * 21_846}}, ValueError, "not 65,538"),
    ({"texts": {"vi": "\ud83d"}}, ValueError, r"^a text holds .* \(a lone surrogate\): decode it from UTF-8$"),
    ({"texts": {"vi": b"words"}}, TypeError, "a text is a string, not bytes"),
    ({"purposes": []}, ValueError, "^a notice names at least one purpose$"),
    ({"purposes": "marketing"}, TypeError, "a set of Purpose"),
    ({"purposes": ["spam"]}, ValueError, "unknown Purpose 'spam'"),
    ({"data": ["shoe_size"]}, ValueError, "unknown Field"),
    ({"data": "email"}, TypeError, "a set of Field"),
    ({"recipient": " acme"}, ValueError, "white space"),
    ({"sensitive": ["shoe_size"]}, ValueError, "unknown Field"),
]


@pytest.mark.parametrize(("changes", "error", "message"), MALFORMED)
def test_malformed_notices_cannot_be_made(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    """Each field is checked when the notice is made, and the error says what is needed."""
    fields: dict[str, Any] = {"notice": "n-1", "texts": {"vi": "lời"}, "purposes": ["marketing"]}
    with pytest.raises(error, match=message):
        NoticeText(**{**fields, **changes})


def test_the_terms_of_a_notice_are_what_it_names() -> None:
    """Refusals need the digest, the purposes, the data, the recipient and what is sensitive, each as it is."""
    notice = attrs.evolve(SHARING, data=["email", "location"], sensitive=["location"])
    assert attrs.asdict(notice.terms(), recurse=False) == {
        "digest": notice.digest,
        "purposes": {Purpose.MARKETING, Purpose.SURVEYS},
        "data": {Field.EMAIL, Field.LOCATION},
        "recipient": "acme",
        "sensitive": {Field.LOCATION},
    }


def test_what_is_not_called_sensitive_is_listed() -> None:
    """The refusal names each field that the words have to call sensitive, in order."""
    why = registering_refusal(attrs.evolve(SHARING, data=["payment", "email", "location"]))
    assert why is not None
    assert "name location, payment in `sensitive`" in why


def test_the_limits_themselves_are_allowed() -> None:
    """A notice may have 8 languages, and texts of 1 and of 65,536 bytes."""
    texts = {f"x-{number}": "." for number in range(7)} | {"vi": "ờ" * 21_845 + "."}
    assert NoticeText("n-1", texts, ["marketing"]).texts == texts


@pytest.mark.parametrize(
    "tag", ["vi", "en-GB", "zh-Hant-TW", "es-419", "de-CH-1996", "sl-rozaj-biske", "en-u-co-phonebk", "de-x-a", "x-a"]
)
def test_bcp_47_tags_name_languages(tag: str) -> None:
    """Any well-formed tag is kept as it was given."""
    assert language_tag(tag) == tag


@pytest.mark.parametrize(
    "tag", ["", "v", "1", "x", "de-x", "vi_VN", "vi-", "-vi", "en--GB", "vi ", "ví", "en-" + "abcde-" * 6 + "fghij"]
)
def test_other_words_name_no_language(tag: str) -> None:
    """What RFC 5646 does not form is refused, and so is a tag of more than 35 characters."""
    with pytest.raises(ValueError, match=r"^a language is a BCP 47 tag, such as vi or en-GB$"):
        language_tag(tag)


def test_a_tag_has_at_most_35_characters() -> None:
    """A well-formed tag of 35 characters is one, and a longer one is none."""
    longest = "en-" + "abcdefg-" * 3 + "abcdefgh"
    assert len(longest) == 35
    assert language_tag(longest) == longest
    with pytest.raises(ValueError, match="BCP 47"):
        language_tag(longest + "-a-bcd")


@pytest.mark.parametrize("bad", [7, None, b"vi"])
def test_a_tag_is_a_string(bad: Any) -> None:
    """What is no string is a `TypeError` that names its type."""
    with pytest.raises(TypeError, match=f"^a language is a string, not {type(bad).__name__}$"):
        language_tag(bad)


def test_the_digest_is_over_all_six_keys() -> None:
    """The bytes are spelled out here, so that another program can be held to them."""
    spelled = (
        '{"data":["avatar","email"],"notice":"n-1","purposes":["marketing","surveys"],"recipient":"acme",'
        '"sensitive":[],"texts":{"en":"Sharing with Acme","vi":"Chia sẻ với Acme"}}'
    )
    assert SHARING.canonical() == spelled.encode()
    assert SHARING.digest == hashlib.sha256(spelled.encode()).hexdigest() == SHARING.terms().digest
    empty = '{"data":[],"notice":"promo-1","purposes":["marketing"],"recipient":null,"sensitive":[],"texts":'
    assert PROMO.canonical() == (empty + '{"vi":"Khuyến mại"}}').encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"notice": "n-2"}, {"texts": {"vi": "Chia sẻ với Acme"}}, {"purposes": ["marketing"]}, {"data": ["email"]},
        {"recipient": None}, {"sensitive": ["email"]},
        {"texts": {"vi": "Chia sẻ với Acme", "en": "Sharing with Acme "}},
    ],
)  # fmt: skip
def test_every_part_of_a_notice_is_under_its_digest(changes: dict[str, Any]) -> None:
    """Changing one field, or one character of one text, changes the digest."""
    assert attrs.evolve(SHARING, **changes).digest != SHARING.digest


def test_texts_are_under_the_digest_exactly_as_given() -> None:
    """Composed and decomposed letters, line ends and trailing spaces are not made alike."""
    texts = ["ờ", "\u006f\u031b\u0300", "a\r\nb", "a\nb", "a\nb ", "\ufeffa\nb"]
    digests = {NoticeText("n-1", {"vi": text}, ["marketing"]).digest for text in texts}
    assert len(digests) == len(texts)


def test_canonical_json_orders_keys_by_utf_16_and_escapes_as_rfc_8785_does() -> None:
    """The example of RFC 8785, section 3.2.3, whose emoji comes before a later letter; and the escapes of 3.2.2.2."""
    keys = ["€", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "ö"]
    ordered = ["\r", "1", "\u0080", "ö", "€", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys, "")))) == ordered
    escaped = canonical_json({"a": '\x00\x08\t\n\x0b\x0c\r\x1f "\\/\x7f\u2028€'})
    assert escaped == '{"a":"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f \\"\\\\/\x7f\u2028€"}'.encode()


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.lists(st.text("ab\x01ờ"))))
def test_canonical_json_is_json(value: dict[str, Any]) -> None:
    """Whatever is encoded reads back, and no order of the keys changes the bytes."""
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(dict(reversed(list(value.items())))) == canonical_json(value)


@pytest.mark.parametrize("field", sorted(Field))
def test_a_sensitive_field_has_to_be_named_as_such(field: Field) -> None:
    """A notice whose data is sensitive by law is refused until it says so; other fields need no such word."""
    silent = NoticeText("n-1", {"vi": "lời"}, ["surveys"], [field])
    refused = registering_refusal(silent)
    assert (refused is not None) == (field in SENSITIVE)
    assert refused is None or f"name {field} in `sensitive`" in refused
    assert registering_refusal(attrs.evolve(silent, sensitive=[field])) is None


ALLOWED: list[e.Event] = [
    e.Granted(*EMAIL),
    e.Granted("surveys", "n-1"),
    e.Granted("contests", "unregistered"),
    e.Notified("n-1", "acme", ["email"], "marketing"),
    e.Notified("n-1", "acme", ["email", "avatar"], "surveys"),
    e.Notified("unregistered", "anyone", ["payment"], "contests"),
]
REFUSED: list[tuple[e.Event, str]] = [
    (e.Granted("surveys", "promo-1"), "does not name surveys"),
    (e.Notified("promo-1", "acme", ["email"], "marketing"), "names no recipient"),
    (e.Notified("n-1", "other", ["email"], "marketing"), "names another recipient"),
    (e.Notified("n-1", "acme", ["email", "phone"], "marketing"), "names less data"),
    (e.Notified("n-1", "acme", ["email"], "contests"), "does not name contests"),
]


@pytest.mark.parametrize("event", ALLOWED)
def test_events_within_their_notice_are_accepted(event: e.Event) -> None:
    """A purpose, recipient and data that the registered notice names pass, and so does an unregistered notice."""
    assert refusal(opened().record, event, START, REGISTERED) is None


@pytest.mark.parametrize(("event", "reason"), REFUSED)
def test_events_beyond_their_notice_are_refused(event: e.Event, reason: str) -> None:
    """What the registered words do not say is not consented to; the refusal says to register other words."""
    refused = refusal(opened().record, event, START, REGISTERED)
    assert refused is not None
    assert reason in refused
    assert "register words that say so under a new id" in refused
    assert refusal(opened().record, event, START) is None


@pytest.mark.parametrize(("event", "reason"), REFUSED[2:], ids=["recipient", "data", "purpose"])
def test_an_agreement_to_less_than_was_told_is_refused(event: e.Event, reason: str) -> None:
    """A sharing was told, and then other words registered under its id: they are not what the customer agrees to."""
    assert isinstance(event, e.Notified)
    told = opened().append(event)
    refused = refusal(told.record, e.Agreed("n-1"), START, REGISTERED)
    assert refused is not None
    assert reason in refused
    assert refusal(told.record, e.Agreed("n-1"), START) is None
    assert refusal(told.record, e.AgreementWithdrawn("n-1"), START, REGISTERED) is None


def test_a_ledger_that_requires_notices_refuses_unregistered_ones() -> None:
    """Only `Granted` and `Notified` are refused so, and only under an id that is not registered."""
    for event in ALLOWED:
        refused = refusal(opened().record, event, START, REQUIRED)
        is_unregistered = event.notice == "unregistered"  # type: ignore[union-attr]
        assert (refused is not None) == is_unregistered
        assert refused is None or "register the text under this id before it is named" in refused
    told = opened().append(e.Notified("unregistered", "acme", ["email"], "marketing"))
    assert refusal(told.record, e.Agreed("unregistered"), START, REQUIRED) is None


def test_only_what_gives_permission_looks_at_the_registry() -> None:
    """`Granted`, `Notified` and `Agreed` name a notice to look up; no event that says no depends on one."""
    assert {type(event) for event in EACH_EVENT if named_notices([event])} == {e.Granted, e.Notified, e.Agreed}
    assert named_notices([e.Granted(*EMAIL), e.Agreed("n-1"), e.Granted("surveys", "n-1")]) == ["promo-1", "n-1"]
    assert not any(named_notices([event]) for event in EACH_EVENT if e.is_no(event))


def test_entries_get_the_digest_of_the_registered_notice() -> None:
    """An event of the three kinds has its notice's digest; an unregistered notice, and every other event, has none."""
    assert REGISTERED.digest_for(e.Granted(*EMAIL)) == PROMO.digest
    assert REGISTERED.digest_for(e.Agreed("n-1")) == SHARING.digest
    assert REGISTERED.digest_for(e.Notified("n-1", "acme", ["email"], "marketing")) == SHARING.digest
    assert REGISTERED.digest_for(e.Agreed("unregistered")) is None
    assert REGISTERED.digest_for(e.AgreementWithdrawn("n-1")) is None


def test_a_ledger_that_requires_notices_says_how_to_go_on() -> None:
    """The refusal of an unregistered id is whole: what is required, and what to do first."""
    why = refusal(opened().record, e.Granted("marketing", "unknown", ["email"]), START, REQUIRED)
    assert why == "this ledger requires notices: register the text under this id before it is named"
