"""The steps about proof, as the cases are written by hand: notices, entries and explanations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .words import NUMBERED, PLAIN, answer_from, fields, said_value, value_from

DEFAULT_TEXTS = {"vi": "Diijam xin phép bạn.", "en": "Diijam asks you."}


def _register(words: list[str]) -> dict[str, Any]:
    notice, purposes, *more = words
    given = dict(word.split("=", 1) for word in more)
    described: dict[str, Any] = {"notice": value_from("notice", notice), "purposes": value_from("purposes*", purposes)}
    described |= {name: value_from(f"{name}*", given.pop(name)) for name in ("data", "sensitive") if name in given}
    if "recipient" in given:
        described["recipient"] = given.pop("recipient")
    digest = {"digest": given.pop("digest")} if "digest" in given else {}
    if given == {"texts": "empty"}:
        return {"notice": {**described, "texts": {}}}
    texts = {language: _text(text) for language, text in given.items()}
    return {"notice": {**described, "texts": texts or DEFAULT_TEXTS}, **digest}


def _text(word: str) -> Any:
    text, times, count = word.partition("*")
    text = NUMBERED.sub(lambda found: chr(int(found[1], 16)), text)
    return {"repeat": text, "times": int(count)} if times else text


def _notice(words: list[str]) -> dict[str, Any]:
    notice, *more = words
    texts = {language: _text(text) for language, text in (word.split("=", 1) for word in more if "=" in word)}
    return {"notice": value_from("notice", notice), "is": None if more == ["null"] else {"texts": texts}}


def _entry(words: list[str]) -> dict[str, Any]:
    version, *more = words
    given = dict(word.split("=") for word in more)
    step: dict[str, Any] = {"version": int(version)}
    if "notice" in given:
        notice = given.pop("notice")
        step["notice"] = PLAIN[notice] if notice in PLAIN else value_from("notice", notice)
    return {**step, "provenance": {name: said_value(name, word) for name, word in given.items()}} if given else step


def _explain(words: list[str]) -> dict[str, Any]:
    arrow = words.index("=>") if "=>" in words else len(words)
    asked, told = words[:arrow], words[arrow + 1 :]
    at = {"at": {"in": int(asked.pop()[1:])}} if asked[-1].startswith("@") else {}
    step: dict[str, Any] = {"ask": fields(" ".join(asked)), **at}
    if not told:
        return step
    more = {name: said_value(name, word) for name, word in (word.split("=") for word in told[3:])}
    return {**step, **answer_from(" ".join(told[:3])), **({"is": more} if more else {})}


PROOF: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "register": _register,
    "notice": _notice,
    "entry": _entry,
    "explain": _explain,
    "require": lambda _: {},
}
