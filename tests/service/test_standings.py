"""Standings over HTTP: what is asked, what is answered, and nothing outside a token's view."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import NotEntitled, TooLarge
from diijam_consent_sdk.service import standing_handlers
from diijam_consent_sdk.service.scopes import ASKS, Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.standing import EVERY_ASK, AskScope
from diijam_consent_sdk.stores import HttpStore, MemoryStore
from diijam_consent_sdk.stores.standings import decode_standing
from tests.service.conftest import NONCE, Asker, Running, Start, running
from tests.service.test_problems import is_problem

ALL = {"email", "username"}
SAID: list[e.Event] = [
    e.AccountOpened(),
    e.Granted("marketing", "n-secret", {"email"}),
    e.Granted("surveys", "n-secret"),
    e.Published("avatar"),
    e.Notified("n-secret", "acme-records", ALL, "surveys"),
    e.HoldPlaced("h-secret", "debt", {"payment"}),
    e.RequestFiled("q-secret", "complaint"),
]
# A part of the bytes that each scope shows, and no other.
SHOWN = {
    "ask:marketing": b"marketing:email",
    "ask:profile": b"avatar",
    "ask:sharing": b"acme-records",
    "ask:analytics": b'"surveys":["consented"',
    "ask:retention": b"complaint",
}


@pytest.fixture(scope="module")
def by_scope(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, str]]]:
    """A service over a ledger of a few users, and a token for each scope, which has no other but `list`."""
    path = tmp_path_factory.mktemp("standings") / "tokens.json"
    tokens = {str(scope): new_token(path, scope.replace(":", "-"), {scope, Scope.LIST}) for scope in ASKS}
    store = MemoryStore()
    for number in range(5):
        store.append(f"u-{number}", SAID[: len(SAID) if number else 1])
    one = running(store, path)
    yield one, tokens
    one.stop()


def test_each_user_is_answered_once_in_order(by_scope: tuple[Running, dict[str, str]], http: httpx.Client) -> None:
    """Users come in the order asked, with their versions; equal standings are sent once; an unknown one has 0."""
    service, tokens = by_scope
    asker = Asker(service.url, tokens["ask"], http)
    answer = asker.ask("/v1/standings/load", user_ids=["u-2", "u-9", "u-1", "u-2", "u-0"])
    assert answer["users"] == [["u-2", 7, 0], ["u-9", 0, 1], ["u-1", 7, 0], ["u-0", 1, 2]]
    assert [standing["account"] for standing in answer["standings"]] == ["open", "unknown", "open"]
    assert (answer["nonce"], answer["view"], answer["cursor"]["position"]) == (NONCE, ["ask"], 29)
    nobody = asker.ask("/v1/standings/load", user_ids=[])
    assert (nobody["cursor"], nobody["users"], nobody["standings"]) == (answer["cursor"], [], [])


@pytest.mark.parametrize("scope", SHOWN)
@pytest.mark.parametrize(
    ("path", "question"), [("load", {"user_ids": ["u-1"]}), ("list", {"after": "u-0", "limit": 1})]
)
def test_a_scope_shows_its_part_alone(
    by_scope: tuple[Running, dict[str, str]], http: httpx.Client, scope: str, path: str, question: dict[str, Any]
) -> None:
    """The bytes of an answer have what the asks of the token's scope need, name the view, and show nothing else."""
    service, tokens = by_scope
    body = Asker(service.url, tokens[scope], http).post(f"/v1/standings/{path}", {"nonce": NONCE, **question}).content
    assert [other for other, shown in SHOWN.items() if shown in body] == [scope]
    assert b'"view":["%b"]' % scope.encode() in body
    assert b"secret" not in body


def test_scopes_add_up(
    by_scope: tuple[Running, dict[str, str]], http: httpx.Client, tmp_path: Path, start: Start
) -> None:
    """A token of two scopes sees both parts, one of all five sees everything, as `ask` alone does."""
    store, path = MemoryStore(), tmp_path / "tokens.json"
    store.append("u-1", SAID)
    two = new_token(path, "two", [Scope.ASK_MARKETING, Scope.ASK_PROFILE])
    five = new_token(path, "five", ASKS - {Scope.ASK})
    url = start(store, path).url
    body = Asker(url, two, http).post("/v1/standings/load", {"nonce": NONCE, "user_ids": ["u-1"]}).content
    assert [scope for scope, shown in SHOWN.items() if shown in body] == ["ask:marketing", "ask:profile"]
    assert b'"view":["ask:marketing","ask:profile"]' in body
    assert Asker(url, five, http).ask("/v1/standings/load", user_ids=["u-1"])["view"] == ["ask"]


def test_all_users_are_listed_page_by_page(by_scope: tuple[Running, dict[str, str]], http: httpx.Client) -> None:
    """A list goes through all users with entries in order of their ids, and ends with null."""
    service, tokens = by_scope
    asker, after, seen = Asker(service.url, tokens["ask"], http), None, list[str]()
    for _ in range(10):
        page = asker.ask("/v1/standings/list", after=after, limit=2)
        assert len(page["users"]) <= 2
        seen += [user[0] for user in page["users"]]
        after = page["after"]
        if after is None:
            break
    assert seen == [f"u-{number}" for number in range(5)]


