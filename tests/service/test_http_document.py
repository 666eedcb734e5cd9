"""docs/http.md says what the service does, and its commands work."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import httpx
import pytest

from diijam_consent_sdk.service.handlers import OPERATIONS
from diijam_consent_sdk.service.openapi import OPERATIONS as DOCUMENTED
from diijam_consent_sdk.service.problems import PROBLEMS
from diijam_consent_sdk.service.scopes import (
    ANY,
    APPENDS,
    ASKS,
    CHANGES,
    ERASURES,
    EVENTS,
    HOLDERS,
    LISTS,
    NOTICES,
    OWED,
    READS,
    SCOPE_OF_EVENT,
    Scope,
)
from diijam_consent_sdk.stores import wire
from diijam_consent_sdk.stores.http.exchange import PATHS
from tests.service.conftest import Running

DOCUMENT = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
NEEDS: dict[frozenset[Scope] | None, str] = {
    ASKS: "`ask…`",
    READS: "`read`",
    CHANGES: "`ask…` or `read`",
    APPENDS: "by event, below",
    NOTICES: "`write:notices`",
    ERASURES: "`write:erasures`",
    HOLDERS: "`write:erasures` or `read`",
    OWED: "`write:erasures`, or `confirm` for its own",
    ANY: "any",
}
BESIDE = {frozenset[Scope](): "", LISTS: "`list` and "}
COMMANDS = re.findall(r"^\$ (curl .*)$", DOCUMENT, re.MULTILINE)


def test_every_route_has_its_row() -> None:
    """The table of routes has each operation, with the scopes of which it needs one."""
    rows = re.findall(r"^\| `(POST|GET) (\S+)` \| ([^|]+) \|", DOCUMENT, re.MULTILINE)
    questions = {("POST", one.path, BESIDE[one.beside] + NEEDS[DOCUMENTED[one.question][1]]) for one in OPERATIONS}
    assert {path for _, path, _ in questions} == set(PATHS.values())
    assert set(rows) == questions | {("GET", path, "none") for path in ("/healthz", "/metrics", "/openapi.json")}


def test_every_event_has_its_scope() -> None:
    """The table of scopes is the service's, and has every event there is."""
    rows = dict(re.findall(r"^\| `(write:\w+)` \| (.+) \|$", DOCUMENT, re.MULTILINE))
    assert rows.pop("write:imports").startswith("beside")
    documented = {scope: tuple(re.findall(r"`(\w+)`", events)) for scope, events in rows.items()}
    assert documented == EVENTS
    assert SCOPE_OF_EVENT.keys() >= wire.EVENT_TYPES.keys()


def test_every_problem_has_its_row() -> None:
    """The table of problems is the service's, with its limits' statuses and titles."""
    rows = re.findall(r"^\| `(\S+)` \| (\d+) \| (.+) \|$", DOCUMENT, re.MULTILINE)
    assert {word: (int(status), title) for word, status, title in rows} == PROBLEMS


def test_its_commands_are_answered(
    service: Running, http: httpx.Client, token_files: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What curl is shown to send, sent so, is answered: the others see what the first wrote."""
    monkeypatch.setenv("DIIJAM_CONSENT_URL", service.url)
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", token_files[1]["both"])
    answers = []
    for command in COMMANDS:
        _, quiet, url, *options = map(os.path.expandvars, shlex.split(command))
        assert quiet == "-s"
        given = list(zip(options[::2], options[1::2], strict=True))
        headers = dict(value.split(": ", 1) for flag, value in given if flag == "-H")
        (body,) = [value for flag, value in given if flag == "-d"]
        answers.append(http.post(url, headers=headers, content=body.encode()))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[1].json()["users"] == [["u-1", 2, 0]]
    assert answers[0].json()["record"] == answers[2].json()["records"][0]
