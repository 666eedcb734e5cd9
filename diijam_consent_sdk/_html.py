"""
HTML elements, built so that no text can become markup, and pages on which a browser runs and fetches nothing.

A string that is put into an element is always escaped; only what `element` made is taken as it is.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
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

        attributes: By name, `class_` for `class` and `_` for `-`. Those that are empty are left out. Of markup the
            quotes are escaped, so that none ends the value.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_in_quotes(value)}"' for key, value in attributes.items() if value
    )
    end = "" if tag in VOID else f"{join(children)}</{tag}>"
    return Markup(f"<{tag}{given}>{end}")


def _in_quotes(value: str) -> str:
    return value.replace('"', "&quot;") if isinstance(value, Markup) else text(value)


def content_policy(style: str, form_action: str = "'none'") -> str:
    """Make the policy by which a browser takes this style and nothing else, and sends forms to *form_action*."""
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; form-action {form_action}; base-uri 'none'"


def page(title: str, body: Markup, style: str, *, language: str, policy: str) -> str:
    """Make a whole page of a body, its style inline, and the policy that a browser holds it to."""
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        element("style", Markup(style)),
    )
    return f"<!doctype html>\n{element('html', element('head', *head), element('body', body), lang=language)}\n"
