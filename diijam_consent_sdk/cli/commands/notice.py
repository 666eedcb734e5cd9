"""
`diijam-consent notice`: register the words that customers are shown, list them, and show one.

A consent is worth what its words are worth; registered, they can be proved years later.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from ...identifiers import identifier
from ...notices import MAX_TEXT_BYTES, NoticeText, RegisteredNotice
from ...stores import wire
from ...stores.message_fields import MAX_BODY_BYTES
from ..console import format_time, print_json, print_result, print_table
from ..input import BOM, open_input
from ..options import DEFAULT_ACTOR, Actor, Json
from ..store import Url, make_client, open_store

HELP = "Register the exact words that customers are shown, list them, and show one."

USAGE = """\
notice add ID --text LANGUAGE=WORDS --purpose PURPOSE [OPTIONS]
       diijam-consent notice add --file FILE"""

ADD_EXAMPLES = """\
Examples:
  diijam-consent notice add promo-2026-11 --text vi=@vi.txt --text en=@en.txt \\
      --purpose marketing --data email
  diijam-consent notice add --file notice.json

A file:
  {"notice": "n-7", "texts": {"vi": "…", "en": "…"}, "purposes": ["marketing"],
   "data": ["email"], "recipient": "acme-records", "sensitive": []}
"""
LIST_EXAMPLES = """\
Examples:
  diijam-consent notice list
  diijam-consent notice list --json | jq -r '.notices[].notice'
"""
SHOW_EXAMPLES = """\
Examples:
  diijam-consent notice show promo-2026-11
  diijam-consent notice show promo-2026-11 --lang vi
"""
NoticeId = Annotated[str, Parameter(help="The id of the notice.")]


class NoticeFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `--file`."""

    notice: str
    texts: dict[str, str]
    purposes: list[str]
    data: list[str] = msgspec.field(default_factory=list)
    recipient: str | None = None
    sensitive: list[str] = msgspec.field(default_factory=list)


def add(
    notice: Annotated[str | None, Parameter(help="The id of the notice, which consents name.")] = None,
    /,
    *,
    text: Annotated[
        list[str] | None,
        Parameter(help="LANGUAGE=WORDS, or LANGUAGE=@FILE with the words in a file. Repeat it for each language."),
    ] = None,
    purpose: Annotated[list[str] | None, Parameter(help="A purpose that the words name. Repeat it for more.")] = None,
    data: Annotated[list[str] | None, Parameter(help="A field that the words name. Repeat it for more.")] = None,
    recipient: Annotated[str | None, Parameter(help="The recipient of a sharing.")] = None,
    sensitive: Annotated[
        list[str] | None, Parameter(help="A field that the words call sensitive. Repeat it for more.")
    ] = None,
    file: Annotated[
        str | None, Parameter(help="All of it as one JSON object; - reads standard input.", allow_leading_hyphen=True)
    ] = None,
    actor: Actor = DEFAULT_ACTOR,
    url: Url = None,
) -> int:
    """
    Register a notice: its id, the exact words in each language, and what they name. A missing database is made.

    A registered notice is never changed: the same content again changes nothing, and a changed text is a new id.

    Exit status: 0 it is registered, 2 it is not.

    Returns:
        The exit status.

    Raises:
        InvalidEvent: other content is registered under the id, or a sensitive field is not named as such.

        StoreError: the store failed.

        ValueError, OSError: what was typed, or what a file holds, makes no notice or cannot be read.
    """
    options = {"texts": text, "purposes": purpose, "data": data, "recipient": recipient, "sensitive": sensitive}
    if file is not None:
        if (notice, *options.values()) != (None,) * 6:
            raise ValueError("--file has all of the notice: only --url goes with it")
        words = _read_file(file)
    elif notice is None or not text or not purpose:
        raise ValueError("which words? Write: notice add ID --text vi=@vi.txt --purpose PURPOSE, or --file notice.json")
    else:
        given = {name: value for name, value in options.items() if value is not None}
        words = NoticeText(notice, **{**given, "texts": _read_texts(text)})  # type: ignore[arg-type]  # checked there
    with open_store(url, create=True) as store:
        _print_notice(store.register_notice(words, by=identifier(actor)))
    return 0


