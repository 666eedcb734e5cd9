"""The routes of the registry: who may use them, what a list leaves out, and whose name is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import MemoryStore
from tests.service.conftest import NONCE, Ask, Asker, Start

WORDS: dict[str, Any] = {"notice": "promo", "texts": {"vi": "Khuyến mại"}, "purposes": ["marketing"]}
REGISTER, LOAD, REQUIRE = "/v1/notices/register", "/v1/notices/load", "/v1/notices/require"


@pytest.fixture
def as_token(start: Start, ask_as: Ask, tmp_path: Path) -> Any:
    """Make clients of one service, each with a token of this name and scopes."""
    tokens = tmp_path / "tokens.json"
    new_token(tokens, "first", [Scope.LIST])
    service = start(MemoryStore(), tokens)

    def asker(name: str, *scopes: Scope) -> Asker:
        token = new_token(tokens, name, scopes)
        service.app.state.context.tokens.read_again()
        return ask_as(service, token)

    return asker


def test_registering_needs_its_scope_and_loading_none(as_token: Any) -> None:
    """`write:notices` registers and requires; any token loads and lists; other scopes that write do neither."""
    writer, other = as_token("dpo", Scope.WRITE_NOTICES), as_token("shop", Scope.WRITE_CONSENTS)
    for path, question in ((REGISTER, WORDS), (REQUIRE, {})):
        refused = other.post(path, {"nonce": NONCE, **question})
        assert refused.status_code == 403
        assert "write:notices" in refused.json()["detail"]
    assert writer.ask(REGISTER, **WORDS)["by"] == "dpo"
    assert writer.ask(REQUIRE) == {"nonce": NONCE}
    reader = as_token("lister", Scope.LIST)
    assert [notice["texts"] for notice in reader.ask(LOAD, notice="promo")["notices"]] == [WORDS["texts"]]
    assert reader.ask(LOAD, notice="other")["notices"] == []


def test_the_writer_is_the_token_whatever_the_question_says(as_token: Any) -> None:
    """Only a relay passes its client's name on, behind its own."""
    dpo, relay = as_token("dpo", Scope.WRITE_NOTICES), as_token("hanoi", Scope.WRITE_NOTICES, Scope.RELAY)
    assert dpo.ask(REGISTER, **WORDS, by="somebody")["by"] == "dpo"
    assert relay.ask(REGISTER, **{**WORDS, "notice": "n-2"}, by="mailer")["by"] == "hanoi/mailer"
    assert relay.ask(REGISTER, **{**WORDS, "notice": "n-3"})["by"] == "hanoi"


def test_a_list_comes_in_pages_without_texts(as_token: Any) -> None:
    """A list names the languages, and its `after` leads on until it is null."""
    asker = as_token("dpo", Scope.WRITE_NOTICES)
    for number in range(25):
        asker.ask(REGISTER, **{**WORDS, "notice": f"n-{number:02}"})
    first = asker.ask(LOAD, notice=None)
    second = asker.ask(LOAD, notice=None, after=first["after"])
    last = asker.ask(LOAD, notice=None, after=second["after"])
    assert [len(page["notices"]) for page in (first, second, last)] == [20, 5, 0]
    assert (second["after"], last["after"]) == ("n-24", None)
    assert not any("texts" in notice for notice in first["notices"])
    assert {tuple(notice["languages"]) for notice in first["notices"]} == {("vi",)}


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"texts": {"vi_VN": "lời"}}, "BCP 47 tag, such as vi"),
        ({"texts": {"vi": "lời", "VI": "lời"}}, "differ in case alone"),
        ({"texts": {"vi": "ờ" * 30_000}}, "65,536 bytes"),
        ({"texts": {}}, "$.texts"),
        ({"purposes": ["spam"]}, "$.purposes"),
        ({"notice": " promo"}, "white space"),
        ({"recipients": "acme"}, "unknown field"),
    ],
)
def test_a_malformed_notice_is_refused(as_token: Any, changes: dict[str, Any], detail: str) -> None:
    """What makes no notice is `malformed`, and the detail says where."""
    answer = as_token("dpo", Scope.WRITE_NOTICES).post(REGISTER, {"nonce": NONCE, **WORDS, **changes})
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]


def test_a_changed_text_and_a_silent_notice_are_refused_by_the_policy(as_token: Any) -> None:
    """Both are `invalid-event`, with what to do next."""
    asker = as_token("dpo", Scope.WRITE_NOTICES)
    asker.ask(REGISTER, **WORDS)
    for changes, detail in (({"texts": {"vi": "khác"}}, "under a new id"), ({"data": ["payment"]}, "name payment in")):
        answer = asker.post(REGISTER, {"nonce": NONCE, **WORDS, **changes})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:diijam-consent:invalid-event")
        assert detail in answer.json()["detail"]
