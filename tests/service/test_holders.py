"""The routes of holders: who may use them, whose list a holder sees, and what it may confirm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diijam_consent_sdk.errors import NotEntitled
from diijam_consent_sdk.events import AccountOpened, Erased, ErasureConfirmed, Event, RequestFiled
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import HttpStore, MemoryStore, Write
from diijam_consent_sdk.vocabulary import RequestKind
from tests.service.conftest import NONCE, Ask, Asker, Running, Start
from tests.service.test_problems import is_problem

REGISTER, RETIRE, LIST, DUE = "/v1/holders/register", "/v1/holders/retire", "/v1/holders/list", "/v1/erasures/due"
ASKED: list[Event] = [AccountOpened(), RequestFiled("q-1", RequestKind.ERASURE)]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """The tokens file of the service."""
    new_token(tmp_path / "tokens.json", "first", [Scope.LIST])
    return tmp_path / "tokens.json"


@pytest.fixture
def behind() -> MemoryStore:
    """The ledger behind the service: two holders owe the erasure of u-1."""
    store = MemoryStore()
    store.register_holder("mailer")
    store.register_holder("warehouse")
    store.append("u-1", ASKED)
    return store


@pytest.fixture
def service(start: Start, tokens: Path, behind: MemoryStore) -> Running:
    """The service."""
    return start(behind, tokens)


@pytest.fixture
def secret(service: Running, tokens: Path) -> Any:
    """Make a token of this name and scopes."""

    def make(name: str, *scopes: Scope) -> str:
        token = new_token(tokens, name, scopes)
        service.app.state.context.tokens.read_again()
        return token

    return make


@pytest.fixture
def as_token(service: Running, secret: Any, ask_as: Ask) -> Any:
    """Make clients of the service, each with a token of this name and scopes."""

    def asker(name: str, *scopes: Scope) -> Asker:
        return ask_as(service, secret(name, *scopes))

    return asker


def confirming(user_id: str, holder: str) -> dict[str, Any]:
    """The question that confirms an erasure."""
    return {"nonce": NONCE, "user_id": user_id, "events": [{"type": "ErasureConfirmed", "holder": holder}]}


def test_registering_needs_its_scope(as_token: Any) -> None:
    """`write:erasures` registers, retires and lists; `read` lists alone; `confirm` none of it."""
    operator, reader = as_token("operator", Scope.WRITE_ERASURES), as_token("reader", Scope.READ)
    holder = as_token("mailer", Scope.CONFIRM)
    registered = operator.ask(REGISTER, holder="search")["holder"]
    assert (registered["holder"], registered["by"]) == ("search", "operator")
    assert operator.ask(RETIRE, holder="warehouse") == {"nonce": NONCE}
    for asker in (operator, reader):
        assert [known["holder"] for known in asker.ask(LIST)["holders"]] == ["mailer", "search"]
    for asker, paths in ((reader, (REGISTER, RETIRE)), (holder, (REGISTER, RETIRE, LIST))):
        for path in paths:
            question = {} if path == LIST else {"holder": "search"}
            assert "write:erasures" in is_problem(asker.post(path, {"nonce": NONCE, **question}), "forbidden")["scopes"]


def test_the_writer_is_the_token_whatever_the_question_says(as_token: Any) -> None:
    """Only a relay passes its client's name on, behind its own."""
    operator = as_token("operator", Scope.WRITE)
    relay = as_token("hanoi", Scope.WRITE_ERASURES, Scope.RELAY)
    assert operator.ask(REGISTER, holder="a", by="somebody")["holder"]["by"] == "operator"
    assert relay.ask(REGISTER, holder="b", by="desk")["holder"]["by"] == "hanoi/desk"


def test_a_holder_sees_what_it_owes_alone(as_token: Any) -> None:
    """`confirm` is for the list of the token's own name; `write:erasures` for all; other scopes for none."""
    mailer, operator = as_token("mailer", Scope.CONFIRM), as_token("operator", Scope.WRITE_ERASURES)
    for asker in (mailer, operator):
        (owed,) = asker.ask(DUE, holder="mailer")["erasures"]
        assert (owed["user_id"], owed["kept"]) == ("u-1", [])
    assert [owed["user_id"] for owed in operator.ask(DUE, holder="warehouse")["erasures"]] == ["u-1"]
    for asker, holder, scopes in (
        (mailer, "warehouse", ["write:erasures"]),
        (as_token("warehouse", Scope.READ, Scope.ASK), "warehouse", ["confirm", "write:erasures"]),
    ):
        answer = asker.post(DUE, {"nonce": NONCE, "holder": holder})
        assert is_problem(answer, "forbidden")["scopes"] == scopes


