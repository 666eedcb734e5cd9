"""The conformance suite passes where it should, and fails where it must."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import jsonschema_rs
import pytest

from diijam_consent_sdk.decisions import Ask, Decision, Market, Process, decide
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.events import Event
from diijam_consent_sdk.notices import NoticeRegistry, notice_refusals
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import HttpStore, MemoryStore, PostgresStore, SqliteStore
from diijam_consent_sdk.testing import FaultyStore, WallClock
from diijam_consent_sdk.testing.conformance import Case, CaseOutcome, Result, load_cases, run
from diijam_consent_sdk.testing.conformance.runner import NEEDS_CLOCK, NEEDS_LEDGER
from diijam_consent_sdk.vocabulary import Reason
from tests.conformance.broken import BROKEN, Sound
from tests.conformance.broken_imports import BROKEN_IMPORTS, BROKEN_WITH_TIME
from tests.conformance.broken_proof import BROKEN_PROOF
from tests.conformance.generate import HERE, SHIPPED, shipped
from tests.service.conftest import running
from tests.stores.cluster import shared

NOTICE_RULES = ["requires notices", "recipient", "names another recipient", "names less data", "does not name"]
PROOF_CASES = [case for case in load_cases() if case.id.count("-") == 2]  # those of one idea, as 4-imports-001
TEXTS = sorted(HERE.glob("clause_*.txt"))


def not_passed(results: Iterator[Result]) -> list[Result]:
    """The results that are no pass."""
    return [result for result in results if result.outcome is not CaseOutcome.PASSED]


@pytest.fixture
def wall() -> WallClock:
    """The wall clock of the store."""
    return WallClock()


@pytest.fixture
def store(wall: WallClock) -> Iterator[MemoryStore]:
    """A store in memory."""
    with closing(MemoryStore(clock=wall)) as store:
        yield store


@pytest.mark.parametrize("page", ["README.md", "docs/conformance.md", "CHANGELOG.md"])
def test_the_pages_count_the_cases(page: str) -> None:
    """Each page that says how many cases there are counts all of them."""
    assert f"{len(load_cases())} cases" in (HERE.parents[1] / page).read_text(encoding="utf-8")


def test_there_are_cases_of_every_clause() -> None:
    """There are at least 850, no clause without twenty, no id and no title twice."""
    cases = load_cases()
    assert len(cases) >= 850
    assert set(Counter(case.clause for case in cases)) == {1, 2, 3, 4, 5, 6, 7}
    assert min(Counter(case.clause for case in cases).values()) >= 20
    assert len({case.id for case in cases}) == len({(case.clause, case.title) for case in cases}) == len(cases)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.stem)
def test_what_is_shipped_is_what_was_written(text: Path) -> None:
    """The JSON is that of the cases written by hand: else run `python -m tests.conformance.generate`."""
    path, expected = shipped(text)
    assert path.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.stem)
def test_what_is_shipped_keeps_its_schema(text: Path) -> None:
    """Every file is as schema.json says, and nothing in it is left from the grammar."""
    schema = json.loads((SHIPPED / "schema.json").read_text(encoding="utf-8"))
    content = (SHIPPED / f"{text.stem}.json").read_text(encoding="utf-8")
    jsonschema_rs.Draft202012Validator(schema).validate(json.loads(content))
    assert not {"$", "~"} & set(content)


def test_every_reason_is_asked_for() -> None:
    """Each reason that a record can give is the answer of a case, and each yes of a clause has its no."""
    answers = [step["answer"] for case in load_cases() for step in case.steps if "answer" in step]
    asked = {answer["reason"] for answer in answers}
    assert asked == set(Reason) - {Reason.UNAVAILABLE, Reason.STALE, Reason.NOT_ENTITLED}
    answered = {(answer["clause"], answer["allowed"]) for answer in answers}
    assert answered >= {(clause, allowed) for clause in (1, 4, 5, 6, 7) for allowed in (True, False)}


def test_every_event_is_accepted_and_refused() -> None:
    """Each kind of event is accepted in one case and refused in another."""
    steps = [step for case in load_cases() for step in case.steps if step["do"] == "append" and step["events"]]
    accepted = {event["type"] for step in steps if "refused" not in step for event in step["events"]}
    refused = {step["events"][-1]["type"] for step in steps if step.get("refused") == "invalid-event"}
    assert len(accepted) == len(refused) == 21


def in_memory(wall: WallClock | None) -> AbstractContextManager[MemoryStore]:
    """A new ledger in memory."""
    return closing(MemoryStore(clock=wall))


@contextmanager
def in_a_file(folder: Path, wall: WallClock) -> Iterator[SqliteStore]:
    """A new ledger in a file."""
    with TemporaryDirectory(dir=folder) as own, closing(SqliteStore(Path(own) / "ledger.db", clock=wall)) as store:
        yield store


@contextmanager
def on_postgresql(wall: WallClock) -> Iterator[PostgresStore]:
    """A new ledger on PostgreSQL."""
    url = shared().ledger()
    try:
        with closing(PostgresStore(url, clock=wall, deadline=20)) as store:
            yield store
    finally:
        shared().give_back(url)


@contextmanager
def over_http(tokens: Path, token: str, wall: WallClock | None) -> Iterator[HttpStore]:
    """A service in front of a new ledger in memory."""
    with in_memory(wall) as behind:
        service = running(behind, tokens)
        try:
            with closing(HttpStore(service.url, token=token, deadline=20)) as store:
                yield store
        finally:
            service.stop()


def test_a_store_in_memory_passes(store: MemoryStore, wall: WallClock) -> None:
    """Every case holds on a `MemoryStore` whose clock is set."""
    assert not_passed(run(store, tick=wall.tick, new_ledger=partial(in_memory, wall))) == []


def test_a_store_in_a_file_passes(tmp_path: Path, wall: WallClock) -> None:
    """Every case holds on a `SqliteStore`."""
    with in_a_file(tmp_path, wall) as store:
        assert not_passed(run(store, tick=wall.tick, new_ledger=partial(in_a_file, tmp_path, wall))) == []


def test_a_ledger_on_postgresql_passes(wall: WallClock) -> None:
    """Every case holds on a `PostgresStore`."""
    with on_postgresql(wall) as store:
        assert not_passed(run(store, tick=wall.tick, new_ledger=partial(on_postgresql, wall))) == []


def test_a_consent_service_passes(tmp_path: Path, wall: WallClock) -> None:
    """
    Every case holds over HTTP. Those that need a set clock or a new ledger are skipped, say why, and hold on a service
    whose clock the test sets.
    """
    tokens = tmp_path / "tokens.json"
    token = new_token(tokens, "tests", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE])
    with over_http(tokens, token, wall=None) as store:
        skipped = not_passed(run(store))
    assert {result.why for result in skipped} == {NEEDS_CLOCK, NEEDS_LEDGER}
    assert len(skipped) < len(load_cases()) / 10
    with over_http(tokens, token, wall) as store:
        cases = [result.case for result in skipped]
        results = run(store, cases, tick=wall.tick, new_ledger=partial(over_http, tokens, token, wall))
        assert not_passed(results) == []


def test_a_sound_store_passes_as_the_broken_ones_are_run() -> None:
    """What the broken stores are made of passes."""
    with closing(Sound()) as sound:
        results = not_passed(run(sound, tick=sound.wall.tick))
        assert {result.why for result in results} == {NEEDS_LEDGER}


@pytest.mark.parametrize(
    "kind", [*BROKEN, *BROKEN_PROOF, *BROKEN_IMPORTS, *BROKEN_WITH_TIME], ids=lambda kind: kind.__name__
)
def test_a_broken_store_fails(kind: type[Sound]) -> None:
    """Each broken store fails a case, with a clock to set and, but where time itself is misread, without one."""
    cases = load_cases() if kind in BROKEN else PROOF_CASES
    for may_set in (True,) if kind in BROKEN_WITH_TIME else (True, False):
        with closing(kind()) as store:
            results = run(store, cases, tick=store.wall.tick if may_set else None, new_ledger=lambda: closing(kind()))
            assert any(result.outcome is CaseOutcome.FAILED for result in results)


@pytest.mark.parametrize("reason", NOTICE_RULES)
def test_a_rule_that_is_not_kept_is_missed(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """A store without one of the refusals fails a case."""

    def without(event: Event, notices: NoticeRegistry) -> Iterator[tuple[bool, str]]:
        """All rules but the one."""
        return (test for test in notice_refusals(event, notices) if reason not in test[1])

    monkeypatch.setattr("diijam_consent_sdk.record.notice_refusals", without)
    with closing(Sound()) as sound:
        results = run(sound, PROOF_CASES, tick=sound.wall.tick, new_ledger=lambda: closing(Sound()))
        assert any(result.outcome is CaseOutcome.FAILED for result in results)


def lenient(record: ConsentRecord, ask: Ask, at: datetime) -> Decision:
    """Decides as if no restriction were ever made."""
    return decide(attrs.evolve(record, restricted=frozenset()), ask, at)


def forgets_channels(record: ConsentRecord, ask: Ask, at: datetime) -> Decision:
    """Takes a consent to e-mail for one to every channel."""
    return decide(record, Market("email", ask.data) if isinstance(ask, Market) else ask, at)


def any_data(record: ConsentRecord, ask: Ask, at: datetime) -> Decision:
    """Takes no data for any data."""
    return decide(record, Process(ask.purpose) if isinstance(ask, Process) else ask, at)


def ahead_of_time(record: ConsentRecord, ask: Ask, at: datetime) -> Decision:
    """Decides as of a second later."""
    return decide(record, ask, at + timedelta(seconds=1))


@pytest.mark.parametrize(
    "wrong", [lenient, forgets_channels, any_data, ahead_of_time], ids=lambda wrong: wrong.__name__
)
def test_a_wrong_decision_fails(wrong: object) -> None:
    """The same cases hold another SDK's decisions to the policy."""
    with closing(Sound()) as sound:
        results = run(sound, tick=sound.wall.tick, decide=wrong)  # type: ignore[arg-type]
        assert any(result.outcome is CaseOutcome.FAILED for result in results)


