"""
`diijam-consent check`: answer one ask about one customer, with the evidence.

Support and auditors use it, so it reads the ledger itself and no cache.
"""

from __future__ import annotations

from typing import Annotated

import attrs
from cyclopts import Parameter

from ...decisions import Evidence, Explanation
from ...identifiers import identifier
from ...policy import CLAUSES
from ...stores import wire
from ...vocabulary import LANGUAGES, Language
from ..console import format_fields, format_time, print_json, print_result
from ..options import SYNTAX, AskName, AskOptions, Json, Subject, parse_ask, parse_time
from ..store import Url, make_client, open_store

DENIED = 1
_ENTRY = ("entry_version", "said_at")  # of the evidence, said on a line of their own

EXAMPLES = f"""\
Examples:
  diijam-consent check u-1 market email
  diijam-consent check u-1 market email --data listening_history --lang vi
  diijam-consent check u-1 share acme-records --purpose marketing \\
      --data username --data avatar
  diijam-consent check u-1 show avatar
  diijam-consent check u-1 process fraud_detection --no-data
  diijam-consent check u-1 retain payment --json
  diijam-consent check u-1 market email --at 2026-03-03T12:00:00+07:00
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
    options: Annotated[AskOptions | None, Parameter(name="*")] = None,
    at: Annotated[
        str | None,
        Parameter(help="As of a past moment, with its time zone, like 2026-03-03T12:00:00+07:00. Else as of now."),
    ] = None,
    lang: Annotated[Language, Parameter(help="The language of the message and the clause's title.")] = "en",
    as_json: Json = False,
    url: Url = None,
) -> int:
    """
    Check whether something may be done with a customer's data, and why.

    The answer is read fresh from the ledger, with the reason, the clause of the privacy policy and the evidence. With
    --at it is that of a past moment, as are the version and the evidence. Of an erased customer nothing of the past is
    left, so the reason is `erased` at every moment.

    Exit status: 0 allowed, 1 denied, 2 it could not be checked.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.

        ValueError, TypeError: what was typed cannot be meant.
    """
    question = parse_ask(ask, subject, options)
    identifier(user_id)
    moment = None if at is None else parse_time("at", at)
    with open_store(url) as store, make_client(store) as client:
        explanation = client.explain(user_id, question, at=moment)
    if as_json:
        print_json(_to_json(explanation, lang))
    else:
        print_result(*_to_lines(explanation, lang))
    return 0 if explanation.decision else DENIED


def _clause_title(explanation: Explanation, lang: Language) -> str:
    return CLAUSES[explanation.decision.clause][LANGUAGES.index(lang)]


def _to_lines(explanation: Explanation, lang: Language) -> list[str]:
    decision = explanation.decision
    return [
        f"answer    {'allowed' if decision else 'denied'}",
        f"reason    {decision.reason}",
        f"clause    {decision.clause} ({_clause_title(explanation, lang)})",
        f"message   {decision.message(lang)}",
        f"evidence  {_format_evidence(explanation.evidence)}",
        f"entry     {_format_entry(explanation)}",
        f"version   {explanation.version}",
        f"as_of     {format_time(explanation.as_of)}",
    ]


def _format_evidence(evidence: Evidence | None) -> str:
    if evidence is None:
        return "none"
    fields = attrs.asdict(evidence, recurse=False, filter=lambda field, _: field.name not in _ENTRY)
    return f"{type(evidence).__name__} {format_fields(fields)}"


def _format_entry(explanation: Explanation) -> str:
    if explanation.entry_version is None:
        return "none"
    if explanation.said_at is None:
        return f"{explanation.entry_version}, said here"
    return f"{explanation.entry_version}, imported: said at {format_time(explanation.said_at)}, as the importer claims"


def _to_json(explanation: Explanation, lang: Language) -> bytes:
    decision, evidence = explanation.decision, explanation.evidence
    found = None if evidence is None else {"type": type(evidence).__name__, **attrs.asdict(evidence, recurse=False)}
    return wire.encode({
        "allowed": decision.allowed,
        "reason": decision.reason,
        "clause": decision.clause,
        "clause_title": _clause_title(explanation, lang),
        "message": decision.message(lang),
        "evidence": found,
        "entry_version": explanation.entry_version,
        "said_at": explanation.said_at,
        "version": explanation.version,
        "as_of": explanation.as_of,
    })  # fmt: skip
