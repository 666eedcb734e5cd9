"""The closed vocabulary, and how words, sets, ids and instants from outside are checked."""

from __future__ import annotations

import hashlib
import sys
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import diijam_consent_sdk
from diijam_consent_sdk import decisions as d
from diijam_consent_sdk import events as e
from diijam_consent_sdk import vocabulary
from diijam_consent_sdk.identifiers import _NEWER, are_plain, identifier, is_user_id
from diijam_consent_sdk.policy import Basis
from diijam_consent_sdk.stores import wire
from diijam_consent_sdk.vocabulary import (
    Account,
    Channel,
    Field,
    HoldKind,
    Origin,
    Outcome,
    Purpose,
    Reason,
    RequestKind,
    Word,
    channels_of,
    fields_of,
    instant,
    words,
)

VALUES = {
    Purpose: """
        service_improvement service_development marketing troubleshooting technology_development payment
        fraud_detection contests surveys service_operation legal_obligation dispute_resolution debt_settlement
        rights_handling""",
    Channel: "email notification message call",
    Field: """
        full_name username avatar follower_count followers recently_followed_artists email phone address birth_date
        gender location device payment listening_history linked_account""",
    Origin: "direct facebook google",
    HoldKind: "debt dispute legal tax accounting audit",
    RequestKind: "access rectification erasure complaint",
    Outcome: "fulfilled refused cancelled",
    Account: "unknown open closed erased",
    Basis: "opt_in service duty",
    Reason: """
        unavailable stale not_entitled unknown_user erased not_publishable in_service held no_duty erasure_requested
        account_closed restricted objected published not_published agreed beyond_notice withdrawn expired not_agreed
        not_notified needed_for_service consented not_consented""",
}

SECRET = "Trần Thị Bí Mật"  # stands for an id that must reach no message

# Every call that takes a word, with the vocabulary of that word.
TAKES_WORD: dict[str, tuple[type[Word], Callable[[Any], object]]] = {
    "AccountOpened.origin": (Origin, e.AccountOpened),
    "Granted.purpose": (Purpose, lambda word: e.Granted(word, "n-1")),
    "Granted.channels": (Channel, lambda word: e.Granted("marketing", "n-1", [word])),
    "Withdrawn.purpose": (Purpose, e.Withdrawn),
    "Withdrawn.channels": (Channel, lambda word: e.Withdrawn("marketing", [word])),
    "Objected.purpose": (Purpose, e.Objected),
    "ObjectionLifted.purpose": (Purpose, e.ObjectionLifted),
    "Restricted.data": (Field, lambda word: e.Restricted([word])),
    "RestrictionLifted.data": (Field, lambda word: e.RestrictionLifted([word])),
    "Notified.data": (Field, lambda word: e.Notified("n-1", "acme", [word], "payment")),
    "Notified.purpose": (Purpose, lambda word: e.Notified("n-1", "acme", ["email"], word)),
    "Published.field": (Field, e.Published),
    "Hidden.field": (Field, e.Hidden),
    "RequestFiled.kind": (RequestKind, lambda word: e.RequestFiled("q-1", word)),
    "RequestResolved.outcome": (Outcome, lambda word: e.RequestResolved("q-1", word)),
    "HoldPlaced.kind": (HoldKind, lambda word: e.HoldPlaced("h-1", word, ["email"])),
    "HoldPlaced.data": (Field, lambda word: e.HoldPlaced("h-1", "debt", [word])),
    "Process.purpose": (Purpose, d.Process),
    "Process.data": (Field, lambda word: d.Process("payment", [word])),
    "Market.channel": (Channel, d.Market),
    "Market.data": (Field, lambda word: d.Market("email", [word])),
    "Share.data": (Field, lambda word: d.Share("acme", [word], "payment")),
    "Share.purpose": (Purpose, lambda word: d.Share("acme", ["email"], word)),
    "Show.field": (Field, d.Show),
    "Retain.field": (Field, d.Retain),
}

