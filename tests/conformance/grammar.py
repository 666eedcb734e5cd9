r"""
How the conformance cases are written by hand, and the JSON that they become. A block of a `clause_*.txt`:

    == A title, with a $WORD in it          a case, or one for each line of values below
    for $WORD $OTHER: a/b c/d                `~` in a value is a space
    + Granted surveys n-1 expires=60         accepted; several events in a batch are separated by ` ; `
    - Granted payment n-1                    refused by the policy; `-malformed`, `-version-conflict`: for that reason
    + [key=k-1 version=0] AccountOpened      with an idempotency key, at an expected version
    + [times=50] RequestFiled q-# access     fifty times over, each # the number of the time
    = [key=k-1] AccountOpened                repeated: the same answer, and nothing is written
    wait 60                                  seconds pass
    ? Market email => yes consented 4        an ask and its answer, or `malformed`
    record version=2 published=avatar        the record's values then
    due q-1 10 reply=2                       the days from receipt to the due dates of deed and reply
    history AccountOpened ; Erased           the entries' events
    @other + AccountOpened                   of another user

Events and asks give their fields in the order of policy.md, or by name; sets with commas, `none` for the empty one.
A character that is not to be seen is written by its number: `\u200b`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
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
    "Erased": "anonymised?",
    "Process": "purpose data*",
    "Market": "channel data*",
    "Share": "recipient data* purpose",
    "Show": "field",
    "Retain": "field",
}
SHORT = {"expires": "expires_at", "received": "received_at"}
PLAIN: dict[str, Any] = {"true": True, "false": False, "null": None, "empty": {}, "none": []}
SETS = {"published", "restricted", "objected"}
STEP = re.compile(r"(?:@(?P<user>\w+) )?(?P<sign>[-+=?]|wait|record|due|history)(?P<why>[a-z-]*)(?: (?P<rest>.*))?$")
NUMBERED = re.compile(r"\\u([0-9a-f]{4})")
OPTIONS = re.compile(r"\[(.*?)\] ?")


def cases_in(path: Path) -> list[dict[str, Any]]:
    """The cases of one file, numbered."""
    clause = int(path.stem[-1])
    blocks = path.read_text(encoding="utf-8").split("\n== ")[1:]
    lines = [expanded for block in blocks for expanded in _expanded(block.splitlines())]
    return [
        {"id": f"{clause}-{number:03}", "clause": clause, "title": title, "steps": [_step(line) for line in steps]}
        for number, (title, *steps) in enumerate(lines, 1)
    ]


def _expanded(block: list[str]) -> Iterator[list[str]]:
    lines = [line for line in block if line.strip()]
    if len(lines) < 2 or not lines[1].startswith("for "):
        yield lines
        return
    names, _, rows = lines.pop(1).removeprefix("for ").partition(":")
    for row in rows.split():
        values = dict(zip(names.split(), row.replace("~", " ").split("/"), strict=True))
        yield [_filled(line, values) for line in lines]


def _filled(line: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\w+", lambda name: values[name[0]], line)


def _step(line: str) -> dict[str, Any]:
    parts = STEP.match(line)
    if parts is None:
        raise ValueError(f"no step: {line}")
    user = {"user": parts["user"]} if parts["user"] else {}
    return {**_done(parts["sign"], parts["why"], parts["rest"] or ""), **user}


def _done(sign: str, why: str, rest: str) -> dict[str, Any]:
    match sign:
        case "+" | "-" | "=":
            return {"do": "append", **_append(rest), **_ending(sign, why)}
        case "?":
            ask, answer = rest.split(" => ")
            return {"do": "ask", "ask": fields(ask), **_answer(answer)}
        case "wait":
            return {"do": "wait", "seconds": int(rest)}
        case "record":
            return {"do": "record", "is": _record(rest.split())}
        case "due":
            request, days, *reply = rest.split()
            step = {"do": "due", "request": request, "days": int(days)}
            return {**step, "reply_days": int(reply[0].removeprefix("reply="))} if reply else step
        case _:
            return {"do": "history", "events": _events(rest)}


def _ending(sign: str, why: str) -> dict[str, Any]:
    if sign == "-":
        return {"refused": why or "invalid-event"}
    return {"repeats": True} if sign == "=" else {}


def _append(rest: str) -> dict[str, Any]:
    options = OPTIONS.match(rest)
    given = dict(option.split("=") for option in options[1].split()) if options else {}
    step: dict[str, Any] = {"events": _events(rest[options.end() :] if options else rest)}
    if "key" in given:
        step["key"] = given["key"]
    for option, name in (("version", "expected_version"), ("times", "times")):
        if option in given:
            step[name] = int(given[option])
    return step


def _events(text: str) -> list[dict[str, Any]]:
    return [fields(event) for event in text.split(" ; ")] if text else []


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
    return {"type": kind, **{field.rstrip("*!?"): _value(field, word) for field, word in given.items()}}


def _value(field: str, word: str) -> Any:
    word = NUMBERED.sub(lambda found: chr(int(found[1], 16)), word)
    if field.endswith("*"):
        return [] if word == "none" else word.split(",")
    if field.endswith("!"):
        return {"in": int(word)}
    return PLAIN[word] if field.endswith("?") else word


def _answer(text: str) -> dict[str, Any]:
    if text == "malformed":
        return {"malformed": True}
    yes, reason, clause = text.split()
    return {"answer": {"allowed": {"yes": True, "no": False}[yes], "reason": reason, "clause": int(clause)}}


def _record(words: list[str]) -> dict[str, Any]:
    expected: dict[str, Any] = {}
    for name, value in (word.split("=") for word in words):
        if name.startswith("request:"):
            request, field = name.removeprefix("request:").split(".")
            expected.setdefault("requests", {}).setdefault(request, {})[field] = PLAIN.get(value, value)
        elif value in PLAIN:
            expected[name] = PLAIN[value]
        elif name in SETS:
            expected[name] = value.split(",")
        else:
            expected[name] = int(value) if value.isdigit() else value
    return expected
