"""Asks as people type them: `market email`, `share acme --purpose marketing --data email`, `show avatar`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import fill
from typing import Annotated, Any, get_args

import attrs
from cyclopts import Parameter

from ..decisions import Ask, Process
from ..vocabulary import Channel, Field, Purpose
from .options import check_options

ASKS: Mapping[str, type[Ask]] = {kind.__name__.lower(): kind for kind in get_args(Ask)}

AskName = Annotated[str, Parameter(help=f"What is asked: {', '.join(ASKS)}.")]
Subject = Annotated[
    str | None,
    Parameter(
        help="The CHANNEL to market over, the RECIPIENT to share with, the FIELD to show or retain,"
        " or the PURPOSE to process for.",
    ),
]


def _listed(name: str, words: Iterable[str]) -> str:
    return fill(", ".join(words), width=78, initial_indent=f"{name:<10}", subsequent_indent=" " * 10)


SYNTAX = f"""\
What can be asked:
  market CHANNEL     [--data FIELD ...]
  share RECIPIENT    --purpose PURPOSE --data FIELD ...
  show FIELD
  process PURPOSE    [--data FIELD ... | --no-data]
  retain FIELD

{_listed("CHANNEL", Channel)}
{_listed("FIELD", Field)}
{_listed("PURPOSE", Purpose)}
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


Options = Annotated[AskOptions | None, Parameter(name="*")]


def ask_from(name: str, subject: str | None, options: AskOptions | None) -> Ask:
    """
    The ask that these words mean.

    Raises:
        ValueError: there is no such ask, it lacks a word or option or has it not, or a word is not in its vocabulary.
    """
    kind = ASKS.get(name)
    if kind is None:
        raise ValueError(f"unknown ask {name[:40]!r}; known: {', '.join(ASKS)}")
    first, *others = attrs.fields(kind)
    if subject is None:
        raise ValueError(f"what about? Write: {name} {first.name.upper()}")
    given = _given(kind, name, options or AskOptions())
    check_options(name, others, given)
    return kind(**{first.name: subject, **given})


def _given(kind: type[Ask], name: str, options: AskOptions) -> dict[str, Any]:
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