TAKES_SET: dict[str, Callable[[Any], object]] = {
    "channels_of": channels_of,
    "fields_of": fields_of,
    "Granted.channels": lambda values: e.Granted("marketing", "n-1", values),
    "Withdrawn.channels": lambda values: e.Withdrawn("marketing", values),
    "Restricted.data": e.Restricted,
    "RestrictionLifted.data": e.RestrictionLifted,
    "Notified.data": lambda values: e.Notified("n-1", "acme", values, "payment"),
    "HoldPlaced.data": lambda values: e.HoldPlaced("h-1", "debt", values),
    "Process.data": lambda values: d.Process("payment", values),
    "Market.data": lambda values: d.Market("email", values),
    "Share.data": lambda values: d.Share("acme", values, "payment"),
}

TAKES_ID: dict[str, Callable[[Any], object]] = {
    "identifier": identifier,
    "Granted.notice": lambda name: e.Granted("surveys", name),
    "Notified.notice": lambda name: e.Notified(name, "acme", ["email"], "payment"),
    "Notified.recipient": lambda name: e.Notified("n-1", name, ["email"], "payment"),
    "Agreed.notice": e.Agreed,
    "AgreementWithdrawn.notice": e.AgreementWithdrawn,
    "RequestFiled.request": lambda name: e.RequestFiled(name, "access"),
    "RequestReplied.request": e.RequestReplied,
    "RequestExtended.request": lambda name: e.RequestExtended(name, "archive"),
    "RequestExtended.reason": lambda name: e.RequestExtended("q-1", name),
    "RequestResolved.request": lambda name: e.RequestResolved(name, "refused"),
    "HoldPlaced.hold": lambda name: e.HoldPlaced(name, "debt", ["email"]),
    "HoldReleased.hold": e.HoldReleased,
    "ErasureConfirmed.holder": e.ErasureConfirmed,
    "Share.recipient": lambda name: d.Share(name, ["email"], "payment"),
}

TAKES_INSTANT: dict[str, Callable[[Any], object]] = {
    "instant": instant,
    "Granted.expires_at": lambda at: e.Granted("surveys", "n-1", expires_at=at).expires_at,
    "Agreed.expires_at": lambda at: e.Agreed("n-1", at).expires_at,
    "RequestFiled.received_at": lambda at: e.RequestFiled("q-1", "access", received_at=at).received_at,
    "ErasureConfirmed.began_at": lambda at: e.ErasureConfirmed("mailer", at).began_at,
    "HoldPlaced.until": lambda at: e.HoldPlaced("h-1", "debt", ["email"], at).until,
}


def each_of(calls: dict[str, Any]) -> pytest.MarkDecorator:
    """Run a test once for each of the calls in a table."""
    return pytest.mark.parametrize("call", calls.values(), ids=list(calls))


each_vocabulary = pytest.mark.parametrize("vocabulary", VALUES, ids=lambda vocabulary: vocabulary.__name__)


@each_vocabulary
def test_members_and_values(vocabulary: type[Word]) -> None:
    """Each enum has the members of the policy and no others; each value is the lower-case name."""
    expected = {value.upper(): value for value in VALUES[vocabulary].split()}
    assert {member.name: member.value for member in vocabulary} == expected
    assert list(vocabulary.__members__) == [member.name for member in vocabulary]


@each_vocabulary
def test_members_and_plain_strings_are_interchangeable(vocabulary: type[Word]) -> None:
    """A member equals, hashes, prints and is found as its plain string."""
    for member in vocabulary:
        plain = member.name.lower()
        assert member == plain
        assert hash(member) == hash(plain)
        assert str(member) == f"{member}" == plain
        assert vocabulary(plain) is member
        assert {plain: True}[member]


