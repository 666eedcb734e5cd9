"""`diijam-consent conformance`: is a store, or any service of the same contract, true to the policy?"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from cyclopts import Parameter

from ...policy import CLAUSES
from ...stores import wire
from ...testing.conformance import Outcome, Result, load_cases, run
from ..console import progress, say, say_json, tell
from ..store import opened

EXAMPLES = """\
Examples:
  diijam-consent conformance --url https://consent.staging.example
  diijam-consent conformance --url sqlite:///try-out.db
  diijam-consent conformance --url sqlite:///try-out.db --json |
      jq -r '.failed[].title'

The URL of a service is asked with the token in DIIJAM_CONSENT_TOKEN, which
must allow to read and to write.
"""


def conformance(
    *,
    as_json: Annotated[bool, Parameter(name="--json", help="One JSON object, for machines.")] = False,
    url: Annotated[
        str | None,
        Parameter(help="Where to write the test users and ask about them. The environment's ledger is never taken."),
    ] = None,
) -> int:
    """
    Play the policy's cases on a ledger, and tell by clause how many held. It WRITES test users, with random ids, which
    stay in the ledger: run it on a staging system.

    Exit status: 0 every case held that could be played, 1 some did not, 2 the cases could not be played.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be used.

        ValueError: what was typed cannot be meant.
    """
    if not url:
        raise ValueError("this writes test users that stay in the ledger: say which with --url, as of a staging system")
    cases = load_cases()
    with opened(url, create=True) as store:
        tell(f"writing test users of {len(cases)} cases; they stay in the ledger")
        results = []
        try:
            with progress("playing", len(cases)) as show:
                for result in run(store, cases):
                    results.append(result)
                    show(len(results), len(results))
        except KeyboardInterrupt as error:
            error.add_note(f"{len(results)} of {len(cases)} cases were played, and their test users were written")
            raise
    if as_json:
        say_json(_json(results))
    else:
        say(*_table(results))
    return 1 if any(result.outcome is Outcome.FAILED for result in results) else 0


def _table(results: list[Result]) -> list[str]:
    lines = [_row(["clause", "passed", "failed", "skipped", ""])]
    for clause, (_, title) in CLAUSES.items():
        lines.append(_counted(str(clause), [result for result in results if result.case.clause == clause], title))
    lines.append(_counted("all", results, ""))
    for result in results:
        if result.outcome is not Outcome.PASSED:
            lines += [f"{result.outcome} {result.case.id} {result.case.title}", f"    {result.why}"]
    return lines


def _counted(name: str, results: list[Result], title: str) -> str:
    counts = Counter(result.outcome for result in results)
    return _row([name, *(str(counts[outcome]) for outcome in Outcome), title])


def _row(words: list[str]) -> str:
    return "{:<8}{:>6}{:>8}{:>9}  {}".format(*words).rstrip()


def _json(results: list[Result]) -> bytes:
    passed = sum(result.outcome is Outcome.PASSED for result in results)
    failed, skipped = (_told(results, outcome) for outcome in (Outcome.FAILED, Outcome.SKIPPED))
    return wire.encode({"passed": passed, "failed": failed, "skipped": skipped})


def _told(results: list[Result], outcome: Outcome) -> list[dict[str, object]]:
    return [
        {"id": result.case.id, "clause": result.case.clause, "title": result.case.title, "why": result.why}
        for result in results
        if result.outcome is outcome
    ]