def test_a_list_needs_its_scope_beside_that_of_the_asks(start: Start, tmp_path: Path, http: httpx.Client) -> None:
    """Who may ask may not list everybody, and who may list sees nothing without an ask."""
    path = tmp_path / "tokens.json"
    asks, lists = new_token(path, "asks", [Scope.ASK]), new_token(path, "lists", [Scope.LIST])
    url = start(tokens=path).url
    question = {"nonce": NONCE, "after": None}
    problem = is_problem(Asker(url, asks, http).post("/v1/standings/list", question), "forbidden")
    assert problem["scopes"] == ["list"]
    problem = is_problem(Asker(url, lists, http).post("/v1/standings/list", question), "forbidden")
    assert set(problem["scopes"]) == ASKS


def test_a_relay_narrows_within_its_own_view(start: Start, tmp_path: Path, http: httpx.Client) -> None:
    """What a relay's own token is not for, none of its clients sees, whatever their tokens say."""
    near, far, store = tmp_path / "near.json", tmp_path / "far.json", MemoryStore()
    store.append("u-1", SAID)
    edge = new_token(far, "edge", [Scope.ASK_MARKETING, Scope.ASK_SHARING])
    client = new_token(near, "shop", [Scope.ASK_MARKETING, Scope.ASK_PROFILE])
    everything, nothing = new_token(near, "all", [Scope.ASK]), new_token(near, "profile", [Scope.ASK_PROFILE])
    with closing(HttpStore(start(store, far).url, token=edge, deadline=10)) as upstream:
        relay = start(upstream, near).url
        views = {
            token: Asker(relay, token, http).post("/v1/standings/load", {"nonce": NONCE, "user_ids": ["u-1"]}).content
            for token in (client, everything, nothing)
        }
    assert [scope for scope, shown in SHOWN.items() if shown in views[client]] == ["ask:marketing"]
    assert b'"view":["ask:marketing"]' in views[client]
    assert b'"view":["ask:marketing","ask:sharing"]' in views[everything]
    assert b'"view":[]' in views[nothing]
    assert not any(shown in views[nothing] for shown in SHOWN.values())


def test_the_store_gives_what_the_service_says(by_scope: tuple[Running, dict[str, str]]) -> None:
    """`HttpStore` gives rows with the bytes as they were sent, equal ones shared, in the view that the answer names."""
    service, tokens = by_scope
    with closing(HttpStore(service.url, token=tokens["ask:profile"], deadline=10)) as store:
        found = store.standings(["u-1", "u-2", "u-1"])
        page = store.list_standings("u-2", 2)
    assert [(row.user_id, row.version) for row in found.users] == [("u-1", 7), ("u-2", 7)]
    assert found.users[0].standing is found.users[1].standing
    assert found.view == {AskScope.PROFILE}
    assert decode_standing(found.users[0].standing, found.view).published == {"avatar"}
    assert ([row.user_id for row in page.users], page.after) == (["u-3", "u-4"], "u-4")
    with closing(HttpStore(service.url, token=tokens["ask"], deadline=10)) as store:
        assert store.standings([]).view == EVERY_ASK


def test_a_load_of_several_questions_is_one_answer(start: Start, token_files: tuple[Path, dict[str, str]]) -> None:
    """More than a thousand users are asked for by several questions, and come together in order."""
    users = [f"u-{number}" for number in range(2_500)]
    store = MemoryStore()
    store.append("u-2400", [e.AccountOpened()])
    with closing(HttpStore(start(store).url, token=token_files[1]["both"], deadline=10)) as http_store:
        found = http_store.standings(users)
    assert [row.user_id for row in found.users] == users
    assert sum(row.version for row in found.users) == 1


def test_an_answer_that_is_too_large_is_asked_for_in_halves(
    start: Start, token_files: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standings past the limit are refused as too large, and each half is answered; of one user any is."""
    store = MemoryStore()
    for number in range(4):
        store.append(f"u-{number}", [e.AccountOpened(), e.Notified("n", f"recipient-{number}", ALL, "surveys")])
    monkeypatch.setattr(standing_handlers, "MAX_BYTES", 700)
    users = [f"u-{number}" for number in range(4)]
    with closing(HttpStore(start(store).url, token=token_files[1]["both"], deadline=10)) as http_store:
        with pytest.raises(TooLarge):
            http_store.standings(users)
        assert len(http_store.standings(users[:2]).users) == 2
        monkeypatch.setattr(standing_handlers, "MAX_BYTES", 1)
        assert len(http_store.standings(users[:1]).users) == 1


def test_a_page_ends_by_its_size(
    start: Start, token_files: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a list ends before it is too large, and goes on after its last user."""
    store = MemoryStore()
    for number in range(4):
        store.append(f"u-{number}", [e.AccountOpened(), e.Notified("n", f"recipient-{number}", ALL, "surveys")])
    monkeypatch.setattr(standing_handlers, "PAGE_BYTES", 1)
    with closing(HttpStore(start(store).url, token=token_files[1]["both"], deadline=10)) as http_store:
        pages = [http_store.list_standings(None)]
        while pages[-1].after is not None:
            pages.append(http_store.list_standings(pages[-1].after))
    assert [row.user_id for page in pages for row in page.users] == [f"u-{number}" for number in range(4)]
    assert {len(page.users) for page in pages} <= {0, 1}


def test_a_token_without_an_ask_is_told_who_gives_one(
    shared: Running, token_files: tuple[Path, dict[str, str]]
) -> None:
    """The error names the scopes of which one would do, and who gives it."""
    with (
        closing(HttpStore(shared.url, token=token_files[1]["write"])) as store,
        pytest.raises(
            NotEntitled, match=r"lacks the scope ask or ask:analytics .* who runs the consent service"
        ) as refused,
    ):
        store.standings(["u-1"])
    assert set(refused.value.scopes) == ASKS