def test_asks_and_events_of_plain_words_equal_those_of_members() -> None:
    """What is built of plain strings and lists is what is built of members and sets."""
    assert d.Share("acme", ["email"], "payment") == d.Share("acme", frozenset({Field.EMAIL}), Purpose.PAYMENT)
    assert d.Market("call", ("email",)) == d.Market(Channel.CALL, {Field.EMAIL})
    assert e.Granted("marketing", "n-1", ["call"]) == e.Granted(Purpose.MARKETING, "n-1", {Channel.CALL})
    assert e.AccountOpened("google").origin is Origin.GOOGLE
    assert e.HoldPlaced("h-1", "tax", ["email"]).kind is HoldKind.TAX


def test_member_of_another_enum_counts_as_its_plain_word() -> None:
    """A member of another enum is taken for the word that it spells, where that word is known."""
    assert Purpose(Field.PAYMENT) is Purpose.PAYMENT
    assert Field(Purpose.PAYMENT) is Field.PAYMENT
    assert fields_of({Channel.EMAIL}) == {Field.EMAIL}
    assert d.Process(Field.PAYMENT) == d.Process(Purpose.PAYMENT)
    assert e.Objected(Field.PAYMENT).purpose is Purpose.PAYMENT
    assert e.HoldPlaced("h-1", "tax", [Channel.EMAIL]).data == {Field.EMAIL}


@each_of(TAKES_WORD)
@pytest.mark.parametrize(
    "bad", ["yoga", "", "EMAIL", " email", "Purpose.PAYMENT", Reason.STALE], ids=lambda bad: repr(str(bad))
)
def test_unknown_word_is_named_beside_the_known(call: tuple[type[Word], Callable[[Any], object]], bad: str) -> None:
    """An unknown word is a `ValueError` that names it, its vocabulary and every known word."""
    vocabulary, build = call
    with pytest.raises(ValueError, match="unknown") as caught:
        build(bad)
    assert str(caught.value) == f"unknown {vocabulary.__name__} {str(bad)!r}; known: {', '.join(vocabulary)}"


@pytest.mark.parametrize(("characters", "named"), [(39, 39), (40, 40), (41, 40), (10_000, 40)])
def test_long_unknown_word_is_named_by_its_beginning(characters: int, named: int) -> None:
    """Of an unknown word, at most its first forty characters are repeated."""
    with pytest.raises(ValueError, match="unknown") as caught:
        Origin("a" * characters)
    assert str(caught.value) == f"unknown Origin {'a' * named!r}; known: direct, facebook, google"


@each_of(TAKES_WORD)
@pytest.mark.parametrize("bad", [3, 1.5, True, b"email", ["email"], object()], ids=lambda bad: type(bad).__name__)
def test_word_of_another_type(call: tuple[type[Word], Callable[[Any], object]], bad: object) -> None:
    """A word that is no string is a `TypeError`."""
    vocabulary, build = call
    with pytest.raises(TypeError, match=f"{vocabulary.__name__} takes a word, not {type(bad).__name__}"):
        build(bad)


@pytest.mark.parametrize(
    "vocabulary", [v for v in VALUES if v is not Basis], ids=lambda vocabulary: vocabulary.__name__
)
def test_none_is_no_word(vocabulary: Callable[[Any], object]) -> None:
    """`None` where one word belongs is a `TypeError`."""
    with pytest.raises(TypeError, match="not NoneType"):
        vocabulary(None)


@each_of(TAKES_SET)
@pytest.mark.parametrize(
    "bad",
    ["email", Field.EMAIL, "", b"email", b"", bytearray(), memoryview(b""), {"email": True}, {}, 3, True, object()],
    ids=lambda bad: "memoryview" if isinstance(bad, memoryview) else repr(bad)[:16],
)
def test_what_is_no_set_of_words(call: Callable[[Any], object], bad: object) -> None:
    """A bare string, a mapping or another type where a set belongs is a `TypeError` that says what is needed."""
    with pytest.raises(TypeError, match=f"a set of (Channel|Field) is needed, not {type(bad).__name__}"):
        call(bad)