def _read_texts(given: Iterable[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for item in given:
        language, equals, words = item.partition("=")
        if not equals:
            raise ValueError(f"--text names a language and its words: write --text vi=@vi.txt, not {item[:40]!r}")
        if language in texts:
            raise ValueError(f"--text {language[:40]} is given twice")
        texts[language] = _decode(_read(words[1:], MAX_TEXT_BYTES)) if words.startswith("@") else words
    return texts


def _read_file(source: str) -> NoticeText:
    try:
        fields = wire.read(_read(source, MAX_BODY_BYTES), NoticeFile)
    except wire.Malformed as error:
        known = ", ".join(NoticeFile.__struct_fields__)
        raise ValueError(f"the file holds no notice ({error}): write a JSON object with {known}") from None
    return NoticeText(**msgspec.structs.asdict(fields))


def _read(source: str, most: int) -> bytes:
    with open_input(source) as stream:
        data = stream.read(most + 1 + len(BOM)).removeprefix(BOM)  # which is no part of the words
    if len(data) > most:
        raise ValueError(f"a file has more than {most:,} bytes: {Path(source).name!r}")
    return data


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError("a text is not in UTF-8: save it as UTF-8 text") from None


def list_(*, as_json: Json = False, url: Url = None) -> int:
    """
    List the registered notices, in order of their ids, without their words.

    Exit status: 0 they are listed, even if no notice is registered; 2 they could not be read.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.
    """
    with open_store(url) as store, make_client(store) as client:
        notices = client.notices()
    if as_json:
        print_json(wire.encode({"notices": [_to_json(notice) for notice in notices]}))
        return 0
    columns = ("notice", "registered at", "by", "languages", "purposes", "recipient", "digest")
    print_table(columns, (tuple(map(_format, _row(notice))) for notice in notices))
    return 0


def show(
    notice: NoticeId,
    /,
    *,
    lang: Annotated[str | None, Parameter(help="Show the words in this language alone.")] = None,
    as_json: Json = False,
    url: Url = None,
) -> int:
    """
    Show a registered notice: what it names, when and by whom it was registered, its digest, and the exact words.

    Exit status: 0 it is shown, 2 the id is not registered, or the notice has no text in this language.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.

        ValueError: there is no such notice, or it has no text in this language.
    """
    with open_store(url) as store, make_client(store) as client:
        found = client.notice(notice)
    if found is None:
        raise ValueError("no notice is registered under this id: see diijam-consent notice list")
    texts = found.text.texts
    if lang is not None and lang not in texts:
        raise ValueError(f"this notice has no text in that language: it has {', '.join(sorted(texts))}")
    shown = sorted(texts) if lang is None else [lang]
    if as_json:
        print_json(wire.encode({**_to_json(found), "texts": {tag: texts[tag] for tag in shown}}))
        return 0
    _print_notice(found)
    for tag in shown:
        print_result("", f"[{tag}]", *texts[tag].splitlines())
    return 0


def _print_notice(notice: RegisteredNotice) -> None:
    names = ("notice", "registered", "by", "languages", "purposes", "recipient", "digest")
    print_result(*(f"{name:<10}  {_format(value)}" for name, value in zip(names, _row(notice), strict=True)))
    for name, fields in (("data", notice.text.data), ("sensitive", notice.text.sensitive)):
        if fields:
            print_result(f"{name:<10}  {_format(fields)}")


def _row(notice: RegisteredNotice) -> tuple[object, ...]:
    text = notice.text
    return (
        text.notice, notice.registered_at, notice.by, text.texts.keys(), text.purposes, text.recipient, notice.digest,
    )  # fmt: skip


def _format(value: object) -> str:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(sorted(value))
    return "-" if value is None else str(value)


def _to_json(notice: RegisteredNotice) -> dict[str, Any]:
    content: dict[str, Any] = {**notice.text.content(), "languages": sorted(notice.text.texts)}
    del content["texts"]
    return {**content, "digest": notice.digest, "registered_at": notice.registered_at, "by": notice.by}
