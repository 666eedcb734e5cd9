"""
The policy as cases: what a store or a consent service has to accept, refuse, keep and forget, and what an SDK has to
answer on its records.

The cases are JSON, so that other languages can run them (`cases/`, described by `schema.json` there and in
docs/conformance.md).

    results = run(store, tick=clock.tick)       # without `tick`, what needs the store's clock set is skipped
"""

from .cases import Case, load_cases
from .runner import CaseOutcome, Result, run

__all__ = ["Case", "CaseOutcome", "Result", "load_cases", "run"]