@pytest.mark.parametrize("call", [channels_of, fields_of, d.Market], ids=["channels_of", "fields_of", "Market.data"])
def test_none_is_no_set(call: Callable[..., object]) -> None:
    """`None` is no set, save where the policy gives it a meaning."""
    with pytest.raises(TypeError, match="is needed, not NoneType"):
        call(*(["email"] if call is d.Market else []), None)


@pytest.mark.parametrize("kind", [list, tuple, set, iter], ids=["list", "tuple", "set", "iterator"])
def test_any_iterable_of_words_is_a_set(kind: Callable[[list[str]], Iterable[str]]) -> None:
    """Any iterable of words will do; the set holds each word once, as a member, and cannot change."""
    found = words(Channel, kind(["email", Channel.CALL, "email", Field.EMAIL]))
    assert found == frozenset({Channel.EMAIL, Channel.CALL})
    assert isinstance(found, frozenset)
    assert {type(word) for word in found} == {Channel}


def test_vocabulary_is_the_set_of_its_words() -> None:
    """An enum itself is the set of all its words, and nothing is the empty set."""
    assert channels_of(Channel) == frozenset(Channel)
    assert fields_of(Field) == frozenset(Field)
    assert fields_of(()) == frozenset()
    assert channels_of([]) == frozenset()


BAD_IDS = {
    "empty": "",
    "257 characters": SECRET + "x" * (257 - len(SECRET)),
    "new line": f"{SECRET}\n",
    "null": f"{SECRET}\x00",
    "tab": f"\t{SECRET}",
    "delete": f"{SECRET}\x7f",
    "C1 control": f"{SECRET}\x85",
    "high surrogate": f"{SECRET}\ud83d",
    "low surrogate": f"\udcff{SECRET}",
    "space before": f" {SECRET}",
    "space behind": f"{SECRET} ",
    "no-break space before": f"\u00a0{SECRET}",
    "ideographic space behind": f"{SECRET}\u3000",
    "space alone": " ",
    "zero-width joiner": f"{SECRET}\u200d{SECRET}",
    "zero-width space": f"{SECRET}\u200b",
    "soft hyphen": f"{SECRET}\u00ad{SECRET}",
    "direction override": f"\u202e{SECRET}",
    "byte-order mark": f"\ufeff{SECRET}",
    "tag": f"{SECRET}\U000e0041",
    "private use": f"{SECRET}\ue000",
    "private use, high": f"{SECRET}\U0010fffd",
    "unassigned": f"{SECRET}\u0378",
    "noncharacter": f"{SECRET}\uffff",
    "line separator": f"{SECRET}\u2028{SECRET}",
    "paragraph separator": f"{SECRET}\u2029{SECRET}",
    "decomposed": unicodedata.normalize("NFD", SECRET),
    "compatible twin": f"{SECRET}\u212b",  # the sign of ångström, in NFC the letter
}


@each_of(TAKES_ID)
@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=list(BAD_IDS))
def test_what_is_no_id(call: Callable[[Any], object], bad: str) -> None:
    """An id that is empty, too long, or could pass for another by what nobody sees is refused and never repeated."""
    with pytest.raises(ValueError, match=r"^an id (has|holds|is) ") as caught:
        call(bad)
    told = repr(caught.value.args) + str(caught.value)
    assert SECRET not in told
    assert bad in {"", " "} or bad not in told
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ("", "an id has 1 to 256 characters, not 0"),
        ("x" * 257, "an id has 1 to 256 characters, not 257"),
        ("\n", "an id has no white space at either end"),
        ("a\nb", "an id holds no control, invisible, private or unassigned characters and no surrogates"),
        ("a\u0301", r"an id is in Unicode form NFC: pass unicodedata.normalize\('NFC', ...\) of it"),
    ],
    ids=["empty", "long", "white space", "control", "form"],
)
def test_error_says_what_is_wrong_with_an_id(bad: str, text: str) -> None:
    """The error tells the rule that the id breaks."""
    with pytest.raises(ValueError, match=f"^{text}$"):
        identifier(bad)


