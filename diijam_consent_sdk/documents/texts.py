"""The texts of a document in one language, with values in their places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime

import attrs

from .._html import Markup, element, join
from ..vocabulary import Language, Word
from ..wording import format_briefly, format_day, format_instant, in_vietnam, list_labels, text_in
from ..wording.numbers import format_month, format_number, format_share
from ..wording.provenance import name_language
from ..wording.texts import Pair
from .json_text import machine_month, rfc_3339

PLACE = re.compile(r"\{(\w+)\}")


@attrs.frozen
class Texts:
    """The texts of one document in one language. A key that is not there is a `KeyError`."""

    language: Language
    headings: Mapping[str, Pair] = attrs.field(repr=False)

    def __call__(self, key: str, **values: str) -> Markup:
        """Give the text of a key, with texts or elements in its places; both are escaped unless they are elements."""
        parts = PLACE.split(text_in(self.language, self.headings[key]))
        return join(values[part] if place % 2 else part for place, part in enumerate(parts))

    def labels(self, words: Iterable[Word]) -> str:
        """Name several words."""
        return list_labels(self.language, words)

    def name(self, word: Word) -> str:
        """Name a word as it stands alone, with a capital letter."""
        label = word.label(self.language)
        return label[:1].upper() + label[1:]

    def number(self, number: int) -> str:
        """Give a number with its thousands apart."""
        return format_number(self.language, number)

    def share(self, part: int, whole: int) -> str:
        """Give a part of a whole that is not 0, in percent."""
        return format_share(self.language, part, whole)

    def month(self, month: date) -> Markup:
        """Give a month, readable by machines too."""
        named = format_month(self.language, month)
        return element("time", named[:1].upper() + named[1:], datetime=machine_month(month))

    def language_name(self, tag: str) -> str:
        """Name a language, or give its tag if it has no name here."""
        return name_language(self.language, tag)

    def time(self, at: datetime) -> Markup:
        """Give an instant with its zone, readable by machines too."""
        return _time(at, format_instant(self.language, at))

    def brief_time(self, at: datetime) -> Markup:
        """Give an instant to the minute, for tables."""
        return _time(at, format_briefly(self.language, at))

    def day(self, at: datetime) -> Markup:
        """Give a day in Vietnam."""
        return element("time", format_day(self.language, at), datetime=in_vietnam(at).date().isoformat())

    def clock(self, at: datetime) -> Markup:
        """Give the time of day in Vietnam."""
        return _time(at, f"{in_vietnam(at):%H:%M:%S}")


def _time(at: datetime, shown: str) -> Markup:
    return element("time", shown, datetime=rfc_3339(at))
