"""
HTML elements, built so that no text can become markup.

A string that is put into an element is always escaped; only what `element` made is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

VOID = frozenset({"meta"})  # elements that have no end tag
# Control characters but tabs and line ends: HTML has no way to write them, so each is shown as its Unicode picture.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_C1 = re.compile(r"[\x80-\x9f]")


class Markup(str):
    """HTML that needs no more escaping. Only this module makes it."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Escape a text, as content or as the value of an attribute."""
    visible = _CONTROLS.sub(_picture, value.replace("\r\n", "\n").replace("\r", "\n"))
    return Markup(escape(_C1.sub("\ufffd", visible)))


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2421 if code == 0x7F else 0x2400 + code)


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """Put parts in a row, each escaped unless it is markup."""
    return Markup(separator.join(part if isinstance(part, Markup) else text(part) for part in parts))


def element(tag: str, /, *children: str, **attributes: str) -> Markup:
    """
    Build an element.

    Args:
        tag: Its name.

        children: Texts and elements, in order.

        attributes: By name, `class_` for `class` and `_` for `-`. Those that are empty are left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items() if value
    )
    end = "" if tag in VOID else f"{join(children)}</{tag}>"
    return Markup(f"<{tag}{given}>{end}")
