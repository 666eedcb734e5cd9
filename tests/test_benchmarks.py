"""The benchmarks: their figures are what their names promise, and the rest of the document stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import check, report, timing
from benchmarks.capacity import Costs, Fleet, Process, simulate
from benchmarks.guard import await_feed
from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.stores import MemoryStore
from tests.cli.conftest import MAILABLE


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which everything was ten times slower changes no ratio."""
    assert timing.ratios([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == timing.Spread(2.0, 2.0, 2.0)


def test_contenders_take_turns() -> None:
    """Each contender has one turn a round, the warm-up does not count, and the order changes."""
    turns: list[str] = []

    def contender(name: str) -> timing.Work:
        return lambda: turns.append(name) or 1  # type: ignore[func-returns-value]

    times = timing.interleaved({"a": contender("a"), "b": contender("b")}, rounds=2, clock=iter(range(99)).__next__)
    assert turns == ["b", "a", "a", "b", "b", "a"]
    assert times == {"a": [1, 1], "b": [1, 1]}


def test_a_section_is_replaced_and_the_rest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that is run again replaces what it wrote before and nothing else."""
    document = tmp_path / "performance.md"
    document.write_text("# Title\n\nby hand\n", encoding="utf-8")
    monkeypatch.setattr(report, "DOCUMENT", document)
    for name, text in (("one", "first"), ("two", "second"), ("one", r"third \1")):
        report.publish(name, name.title(), text)
    written = document.read_text(encoding="utf-8")
    assert written.startswith("# Title\n\nby hand\n")
    assert [written.count(text) for text in ("first", "second", r"third \1", "### One", "### Two")] == [0, 1, 1, 1, 1]


def test_instructions_of_a_guard_are_always_as_many() -> None:
    """The count of `make bench-check` is no matter of luck, and sees more work."""
    with ConsentClient(MemoryStore()) as consent:
        consent.record("u-1", *MAILABLE)
        for _ in range(2):
            consent.can_market("u-1", "email")
        consent.load("u-2")  # with the store's next answer it is covered
        await_feed(consent)
        once = check.instructions(consent, "u-1")
        assert once == check.instructions(consent, "u-1")
        assert 20 < once <= check.MAX_INSTRUCTIONS


def test_a_simulated_process_serves_one_thing_after_the_other() -> None:
    """A load waits for a slice of parts at most, news between two waves is one part, and work is counted once."""
    process = Process(1000, Costs(part=1e-5, change=0.0, load=0.001, append=0.0))
    process.run([(0.0, "change"), (0.005, "load"), (0.02, "change"), (0.03, "change")])
    assert process.loaded == [pytest.approx(0.001, abs=0.0006)]
    assert sorted(round(delay, 2) >= 0.02 for delay in process.told) == [False, True, True]
    assert process.busy == pytest.approx(2 * 0.01 + 0.001)


def test_more_processes_bear_more() -> None:
    """With twice the processes each takes less of its core, and a change is told sooner."""
    one, two = (simulate(Fleet("", processes, 4_000, 10, 100, 0), Costs()) for processes in (1, 2))
    assert 1.3 < one[0] / two[0] <= 2
    assert two[1] < one[1]
