"""`diijam-consent check`: one ask about one customer, with all that the answer rests on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

import attrs
from cyclopts import Parameter

from ...decisions import Evidence, Explanation
from ...policy import CLAUSES
from ...stores import wire
from ...vocabulary import identifier
from ..asks import SYNTAX, AskName, Options, Subject, ask_from
from ..console import local, say, say_json
from ..store import Url, asking, opened

Language = Literal["vi", "en"]
DENIED = 1

EXAMPLES = f"""\
Examples:
  diijam-consent check u-1 market email
  diijam-consent check u-1 market email --data listening_history --lang vi
  diijam-consent check u-1 share acme-records --purpose marketing \\
      --data username --data avatar
  diijam-consent check u-1 show avatar
  diijam-consent check u-1 process fraud_detection --no-data
  diijam-consent check u-1 retain payment --json
  diijam-consent check --json -- --odd-id market email
  diijam-consent check 'Nguyễn Văn A' market email && send-the-mail

{SYNTAX}
An id that begins with - goes after --, behind all options.
"""


def check(
    user_id: Annotated[str, Parameter(help="The customer.")],
    ask: AskName,
    subject: Subject = None,
    /,
    *,
    options: Options = None,
    lang: Annotated[Language, Parameter(help="The language of the message and the clause's title.")] = "en",
    as_json: Annotated[bool, Parameter(name="--json", help="One JSON object, for machines.")] = False,
    url: Url = None,
) -> int:
    """
    May it be done? Read fresh from the ledger, with the reason, the clause of the privacy policy and the evidence.

    Exit status: 0 allowed, 1 denied, 2 it could not be checked.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.

        ValueError, TypeError: what was typed cannot be meant.
    """
    question = ask_from(ask, subject, options)
    identifier(user_id)
    with opened(url) as store, asking(store) as client:
        explanation = client.explain(user_id, question)
    if as_json:
        say_json(_json(explanation, lang))
    else:
        say(*_sheet(explanation, lang))
    return 0 if explanation.decision else DENIED


def _title(explanation: Explanation, lang: Language) -> str:
    return CLAUSES[explanation.decision.clause][("vi", "en").index(lang)]


def _sheet(explanation: Explanation, lang: Language) -> list[str]:
    decision = explanation.decision
    return [
        f"answer    {'allowed' if decision else 'denied'}",
        f"reason    {decision.reason}",
        f"clause    {decision.clause} ({_title(explanation, lang)})",
        f"message   {decision.message(lang)}",
        f"evidence  {_evidence(explanation.evidence)}",
        f"version   {explanation.version}",
        f"as_of     {local(explanation.as_of)}",
    ]


def _evidence(evidence: Evidence | None) -> str:
    if evidence is None:
        return "none"
    return f"{type(evidence).__name__} {spelled(attrs.asdict(evidence, recurse=False))}"


def spelled(fields: dict[str, Any]) -> str:
    """The fields that say something, as `name=value`, sets as their sorted words."""
    return " ".join(f"{name}={_word(value)}" for name, value in fields.items() if value is not None and value != set())


def _word(value: object) -> str:
    if isinstance(value, datetime):
        return local(value)
    return ",".join(sorted(value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def _json(explanation: Explanation, lang: Language) -> bytes:
    decision, evidence = explanation.decision, explanation.evidence
    found = None if evidence is None else {"type": type(evidence).__name__, **attrs.asdict(evidence, recurse=False)}
    return wire.encode({
        "allowed": decision.allowed,
        "reason": decision.reason,
        "clause": decision.clause,
        "clause_title": _title(explanation, lang),
        "message": decision.message(lang),
        "evidence": found,
        "version": explanation.version,
        "as_of": explanation.as_of,
    })  # fmt: skip
