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
    record version=2 published=avatar        the record's values then; `said:consents/surveys/entry_version=2`: a part's
    due q-1 10 reply=2 state=on_track        the days from receipt to the ends of deed and reply, and the state then
    history AccountOpened ; Erased           the entries' events
    + [method=app language=vi] Granted …     said in this way; `import=-60`: said a minute before the case began
    register %n-1 surveys vi=Xin en=Please   a notice with its purposes; data=, recipient=, sensitive=, digest= as well
    register-invalid-event %n-1 surveys      refused; `register-malformed`: no notice at all
    notice %n-1 vi=Xin                       the words registered, or `null`
    require                                  notices are required from then on
    holder mailer                            a holder is registered; `retire mailer`: it is not any more
    holders mailer,warehouse                 those that are registered then
    owes mailer asked=user closed=other      whose erasure it has yet to confirm, in order, with a due time or without
    entry 2 method=app notice=%n-1           the provenance of the entry, and the notice whose digest it keeps
    explain Market email @5 => yes consented 4 entry_version=2     as of five seconds after the beginning
    @other + AccountOpened                   of another user

Events and asks give their fields in the order of policy.md, or by name; sets with commas, `none` for the empty one.
A character that is not to be seen is written by its number: `\u200b`; so is a space in a text. `%n-1` is the id of a
notice that belongs to the case alone, and `a*100` in a text is a hundred times a.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .proof_grammar import PROOF
from .words import PLAIN, answer_from, fields, said_value, value_from

SAID = ("method", "evidence", "language", "said_at")
SETS = {"published", "restricted", "objected"}
STEP = re.compile(
    r"(?:@(?P<user>\w+) )?(?P<sign>[-+=?]|wait|record|due|history|entry|explain|register|notice|require"
    r"|holders|holder|retire|owes)"
    r"(?P<why>[a-z-]*)(?: (?P<rest>.*))?$"
)
OPTIONS = re.compile(r"\[(.*?)\] ?")


def cases_in(path: Path) -> list[dict[str, Any]]:
    """The cases of one file, numbered."""
    _, clause, *idea = path.stem.split("_")
    blocks = path.read_text(encoding="utf-8").split("\n== ")[1:]
    lines = [expanded for block in blocks for expanded in _expanded(block.splitlines())]
    begin = "-".join([clause, *idea])
    return [
        {"id": f"{begin}-{number:03}", "clause": int(clause), "title": title, "steps": [_step(line) for line in steps]}
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
            return {"do": "ask", "ask": fields(ask), **answer_from(answer)}
        case "history":
            return {"do": "history", "events": _events(rest)}
        case _:
            return {"do": sign, **NAMED[sign](rest.split()), **({"refused": why.lstrip("-")} if why else {})}


def _ending(sign: str, why: str) -> dict[str, Any]:
    if sign == "-":
        return {"refused": why or "invalid-event"}
    return {"repeats": True} if sign == "=" else {}


def _append(rest: str) -> dict[str, Any]:
    options = OPTIONS.match(rest)
    given = dict(option.split("=") for option in options[1].split()) if options else {}
    step: dict[str, Any] = {"events": _events(rest[options.end() :] if options else rest)}
    if "import" in given:
        given |= {"method": "import", "said_at": given["import"]}
    if provenance := {name: said_value(name, given[name]) for name in SAID if name in given}:
        step["provenance"] = provenance
    if "key" in given:
        step["key"] = given["key"]
    for option, name in (("version", "expected_version"), ("times", "times")):
        if option in given:
            step[name] = int(given[option])
    return step


def _events(text: str) -> list[dict[str, Any]]:
    return [fields(event) for event in text.split(" ; ")] if text else []


def _due(words: list[str]) -> dict[str, Any]:
    request, days, *more = words
    given = dict(word.split("=") for word in more)
    step: dict[str, Any] = {"request": request, "days": int(days)}
    if "reply" in given:
        step["reply_days"] = int(given["reply"])
    return {**step, "state": given["state"]} if "state" in given else step


def _record(words: list[str]) -> dict[str, Any]:
    expected: dict[str, Any] = {}
    for name, value in (word.split("=") for word in words):
        if name.startswith("request:"):
            request, field = name.removeprefix("request:").split(".")
            expected.setdefault("requests", {}).setdefault(request, {})[field] = PLAIN.get(value, value)
        elif name.startswith("said:"):
            part, key, field = name.removeprefix("said:").split("/")
            expected.setdefault(part, {}).setdefault(key, {})[field] = said_value(field, value)
        elif value in PLAIN:
            expected[name] = PLAIN[value]
        elif name in SETS:
            expected[name] = value.split(",")
        else:
            expected[name] = int(value) if value.isdigit() else value
    return expected


def _owes(words: list[str]) -> dict[str, Any]:
    holder, *more = words
    given = dict(word.split("=") for word in more)
    return {
        "holder": holder,
        **{part: [u for u in given.get(part, "").split(",") if u] for part in ("asked", "closed")},
    }


NAMED: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    **PROOF,
    "wait": lambda words: {"seconds": int(words[0])},
    "due": _due,
    "holder": lambda words: {"holder": words[0]},
    "retire": lambda words: {"holder": words[0]},
    "holders": lambda words: {"are": value_from("holders*", words[0])},
    "owes": _owes,
    "record": lambda words: {"is": _record(words)},
}  # the steps that begin with a word
