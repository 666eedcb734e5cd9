"""`diijam-consent conformance`: its output, its exit status, and what it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from diijam_consent_sdk.cli.commands import conformance as command
from diijam_consent_sdk.testing import conformance, unreachable
from diijam_consent_sdk.testing.conformance import Case, load_cases
from tests.cli.conftest import Cli, Ledger
from tests.cli.fakes import FailingStore
from tests.conformance.broken import ForgetsWithdrawals


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Four cases in place of all of them; one needs the clock set."""
    titles = {"A hold that ran out is not released", "An objection to one purpose leaves the others"}
    cases = [case for case in load_cases() if case.title in titles or case.id in {"4-001", "7-001"}]
    monkeypatch.setattr("diijam_consent_sdk.cli.commands.conformance.load_cases", lambda: cases)
    return cases


def test_a_sound_ledger(ledger: Ledger, cli: Cli, few: list[Case]) -> None:
    """All that can be played holds: exit 0, a line for each clause, what was skipped and why, a warning beforehand."""
    result = cli("conformance", "--url", ledger.url)
    assert result.status == 0
    assert result.err == "writing test users of 4 cases; they stay in the ledger\n"
    lines = result.out.splitlines()
    assert lines[0].split() == ["clause", "passed", "failed", "skipped"]
    assert lines[4].split(maxsplit=4) == ["4", "1", "0", "0", "What data is used for"]
    assert lines[8].split() == ["all", "3", "0", "1"]
    assert lines[9].startswith("skipped 6-")
    assert lines[9].endswith(" A hold that ran out is not released")
    assert lines[10] == "    needs a store whose clock can be set"
    assert ledger.entries() > 0


def test_as_json(ledger: Ledger, cli: Cli, few: list[Case]) -> None:
    """The same for machines."""
    told = json.loads(cli("conformance", "--json", "--url", ledger.url).out)
    assert (told["passed"], told["failed"]) == (3, [])
    assert [skipped["clause"] for skipped in told["skipped"]] == [6]


def test_the_environments_ledger_is_spared(ledger: Ledger, cli: Cli) -> None:
    """Without `--url` nothing is written, wherever the environment points: exit 2, and what to give."""
    result = cli("conformance")
    assert (result.status, result.out, ledger.entries()) == (2, "", 0)
    assert result.err.startswith("error: this writes test users that stay in the ledger: say which with --url")


def test_a_broken_ledger(cli: Cli, few: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that does not hold: exit 1, and what was found in place of what."""
    monkeypatch.setattr("diijam_consent_sdk.cli.store.open_store_at", lambda *_, **__: ForgetsWithdrawals())
    result = cli("conformance", "--url", "https://consent.example")
    assert result.status == 1
    assert "failed 4-001 service_improvement needs a consent" in result.out
    assert "expected: {'allowed': False, 'reason': 'withdrawn', 'clause': 4}" in result.out


def test_stopped(ledger: Ledger, cli: Cli, few: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during the cases does not claim that nothing was written."""
    played = conformance.run

    def stopping(*arguments: Any) -> Iterator[Any]:
        """One case, then Ctrl-C."""
        yield next(iter(played(*arguments)))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", stopping)
    result = cli("conformance", "--url", ledger.url)
    assert (result.status, result.out) == (130, "")
    assert result.err.endswith("stopped: 1 of 4 cases were played, and their test users were written\n")
    assert ledger.entries() > 0


def test_a_ledger_out_of_reach(cli: Cli, few: list[Case], failing: FailingStore) -> None:
    """Nothing can be said of a store that does not answer: exit 2 and one line."""
    failing.failures["load"] = unreachable()
    result = cli("conformance", "--url", "https://consent.example")
    assert (result.status, result.out) == (2, "")
    assert result.err.splitlines()[1:] == ["error: out of reach: try again"]
