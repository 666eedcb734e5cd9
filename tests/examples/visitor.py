"""A store that can be made to fail, and a visitor who fills in the forms of a centre over it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import attrs
from litestar.testing import TestClient

from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.stores.protocol import Appended


class FailingStore(MemoryStore):
    """A ledger in memory; `failure`, once set, is what its appends raise, and with `all_fail` every call."""

    failure: Exception | None = None
    all_fail = False

    def append(self, *arguments: Any, **options: Any) -> Appended:
        """See `Store.append`."""
        if self.failure is not None:
            raise self.failure
        return super().append(*arguments, **options)

    def load(self, user_ids: Any) -> Any:
        """See `Store.load`."""
        if self.failure is not None and self.all_fail:
            raise self.failure
        return super().load(user_ids)

    def open_requests(self, *arguments: Any, **options: Any) -> Any:
        """See `Store.open_requests`."""
        if self.failure is not None and self.all_fail:
            raise self.failure
        return super().open_requests(*arguments, **options)


class Forms(HTMLParser):
    """Finds the forms of a page, each with the fields that its button sends."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.buttons: dict[str, tuple[str, dict[str, str]]] = {}
        self.locked: set[str] = set()
        self.on: dict[str, bool] = {}
        self._action = self._select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """One tag."""
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._action = given["action"]
            self.forms.append({})
        elif tag == "input":
            if given.get("type") != "radio" or "checked" in given:
                self.forms[-1][given["name"]] = given["value"]
        elif tag == "select":
            self._select = given["name"]
            self.forms[-1][self._select] = ""
        elif tag == "option" and "selected" in given:
            self.forms[-1][self._select] = given["value"]
        elif tag == "button":
            own = {given["name"]: given["value"]} if "name" in given else {}
            key = given.get("id") or f"{given['name']}-{given['value']}"
            self.buttons[key] = (self._action, {**self.forms[-1], **own})
            if "disabled" in given:
                self.locked.add(key)
            if given.get("role") == "switch":
                self.on[key] = given["aria-checked"] == "true"


@attrs.define
class Visitor:
    """Somebody who opens pages and presses their buttons."""

    http: TestClient[Any]
    html: str = ""
    status: int = 0
    path: str = ""

    def open(self, path: str) -> Forms:
        """Open a page."""
        return self._took(self.http.get(path))

    def press(self, key: str, **changed: str) -> Forms:
        """Press a button of the page, its form as it stands or *changed*."""
        action, form = self.page().buttons[key]
        return self.send(action, {**form, **changed})

    def send(self, action: str, form: dict[str, str]) -> Forms:
        """Send a form."""
        return self._took(self.http.post(action, data=form))

    def page(self) -> Forms:
        """The buttons of the page that is open."""
        forms = Forms()
        forms.feed(self.html)
        return forms

    def note(self) -> str:
        """What came of the last form."""
        found = re.search(r'id="note"[^>]*>(.*?)</p>', self.html, re.DOTALL)
        return found.group(1) if found else ""

    def answers(self) -> dict[str, str]:
        """The services' answers, by ask."""
        return dict(re.findall(r'data-ask="(\w+)" data-answer="(\w+)"', self.html))

    def sign_in(self, who: int = 0, language: str = "en") -> Forms:
        """Be one of the customers."""
        self.open("/")
        if language == "en":
            self.press("language-en")
        return self.press(f"who-{who}")

    def _took(self, answer: Any) -> Forms:
        self.html, self.status, self.path = answer.text, answer.status_code, answer.url.path
        return self.page()
