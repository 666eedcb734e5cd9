"""
The closed vocabulary of the policy, and the checks of words and instants that come from outside.

Members and their plain strings are interchangeable everywhere. A word that is not here permits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum, auto
from typing import Literal, TypeVar

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")
# By vocabulary and word, in the order of `LANGUAGES`. `policy` fills it, beside the wording of the answers.
LABELS: dict[type[StrEnum], Mapping[str, tuple[str, str]]] = {}
_PLAIN, _combine = frozenset({datetime}), datetime.combine  # the real ones: the codec refuses the class of freezegun


class Word(StrEnum):
    """A closed vocabulary: `Purpose("email")` is the member, or a `ValueError` that lists the known words."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        if not isinstance(value, str):
            raise TypeError(f"{cls.__name__} takes a word, not {type(value).__name__}")
        raise ValueError(f"unknown {cls.__name__} {str.__str__(value)[:40]!r}; known: {', '.join(cls)}")

    def label(self, language: Language) -> str:
        """
        Name the word as a customer reads it.

        Args:
            language: "vi" or "en".

        Raises:
            ValueError: the language is another.

            KeyError: the vocabulary is for programs alone and has no labels (`Account`, `RequestState`).
        """
        if language not in LANGUAGES:
            raise ValueError("a label is in 'vi' or 'en'")
        return LABELS[type(self)][self][LANGUAGES.index(language)]


class Purpose(Word):
    """What data may be processed for: clause 4, and the duties of clauses 1, 2 and 6."""

    SERVICE_IMPROVEMENT = auto()
    SERVICE_DEVELOPMENT = auto()
    MARKETING = auto()
    TROUBLESHOOTING = auto()
    TECHNOLOGY_DEVELOPMENT = auto()
    PAYMENT = auto()
    FRAUD_DETECTION = auto()
    CONTESTS = auto()
    SURVEYS = auto()
    SERVICE_OPERATION = auto()
    LEGAL_OBLIGATION = auto()
    DISPUTE_RESOLUTION = auto()
    DEBT_SETTLEMENT = auto()
    RIGHTS_HANDLING = auto()


class Channel(Word):
    """How marketing may reach a customer: clause 4."""

    EMAIL = auto()
    NOTIFICATION = auto()
    MESSAGE = auto()
    CALL = auto()


class Field(Word):
    """A kind of personal data. Which of them a customer may publish is in `policy.PUBLISHABLE`: clause 7."""

    FULL_NAME = auto()
    USERNAME = auto()
    AVATAR = auto()
    FOLLOWER_COUNT = auto()
    FOLLOWERS = auto()
    RECENTLY_FOLLOWED_ARTISTS = auto()
    EMAIL = auto()
    PHONE = auto()
    ADDRESS = auto()
    BIRTH_DATE = auto()
    GENDER = auto()
    LOCATION = auto()
    DEVICE = auto()
    PAYMENT = auto()
    LISTENING_HISTORY = auto()
    LINKED_ACCOUNT = auto()


class Origin(Word):
    """Where an account came from. It never changes an answer, all are protected alike: clause 3."""

    DIRECT = auto()
    FACEBOOK = auto()
    GOOGLE = auto()


class HoldKind(Word):
    """Why data must be kept although it would otherwise go: clause 6."""

    DEBT = auto()
    DISPUTE = auto()
    LEGAL = auto()
    TAX = auto()
    ACCOUNTING = auto()
    AUDIT = auto()


class RequestKind(Word):
    """What a customer may ask of Diijam: clauses 1 and 2."""

    ACCESS = auto()
    RECTIFICATION = auto()
    ERASURE = auto()
    COMPLAINT = auto()


class Outcome(Word):
    """How a request ended."""

    FULFILLED = auto()
    REFUSED = auto()
    CANCELLED = auto()


class Method(Word):
    """How a customer's word reached Diijam. No answer depends on it."""

    APP = auto()
    WEB = auto()
    LINK = auto()  # a signed link
    EMAIL = auto()
    MESSAGE = auto()  # a text message
    CALL = auto()  # a recorded call
    WRITING = auto()  # on paper
    STAFF = auto()  # typed in by support
    IMPORT = auto()  # collected before this ledger
    SYSTEM = auto()


class RequestState(Word):
    """How an open request stands to its deadlines: clause 2."""

    ON_TRACK = auto()
    DUE_SOON = auto()  # less than a quarter of the time from receipt is left
    OVERDUE = auto()


class Account(Word):
    """Where a user stands with Diijam."""

    UNKNOWN = auto()
    OPEN = auto()
    CLOSED = auto()
    ERASED = auto()


class Reason(Word):
    """Why a decision is what it is. Clause and wording of each: `policy.WORDING`."""

    UNAVAILABLE = auto()
    STALE = auto()
    NOT_ENTITLED = auto()
    UNKNOWN_USER = auto()
    ERASED = auto()
    NOT_PUBLISHABLE = auto()
    IN_SERVICE = auto()
    HELD = auto()
    NO_DUTY = auto()
    ERASURE_REQUESTED = auto()
    ACCOUNT_CLOSED = auto()
    RESTRICTED = auto()
    OBJECTED = auto()
    PUBLISHED = auto()
    NOT_PUBLISHED = auto()
    AGREED = auto()
    BEYOND_NOTICE = auto()
    NOT_AGREED = auto()
    NOT_NOTIFIED = auto()
    NEEDED_FOR_SERVICE = auto()
    CONSENTED = auto()
    WITHDRAWN = auto()
    EXPIRED = auto()
    NOT_CONSENTED = auto()


Member = TypeVar("Member", bound=Word)


def words(vocabulary: type[Member], values: Iterable[str]) -> frozenset[Member]:
    """Return the set of words that *values* names. A bare string, bytes, a mapping or no iterable is a `TypeError`."""
    if isinstance(values, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"a set of {vocabulary.__name__} is needed, not {type(values).__name__}")
    return frozenset(map(vocabulary, values))


def channels_of(values: Iterable[str]) -> frozenset[Channel]:
    """Return the set of channels that *values* names; errors as in `words`."""
    return words(Channel, values)


def fields_of(values: Iterable[str]) -> frozenset[Field]:
    """Return the set of fields that *values* names; errors as in `words`."""
    return words(Field, values)


def instant(value: datetime) -> datetime:
    """
    Return *value* in UTC, as a plain datetime.

    Raises:
        TypeError: *value* is not a datetime.

        ValueError: it is naive, or lies outside the years 1 to 9999 in UTC.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"an instant is a datetime, not {type(value).__name__}")
    if type(value) in _PLAIN and value.tzinfo is UTC:  # most are, and the rest takes five times as long
        return value
    if value.utcoffset() is None:
        raise ValueError("an instant needs a time zone: pass an aware datetime, such as datetime.now(UTC)")
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant lies within the years 1 to 9999 in UTC") from None
    return _combine(utc.date(), utc.time(), UTC)  # of a subclass such as pandas.Timestamp, what JSON can hold