def test_a_failure_says_where_and_what(store: MemoryStore) -> None:
    """A result names the step, what was found and what was expected."""
    case = Case("4-999", 4, "surveys are never allowed", [
        {"do": "append", "events": [{"type": "AccountOpened"}]},
        {"do": "ask", "ask": {"type": "Process", "purpose": "surveys"},
         "answer": {"allowed": False, "reason": "withdrawn", "clause": 4}},
    ])  # fmt: skip
    (result,) = run(store, [case])
    assert result.outcome is CaseOutcome.FAILED
    assert result.why == (
        "step 2: answer: {'allowed': False, 'reason': 'not_consented', 'clause': 4}, "
        "expected: {'allowed': False, 'reason': 'withdrawn', 'clause': 4}"
    )


def test_a_step_of_a_newer_version_fails(store: MemoryStore) -> None:
    """A step that this version does not know is no pass."""
    (result,) = run(store, [Case("4-999", 4, "from the future", [{"do": "dance"}])])
    assert result.why == "step 1: ValueError: unknown step 'dance': these cases are for a newer version"


def test_a_store_out_of_reach_is_no_failure(store: MemoryStore) -> None:
    """A store that cannot be reached says nothing of the cases: the run ends with the error."""
    faulty = FaultyStore(store)
    results = run(faulty)
    assert next(results).outcome is CaseOutcome.PASSED
    with faulty.offline(), pytest.raises(StoreUnavailable):
        next(results)


def test_runs_do_not_meet(store: MemoryStore, wall: WallClock) -> None:
    """Two runs on one ledger write different users."""
    for _ in range(2):
        assert not_passed(run(store, load_cases()[:40], tick=wall.tick)) == []