def test_a_holder_confirms_for_itself_alone(as_token: Any, behind: MemoryStore) -> None:
    """With `confirm` it records its own confirmation and nothing else; `write:erasures` records any."""
    mailer, operator = as_token("mailer", Scope.CONFIRM), as_token("operator", Scope.WRITE_ERASURES)
    append = "/v1/events/append"
    for question in (confirming("u-1", "warehouse"), {**confirming("u-1", "mailer"), "events": [{"type": "Erased"}]}):
        assert is_problem(mailer.post(append, question), "forbidden")["scopes"] == ["write:erasures"]
    both = {**confirming("u-1", "mailer")}
    both["events"] = [*both["events"], {"type": "Erased"}]
    assert is_problem(mailer.post(append, both), "forbidden")["scopes"] == ["write:erasures"]
    answer = mailer.post(append, confirming("u-1", "mailer"))
    assert (answer.status_code, "record" in answer.json()) == (200, False)
    refused = is_problem(
        operator.post(append, {**confirming("u-1", "x"), "events": [{"type": "Erased"}]}), "invalid-event"
    )
    assert refused["detail"].endswith("or retire the holder: warehouse")
    assert operator.post(append, confirming("u-1", "warehouse")).status_code == 200
    assert [entry.provenance.by for entry in behind.history("u-1")][-2:] == ["mailer", "operator"]


def test_a_holder_that_is_no_token_needs_the_other_scope(as_token: Any) -> None:
    """A token of another name is no holder, though it may confirm: it is told what it lacks."""
    other = as_token("mailer-2", Scope.CONFIRM)
    answer = other.post("/v1/events/append", confirming("u-1", "mailer"))
    assert is_problem(answer, "forbidden")["scopes"] == ["write:erasures"]
    problem = is_problem(other.post(DUE, {"nonce": NONCE, "holder": "mailer-2"}), "unknown-holder")
    assert problem["detail"].startswith("no such holder is registered")


def test_the_list_comes_in_pages(as_token: Any, behind: MemoryStore) -> None:
    """`after` is a due time or null and an id; it leads on until it is null."""
    for number in range(5):
        behind.append(f"u-{number + 2}", ASKED)
    mailer = as_token("mailer", Scope.CONFIRM)
    found, after = [], None
    for _ in range(4):
        page = mailer.ask(DUE, holder="mailer", after=after, limit=2)
        found += [owed["user_id"] for owed in page["erasures"]]
        after = page["after"]
    assert (found, after) == ([f"u-{number}" for number in range(1, 7)], None)
    for bad in (["2026-01-01T00:00:00", "u-1"], [None, " u"], [None], ["2026-01-01T00:00:00Z", "u", 1], "u-1"):
        is_problem(mailer.post(DUE, {"nonce": NONCE, "holder": "mailer", "after": bad}), "malformed")


def test_the_store_over_http_is_told_what_it_lacks(service: Running, secret: Any) -> None:
    """A holder's own client works with `confirm` alone; whatever is another's raises `NotEntitled` with the scope."""
    store = HttpStore(service.url, token=secret("mailer", Scope.CONFIRM))
    assert [owed.user_id for owed in store.erasures("mailer").erasures] == ["u-1"]
    for call in (
        lambda: store.erasures("warehouse"),
        lambda: store.register_holder("search"),
        lambda: store.append("u-1", [Erased()]),
    ):
        with pytest.raises(NotEntitled, match="write:erasures"):
            call()
    results = store.append_many([Write("u-1", [ErasureConfirmed(name)]) for name in ("warehouse", "mailer")])
    assert [isinstance(result, NotEntitled) for result in results] == [True, False]
    assert store.erasures("mailer").erasures == ()
    store.close()