@each_of(TAKES_ID)
@pytest.mark.parametrize("bad", [None, 7, b"u-1", ["u-1"]], ids=lambda bad: type(bad).__name__)
def test_id_of_another_type(call: Callable[[Any], object], bad: object) -> None:
    """An id that is no string is a `TypeError`."""
    with pytest.raises(TypeError, match=f"^an id is a string, not {type(bad).__name__}$"):
        call(bad)


@each_of(TAKES_ID)
@pytest.mark.parametrize(
    "good",
    ["x", "..", "/", "x" * 256, "Nguyễn Thị Ánh Tuyết", "🎤", "🎧" * 256, "a b", "a\u00a0b", "a\u3000b", "ﬁ", "%0a"],
    ids=ascii,
)
def test_what_is_an_id(call: Callable[[Any], object], good: str) -> None:
    """An id of 1 to 256 characters may be a path, a Vietnamese name or emoji: it is taken as it is."""
    call(good)
    assert identifier(good) is good


UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
ODD_TEXTS = st.text(
    st.characters(exclude_categories=()) | st.sampled_from(" \u00a0e\u0301\u200d\ue000\u2028"), max_size=5
)


@given(ODD_TEXTS | ODD_TEXTS.map(lambda text: unicodedata.normalize("NFC", text)) | st.text(min_size=250, max_size=260))
def test_ids_are_all_texts_that_cannot_pass_for_another(text: str) -> None:
    """An id is accepted just when it has 1 to 256 visible characters, in NFC, no white space at either end."""
    seen = not any(unicodedata.category(character) in UNSEEN or _NEWER.search(character) for character in text)
    is_one = seen and 1 <= len(text) <= 256 and text == text.strip() and text == unicodedata.normalize("NFC", text)
    try:
        accepted = identifier(text) == text
    except ValueError:
        accepted = False
    assert accepted == is_one
    assert is_user_id(text) == is_one
    for texts in ([text], ["u-1", text]):
        assert are_plain(texts) == (is_one and text.isascii() and " " not in text)


@pytest.mark.parametrize("value", [None, 7, b"u-1", ["u-1"], float("nan")], ids=repr)
def test_what_is_no_text_is_no_user_id(value: object) -> None:
    """`is_user_id` answers for any value, and raises for none."""
    assert diijam_consent_sdk.is_user_id(value) is False
    assert diijam_consent_sdk.is_user_id("u-1") is True


class Text(str):
    """A string as other libraries hand it out, numpy.str_ for one: it may print as it likes."""

    __slots__ = ()

    def __str__(self) -> str:
        return "<text>"


class Stamp(datetime):
    """A datetime as other libraries hand it out, pandas.Timestamp for one."""


def test_string_of_a_subclass_is_taken_for_its_characters() -> None:
    """An id is kept as a plain string, whatever kind of string came in; a word is its member, or named as it reads."""
    for given_id in (Text("u-1"), Field.EMAIL):
        assert type(identifier(given_id)) is str
        assert identifier(given_id) == given_id
    assert identifier(Text("u-1")) == "u-1"
    assert not are_plain([Text("u-1")])
    assert Field(Text("email")) is Field.EMAIL
    with pytest.raises(ValueError, match="unknown Field 'yoga';"):
        Field(Text("yoga"))


def test_time_of_a_subclass_is_kept_plain() -> None:
    """A time is kept as a plain datetime, to the microsecond, whatever kind of datetime came in."""
    stamp = Stamp(2026, 3, 1, 7, 30, 1, 999_999, tzinfo=timezone(timedelta(hours=7)), fold=1)
    assert type(instant(stamp)) is datetime
    assert instant(stamp) == stamp
    assert instant(stamp).isoformat() == "2026-03-01T00:30:01.999999+00:00"


