"""
`diijam-consent conformance`: test a store, or a service of the same contract, against the policy.

It plays the shipped cases, so another implementation is held to the same answers.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from cyclopts import Parameter

from ...policy import CLAUSES
from ...stores import wire
from ...testing.conformance import CaseOutcome, Result, load_cases, run
from ..console import print_json, print_result, print_status, show_progress
from ..options import Json
from ..store import open_store

EXAMPLES = """\
Examples:
  diijam-consent conformance --url https://consent.staging.example
  diijam-consent conformance --url sqlite:///try-out.db
  diijam-consent conformance --url sqlite:///try-out.db --json |
      jq -r '.failed[].title'

The URL of a service is asked with the token in DIIJAM_CONSENT_TOKEN, which
needs the scopes ask, read and write.
"""

TestUrl = Annotated[
    str | None,
    Parameter(help="Where to write the test users and ask about them. The environment's ledger is never taken."),
]


def conformance(*, as_json: Json = False, url: TestUrl = None) -> int:
    """
    Play the policy's cases on a ledger, and count by clause how many held.

    It WRITES test users, with random ids, and notices, which stay in the ledger: run it on a staging system.

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
    with open_store(url, create=True) as store:
        print_status(f"writing test users of {len(cases)} cases; they stay in the ledger")
        results = []
        try:
            with show_progress("playing", len(cases)) as update:
                for result in run(store, cases):
                    results.append(result)
                    update(len(results), len(results))
        except KeyboardInterrupt as error:
            error.add_note(f"{len(results)} of {len(cases)} cases were played, and their test users were written")
            raise
    if as_json:
        print_json(_to_json(results))
    else:
        print_result(*_to_lines(results))
    return 1 if any(result.outcome is CaseOutcome.FAILED for result in results) else 0


def _to_lines(results: list[Result]) -> list[str]:
    lines = [_row(["clause", "passed", "failed", "skipped", ""])]
    for clause, (_, title) in CLAUSES.items():
        lines.append(_count_row(str(clause), [result for result in results if result.case.clause == clause], title))
    lines.append(_count_row("all", results, ""))
    for result in results:
        if result.outcome is not CaseOutcome.PASSED:
            lines += [f"{result.outcome} {result.case.id} {result.case.title}", f"    {result.why}"]
    return lines


def _count_row(name: str, results: list[Result], title: str) -> str:
    counts = Counter(result.outcome for result in results)
    return _row([name, *(str(counts[outcome]) for outcome in CaseOutcome), title])


def _row(words: list[str]) -> str:
    return "{:<8}{:>6}{:>8}{:>9}  {}".format(*words).rstrip()


def _to_json(results: list[Result]) -> bytes:
    passed = sum(result.outcome is CaseOutcome.PASSED for result in results)
    failed, skipped = (_with_outcome(results, outcome) for outcome in (CaseOutcome.FAILED, CaseOutcome.SKIPPED))
    return wire.encode({"passed": passed, "failed": failed, "skipped": skipped})


def _with_outcome(results: list[Result], outcome: CaseOutcome) -> list[dict[str, object]]:
    return [
        {"id": result.case.id, "clause": result.case.clause, "title": result.case.title, "why": result.why}
        for result in results
        if result.outcome is outcome
    ]
