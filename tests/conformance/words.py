"""The words of a step: events, asks, answers and values, as the cases are written by hand."""

from __future__ import annotations

import re
from typing import Any

# The fields of policy.md's events and asks, in its order. `*`: a set; `!`: an instant, in seconds; `?`: true or false.
FIELDS = {
    "AccountOpened": "origin",
    "AccountClosed": "",
    "Granted": "purpose notice channels* expires_at!",
    "Withdrawn": "purpose channels*",
    "Objected": "purpose",
    "ObjectionLifted": "purpose",
    "Restricted": "data*",
    "RestrictionLifted": "data*",
    "Notified": "notice recipient data* purpose",
    "Agreed": "notice expires_at!",
    "AgreementWithdrawn": "notice",
    "Published": "field",
    "Hidden": "field",
    "RequestFiled": "request kind processor? received_at!",
    "RequestReplied": "request",
    "RequestExtended": "request reason",
    "RequestResolved": "request outcome reason",
    "HoldPlaced": "hold kind data* until!",
    "HoldReleased": "hold",
    "ErasureConfirmed": "holder",
    "Erased": "anonymised?",
    "Process": "purpose data*",
    "Market": "channel data*",
    "Share": "recipient data* purpose",
    "Show": "field",
    "Retain": "field",
}
SHORT = {"expires": "expires_at", "received": "received_at"}
PLAIN: dict[str, Any] = {"true": True, "false": False, "null": None, "empty": {}, "none": []}
NUMBERED = re.compile(r"\\u([0-9a-f]{4})")


def fields(text: str) -> dict[str, Any]:
    """The JSON of an event or an ask."""
    kind, *words = text.split()
    named = dict(word.split("=") for word in words if "=" in word)
    named = {SHORT.get(name, name): value for name, value in named.items()}
    known = [field for field in FIELDS[kind].split() if field.rstrip("*!?") not in named]
    given = dict(zip(known, [word for word in words if "=" not in word], strict=False))
    given |= {field: named[field.rstrip("*!?")] for field in FIELDS[kind].split() if field.rstrip("*!?") in named}
    if len(given) != len(words):
        raise ValueError(f"not understood: {text}")
    return {"type": kind, **{field.rstrip("*!?"): value_from(field, word) for field, word in given.items()}}


def value_from(field: str, word: str) -> Any:
    """The value of a field."""
    word = NUMBERED.sub(lambda found: chr(int(found[1], 16)), word)
    if word.startswith("%"):
        return {"own": word[1:]}
    if field.endswith("*"):
        return [] if word == "none" else word.split(",")
    if field.endswith("!"):
        return {"in": int(word)}
    return PLAIN[word] if field.endswith("?") else word


def answer_from(text: str) -> dict[str, Any]:
    """The answer that an ask expects."""
    if text == "malformed":
        return {"malformed": True}
    yes, reason, clause = text.split()
    return {"answer": {"allowed": {"yes": True, "no": False}[yes], "reason": reason, "clause": int(clause)}}


def said_value(name: str, word: str) -> Any:
    """The value of a provenance or of a permission."""
    word = NUMBERED.sub(lambda found: chr(int(found[1], 16)), word)
    if word in PLAIN:
        return PLAIN[word]
    if "*" in word:
        text, _, times = word.partition("*")
        return text * int(times)
    if name in {"said_at", "given_at", "withdrawn_at", "expires_at"}:
        return {"in": int(word)}
    return int(word) if name.endswith("version") else word
