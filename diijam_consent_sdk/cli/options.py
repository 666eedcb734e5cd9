"""
Options that several commands share: the ask, the language, and checks of what an ask or event takes.

Which options exist is read off the attrs fields of the asks and events, so a new field is an option at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from textwrap import fill
from typing import Annotated, Any, get_args

import attrs
from cyclopts import Parameter

from ..decisions import Ask, Process
from ..stores.answers import Cursor
from ..stores.url import ACTOR_VARIABLE
from ..vocabulary import Channel, Field, Purpose

Actor = Annotated[
    str,
    Parameter(
        name="--actor",
        env_var=ACTOR_VARIABLE,
        help="Who writes, as the ledger names it: an opaque id, no personal data. A consent service puts the name of"
        " its token in this place.",
    ),
]
DEFAULT_ACTOR = "cli"

Json = Annotated[bool, Parameter(name="--json", help="One JSON object, for machines.")]

ASKS: Mapping[str, type[Ask]] = {kind.__name__.lower(): kind for kind in get_args(Ask)}

AskName = Annotated[str, Parameter(help=f"What is asked: {', '.join(ASKS)}.")]
Subject = Annotated[
    str | None,
    Parameter(
        help="The CHANNEL to market over, the RECIPIENT to share with, the FIELD to show or retain,"
        " or the PURPOSE to process for.",
    ),
]


def _list_words(name: str, words: Iterable[str]) -> str:
    return fill(", ".join(words), width=78, initial_indent=f"{name:<10}", subsequent_indent=" " * 10)


SYNTAX = f"""\
What can be asked:
  market CHANNEL     [--data FIELD ...]
  share RECIPIENT    --purpose PURPOSE --data FIELD ...
  show FIELD
  process PURPOSE    [--data FIELD ... | --no-data]
  retain FIELD

{_list_words("CHANNEL", Channel)}
{_list_words("FIELD", Field)}
{_list_words("PURPOSE", Purpose)}
"""


@attrs.frozen(kw_only=True)
class AskOptions:
    """The options of all asks together."""

    data: Annotated[
        list[str] | None,
        Parameter(help="A field that is touched (market, process) or handed over (share). Repeat it for more."),
    ] = None
    no_data: Annotated[
        bool, Parameter(help="process: no personal data is touched. Without --data, any of it may be.")
    ] = False
    purpose: Annotated[str | None, Parameter(help="share: what the recipient does with the data.")] = None


def parse_ask(name: str, subject: str | None, options: AskOptions | None) -> Ask:
    """
    Make an ask from the words and options of a command line.

    Raises:
        ValueError: the ask is unknown, a word or option is missing or too much, or a word is not in its vocabulary.
    """
    kind = ASKS.get(name)
    if kind is None:
        raise ValueError(f"unknown ask {name[:40]!r}; known: {', '.join(ASKS)}")
    first, *others = attrs.fields(kind)
    if subject is None:
        raise ValueError(f"what about? Write: {name} {first.name.upper()}")
    if kind is Process and subject == Purpose.MARKETING:
        raise ValueError("marketing goes over a channel, so write: market CHANNEL")
    given = _given_fields(kind, name, options or AskOptions())
    check_options(name, others, given)
    return kind(**{first.name: subject, **given})


def _given_fields(kind: type[Ask], name: str, options: AskOptions) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if options.data is not None:
        given["data"] = options.data
    if options.purpose is not None:
        given["purpose"] = options.purpose
    if options.no_data:
        if kind is not Process:
            raise ValueError(f"{name} has no --no-data: only process has")
        if given.get("data"):
            raise ValueError("either --data or --no-data: both at once make no sense")
        given["data"] = ()
    return given


def option_name(field: str) -> str:
    """Spell a field as an option: `expires_at` is `--expires-at`, `channels` the repeatable `--channel`."""
    return "--" + {"channels": "channel"}.get(field, field).replace("_", "-")


def missing_fields(fields: Collection[attrs.Attribute[Any]], given: Collection[str]) -> list[str]:
    """List the fields that have no default and are not given."""
    return [field.name for field in fields if field.default is attrs.NOTHING and field.name not in given]


def check_options(name: str, fields: Collection[attrs.Attribute[Any]], given: Collection[str]) -> None:
    """
    Check the options given for an ask or event against its fields.

    Args:
        name: The name of the ask or event, for the error.

        fields: Its fields.

        given: The names of the fields that options give.

    Raises:
        ValueError: it has no such option, or lacks one.
    """
    known = [field.name for field in fields]
    foreign = [field for field in given if field not in known]
    if foreign:
        options = ", ".join(map(option_name, known)) or "no options"
        raise ValueError(f"{name} has no {option_name(foreign[0])}; it has: {options}")
    missing = missing_fields(fields, given)
    if missing:
        raise ValueError(f"{name} needs {' and '.join(map(option_name, missing))}")


def check_token(option: str, token: str) -> None:
    """Raise `ValueError`, which names *option*, unless *token* is a place in a ledger."""
    try:
        Cursor.parse(token)
    except ValueError:
        raise ValueError(f"{option} is no token: pass a token as it was printed") from None


def parse_time(field: str, text: str) -> datetime:
    """
    Parse the time that an option gives.

    Raises:
        ValueError: the text is not a time, or names no time zone.
    """
    example = "write it like 2027-01-31T00:00:00+07:00"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{option_name(field)} {text[:40]!r} is no time: {example}") from None
    if at.utcoffset() is None:
        raise ValueError(f"{option_name(field)} {text!r} names no time zone: {example}")
    return at
