"""
Notices: the exact words that customers were shown, what they name, and a digest by which they can be proved.

A consent proves little if nobody can tell what the customer read. A notice is registered in a ledger once and never
changed, and each entry that names it keeps its digest. The rules are those of the policy's "Notices".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

import attrs
from attrs import converters

from . import events as e
from .identifiers import identifier, language_tag
from .policy import SENSITIVE
from .vocabulary import Field, Purpose, fields_of, words

MAX_LANGUAGES = 8  # of one notice
MAX_TEXT_BYTES = 65_536  # of one text, in UTF-8
SHOW_OTHERS = "register words that say so under a new id, show them, and name that id"
NEW_ID = "register the changed text under a new id, and name that"


def _texts(values: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(values, Mapping):
        raise TypeError(f"texts map a language to its text: a {type(values).__name__} is none")
    texts = {language_tag(language): _text(text) for language, text in values.items()}
    if not 1 <= len(texts) <= MAX_LANGUAGES:
        raise ValueError(f"a notice has texts in 1 to {MAX_LANGUAGES} languages, not {len(texts)}")
    if len({language.lower() for language in texts}) < len(texts):
        raise ValueError("a notice has one text in each language: two tags differ in case alone")
    return texts


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is a string, not {type(value).__name__}")
    value = str.__str__(value)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("a text holds half of a character (a lone surrogate): decode it from UTF-8") from None
    if not 1 <= size <= MAX_TEXT_BYTES:
        raise ValueError(f"a text has 1 to {MAX_TEXT_BYTES:,} bytes of UTF-8, not {size:,}")
    return value


def _purposes(values: Iterable[str]) -> frozenset[Purpose]:
    purposes = words(Purpose, values)
    if not purposes:
        raise ValueError("a notice names at least one purpose")
    return purposes


@attrs.frozen
class NoticeText:
    """
    The words that customers are shown, and what they name: purposes, data, and the recipient of the data.

    Args:
        notice: The id, which consents and sharings name. A changed text is a new id.

        texts: The exact text in each language, by BCP 47 tag: 1 to 8 of them, each 1 to 65,536 bytes of UTF-8.

        purposes: At least one.

        data: The fields that the words name.

        recipient: The recipient of a sharing. A notice without a recipient cannot be sent as `Notified`.

        sensitive: Which of the fields the words call sensitive. `policy.SENSITIVE` among the data have to be here.

    Raises:
        ValueError: an id, a tag or a word is malformed, a text is too long or empty, or there are too many or none.

        TypeError: a value has another type.
    """

    notice: str = attrs.field(converter=identifier)
    texts: Mapping[str, str] = attrs.field(converter=_texts, hash=False, repr=lambda texts: f"<{', '.join(texts)}>")
    purposes: frozenset[Purpose] = attrs.field(converter=_purposes)
    data: frozenset[Field] = attrs.field(converter=fields_of, default=())
    recipient: str | None = attrs.field(converter=converters.optional(identifier), default=None)
    sensitive: frozenset[Field] = attrs.field(converter=fields_of, default=())

    def content(self) -> dict[str, str | list[str] | dict[str, str] | None]:
        """Return the notice as plain values: all six keys, sets as sorted lists."""
        return {
            "notice": self.notice,
            "texts": dict(self.texts),
            "purposes": sorted(map(str, self.purposes)),
            "data": sorted(map(str, self.data)),
            "recipient": self.recipient,
            "sensitive": sorted(map(str, self.sensitive)),
        }

    def canonical(self) -> bytes:
        """Return the RFC 8785 JSON of the content, of which the digest is taken."""
        return canonical_json(self.content())

    @property
    def digest(self) -> str:
        """The SHA-256 of `canonical`, in hex: the same for the same content in every program."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def terms(self) -> NoticeTerms:
        """Return what the notice names, with its digest, without the words."""
        return NoticeTerms(self.digest, self.purposes, self.data, self.recipient, self.sensitive)


Json = str | list[str] | dict[str, "Json"] | None


def canonical_json(value: Mapping[str, object] | Json) -> bytes:
    """
    Encode strings, lists of strings, objects and null as RFC 8785 does: no space, keys in the order of their UTF-16
    code units, only `"`, the backslash and control characters below U+0020 escaped.
    """
    return json.dumps(_in_order(value), ensure_ascii=False, separators=(",", ":")).encode()


def _in_order(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {key: _in_order(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}


@attrs.frozen
class RegisteredNotice:
    """A notice as a ledger keeps it: its digest, the store's time of the registration in UTC, and the writer."""

    text: NoticeText
    digest: str
    registered_at: datetime
    by: str | None


@attrs.frozen
class NoticeTerms:
    """What a notice names, with the digest of the whole notice: what refusals and entries need, without the words."""

    digest: str
    purposes: frozenset[Purpose]
    data: frozenset[Field]
    recipient: str | None
    sensitive: frozenset[Field]


@attrs.frozen
class NoticeRegistry:
    """The registered notices that some events name, by id, and whether the ledger requires notices."""

    terms: Mapping[str, NoticeTerms] = MappingProxyType({})
    is_required: bool = False

    def digest_for(self, event: e.Event) -> str | None:
        """Return the digest of the registered notice that *event* names; None if it names none that is registered."""
        known = self.terms.get(event.notice) if isinstance(event, NAMING) else None
        return None if known is None else known.digest


NAMING = (e.Granted, e.Notified, e.Agreed)  # the events that keep the digest of the notice that they name
UNREGISTERED = NoticeRegistry()


def named_notices(events: Iterable[e.Event]) -> list[str]:
    """List the ids of notices that refusals and digests of *events* depend on. No event that only says no has one."""
    return list(dict.fromkeys(event.notice for event in events if isinstance(event, NAMING)))


def registering_refusal(text: NoticeText) -> str | None:
    """Return why the policy refuses to register *text*, or None."""
    unnamed = sorted((text.data & SENSITIVE) - text.sensitive)
    if not unnamed:
        return None
    return f"its data is sensitive by law: name {', '.join(unnamed)} in `sensitive`, and as such in the words shown"


def notice_refusals(event: e.Event, notices: NoticeRegistry) -> Iterator[tuple[bool, str]]:
    """Yield the tests of an event against the registered notice that it names, each with its reason."""
    if not isinstance(event, (e.Granted, e.Notified)):
        return
    terms = notices.terms.get(event.notice)
    if terms is None:
        yield notices.is_required, "this ledger requires notices: register the text under this id before it is named"
        return
    if isinstance(event, e.Notified):
        yield terms.recipient is None, f"the registered notice names no recipient: {SHOW_OTHERS}"
        yield terms.recipient != event.recipient, f"the registered notice names another recipient: {SHOW_OTHERS}"
        yield not event.data <= terms.data, f"the registered notice names less data: {SHOW_OTHERS}"
    yield event.purpose not in terms.purposes, f"the registered notice does not name {event.purpose}: {SHOW_OTHERS}"
