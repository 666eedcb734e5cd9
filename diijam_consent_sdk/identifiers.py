"""
The ids of users, recipients, notices, holds, requests and holders, and tags of languages, as they come from outside.

Two spellings that look alike would make one person two, so what can be an id is narrow.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

MAX_ID_CHARACTERS = 256
MAX_LISTED_CHARACTERS = 1_000  # of ids in one error; a service repeats no more of it
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # categories of Unicode that no id holds
# What Unicode 15.1 (Python 3.13) has and 14 (3.11) had not: an id is one on every Python, or on none.
_NEWER = re.compile(
    "[\u0cf3\u0ece\u2ffc-\u2fff\u31ef\U00010efd-\U00010eff\U0001123f-\U00011241\U00011b00-\U00011b09"
    "\U00011f00-\U00011f10\U00011f12-\U00011f3a\U00011f3e-\U00011f59\U0001342f\U00013439-\U00013455\U0001b132"
    "\U0001b155\U0001d2c0-\U0001d2d3\U0001df25-\U0001df2a\U0001e030-\U0001e06d\U0001e08f\U0001e4d0-\U0001e4f9"
    "\U0001f6dc\U0001f774-\U0001f776\U0001f77b-\U0001f77f\U0001f7d9\U0001fa75-\U0001fa77\U0001fa87-\U0001fa88"
    "\U0001faad-\U0001faaf\U0001fabb-\U0001fabd\U0001fabf\U0001face-\U0001facf\U0001fada-\U0001fadb\U0001fae8"
    "\U0001faf7-\U0001faf8\U0002b739\U0002ebf0-\U0002ee5d\U00031350-\U000323af]"
)

MAX_TAG_CHARACTERS = 35  # which RFC 5646, section 4.4.1, asks for at least
# The grammar of RFC 5646, section 2.1, without the irregular tags that were grandfathered in.
_PRIVATE = "[Xx](-[A-Za-z0-9]{1,8})+"
LANGUAGE_TAG = (
    "^(([A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?"
    "(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(-[A-WY-Za-wy-z0-9](-[A-Za-z0-9]{2,8})+)*"
    f"(-{_PRIVATE})?|{_PRIVATE})$"
)
_language_tag = re.compile(LANGUAGE_TAG)


def identifier(value: str) -> str:
    """
    Return *value* as a plain string, if it can name a user, recipient, notice, hold, request or holder. No error
    repeats it.

    Two spellings that look alike would make one person two, so an id is in form NFC and has no invisible characters.

    Raises:
        TypeError: *value* is not a string.

        ValueError: it has not 1 to 256 characters, begins or ends with white space, holds a character of the categories
            Cc, Cf, Cs, Co, Cn, Zl or Zp (control, invisible, private, unassigned) or one that Unicode 14 had not, or is
            not in Unicode form NFC.
    """
    if not isinstance(value, str):
        raise TypeError(f"an id is a string, not {type(value).__name__}")
    value = str.__str__(value)  # a subclass (numpy.str_, an enum) may compare and print in another way
    if not 1 <= len(value) <= MAX_ID_CHARACTERS:
        raise ValueError(f"an id has 1 to {MAX_ID_CHARACTERS} characters, not {len(value)}")
    if value.strip() != value:
        raise ValueError("an id has no white space at either end")
    is_unseen = not value.isprintable() and not _UNSEEN.isdisjoint(map(unicodedata.category, value))
    if is_unseen or (not value.isascii() and _NEWER.search(value)):
        raise ValueError("an id holds no control, invisible, private or unassigned characters and no surrogates")
    if not value.isascii() and not unicodedata.is_normalized("NFC", value):
        raise ValueError("an id is in Unicode form NFC: pass unicodedata.normalize('NFC', ...) of it")
    return value


def list_ids(ids: Sequence[str]) -> str:
    """
    Name ids in an error: as many as 1,000 characters take, then how many more there are.

    A user may have a thousand of them, and one call a thousand errors that each name them all.
    """
    lengths = accumulate(len(each) + len(", ") for each in ids)
    named = sum(length <= MAX_LISTED_CHARACTERS for length in lengths)
    names = ", ".join(ids[:named])
    return names if named == len(ids) else f"{names} and {len(ids) - named:,} more"


def optional_identifier(value: str | None) -> str | None:
    """Return an id as `identifier` does, and raise what it raises; None stays None."""
    return None if value is None else identifier(value)


def are_plain(values: list[Any]) -> bool:
    """
    Whether the values are ids of visible ASCII characters, as most are, found out together in a fifth of the time that
    `identifier` takes for each. False says nothing of them.
    """
    if not set(map(type, values)) <= {str}:
        return False
    joined = " ".join(values)
    is_visible = joined.isascii() and joined.isprintable() and joined.count(" ") < max(1, len(values))
    return is_visible and all(1 <= length <= MAX_ID_CHARACTERS for length in set(map(len, values)))


def is_user_id(value: object) -> bool:
    """
    Whether *value* can name a user: a string of 1 to 256 visible characters in Unicode form NFC, with no white space at
    either end. Raises nothing.
    """
    try:
        return bool(identifier(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def language_tag(value: str) -> str:
    """
    Return *value* as a plain string, if it is a well-formed BCP 47 tag such as `vi` or `en-GB`.

    Raises:
        TypeError: *value* is not a string.

        ValueError: it is no such tag, or has more than 35 characters.
    """
    if not isinstance(value, str):
        raise TypeError(f"a language is a string, not {type(value).__name__}")
    value = str.__str__(value)
    if len(value) > MAX_TAG_CHARACTERS or _language_tag.fullmatch(value) is None:
        raise ValueError("a language is a BCP 47 tag, such as vi or en-GB")
    return value
