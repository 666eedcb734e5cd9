"""The strategies that users get too (`diijam_consent_sdk.testing.strategies`), and every ask there is to put."""

from __future__ import annotations

from diijam_consent_sdk.decisions import Ask, Market, Process, Retain, Share, Show
from diijam_consent_sdk.testing.strategies import (
    HOLDS,
    RECIPIENTS,
    START,
    asks,
    events,
    instants,
    moves,
    provenances,
    saying_no,
    saying_yes,
)
from diijam_consent_sdk.vocabulary import Channel, Field, Purpose

__all__ = [
    "EVERY_ASK",
    "HOLDS",
    "START",
    "asks",
    "events",
    "instants",
    "moves",
    "provenances",
    "saying_no",
    "saying_yes",
]

SOME_DATA = (
    frozenset({Field.EMAIL}),
    frozenset({Field.PHONE}),
    frozenset({Field.USERNAME, Field.EMAIL}),
    frozenset(Field),
)

# Every ask over the data sets above and none at all: few enough to put all of them to each random record.
EVERY_ASK: tuple[Ask, ...] = (
    *(
        Process(p, data)
        for p in Purpose
        if p is not Purpose.MARKETING
        for data in (None, frozenset[Field](), *SOME_DATA)
    ),
    *(Market(channel, data) for channel in Channel for data in (frozenset[Field](), *SOME_DATA)),
    *(Share(r, data, p) for r in (*RECIPIENTS, "never-heard-of") for data in SOME_DATA for p in Purpose),
    *map(Show, Field),
    *map(Retain, Field),
)
