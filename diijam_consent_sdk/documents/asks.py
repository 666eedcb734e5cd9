"""Every ask about purposes, channels and fields, so that a document leaves none out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..decisions import Ask, Market, Process, Retain, Share, Show
from ..vocabulary import Channel, Field, Purpose


def every_ask(sharings: Iterable[Share]) -> Iterator[Ask]:
    """
    Yield an ask for each purpose, channel and field, and those of *sharings*, each once.

    A purpose is asked without data, so that a restriction of some fields hides no consent.
    """
    yield from (Process(purpose, ()) for purpose in Purpose if purpose is not Purpose.MARKETING)
    yield from map(Market, Channel)
    yield from dict.fromkeys(sharings)
    yield from map(Show, Field)
    yield from map(Retain, Field)