class AnyDatetime(type):
    """What freezegun's class is made by: every datetime is one of its instances."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class Frozen(datetime, metaclass=AnyDatetime):
    """A datetime as freezegun puts it in the place of the real one."""


def test_time_is_kept_plain_while_tests_freeze_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test's tool stands in for `datetime` in our modules, instants are still what the codec knows."""
    monkeypatch.setattr(vocabulary, "datetime", Frozen)
    monkeypatch.setattr(wire, "datetime", Frozen)
    at = Frozen(2026, 3, 1, tzinfo=UTC)
    event = e.Agreed("n-1", at)
    assert type(instant(at)) is type(event.expires_at) is datetime
    assert wire.decode_event(wire.encode_event(event)) == event


class Nowhere(tzinfo):
    """A time zone that does not know its offset: what carries it is naive."""

    def utcoffset(self, dt: datetime | None) -> None:
        """No offset."""

    def dst(self, dt: datetime | None) -> None:
        """No summer time."""

    def tzname(self, dt: datetime | None) -> None:
        """No name."""


@each_of(TAKES_INSTANT)
@pytest.mark.parametrize("zone", [None, Nowhere()], ids=["no zone", "zone without offset"])
def test_naive_time(call: Callable[[Any], object], zone: tzinfo | None) -> None:
    """A naive time is a `ValueError` that says what to pass instead."""
    with pytest.raises(
        ValueError, match=r"^an instant needs a time zone: pass an aware datetime, such as datetime.now\(UTC\)$"
    ):
        call(datetime(2026, 3, 1, tzinfo=zone))


@each_of(TAKES_INSTANT)
def test_time_of_another_zone(call: Callable[[Any], datetime]) -> None:
    """A time of another zone becomes the same instant in UTC."""
    there = datetime(2026, 3, 1, 7, 30, tzinfo=timezone(timedelta(hours=7)))
    assert call(there) == there
    assert call(there).tzinfo is UTC
    assert call(there).isoformat() == "2026-03-01T00:30:00+00:00"


@each_of(TAKES_INSTANT)
@pytest.mark.parametrize(
    "bad", [date(2026, 3, 1), "2026-03-01T00:00:00Z", 0, 1.5, timedelta(1)], ids=lambda bad: type(bad).__name__
)
def test_time_of_another_type(call: Callable[[Any], object], bad: object) -> None:
    """What is no datetime is a `TypeError`."""
    with pytest.raises(TypeError, match=f"^an instant is a datetime, not {type(bad).__name__}$"):
        call(bad)


@pytest.mark.parametrize("call", [call for name, call in TAKES_INSTANT.items() if name != "instant"])
def test_no_time_at_all(call: Callable[[Any], object]) -> None:
    """`None` is no end, and stays `None`."""
    assert call(None) is None


@each_of(TAKES_INSTANT)
@pytest.mark.parametrize(
    "bad",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=7))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-7))),
    ],
    ids=["before year 1", "after year 9999"],
)
def test_time_outside_the_calendar(call: Callable[[Any], object], bad: datetime) -> None:
    """A time that has no date in UTC is a `ValueError`."""
    with pytest.raises(ValueError, match=r"^an instant lies within the years 1 to 9999 in UTC$") as caught:
        call(bad)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("bad", [None, 0, 1, "yes"], ids=repr)
def test_erased_takes_a_flag(bad: Any) -> None:
    """`Erased.anonymised` is True or False; anything else is a `TypeError`."""
    with pytest.raises(TypeError, match=f"^True or False is needed, not {type(bad).__name__}$"):
        e.Erased(bad)


def test_an_id_is_one_on_every_python() -> None:
    """Newer Unicode has more letters. Were they taken, a no of such a customer would be refused by an older service."""
    taken = [number for number in range(sys.maxunicode + 1) if is_user_id(chr(number))]
    assert len(taken) == 143_397
    digest = hashlib.sha256(",".join(map(str, taken)).encode()).hexdigest()
    assert digest.startswith("b905c909bd29792c")
