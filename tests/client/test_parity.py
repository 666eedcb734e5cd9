"""Both faces of a thing have the same surface: names, parameters and what comes back."""

from __future__ import annotations

import inspect

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient, UserConsent
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from diijam_consent_sdk.stores.http.async_store import AsyncHttpStore
from diijam_consent_sdk.stores.http.store import HttpStore
from diijam_consent_sdk.stores.postgres.async_store import AsyncPostgresStore
from diijam_consent_sdk.stores.postgres.sync_store import PostgresStore
from diijam_consent_sdk.stores.protocol import AsyncStore, Store
from diijam_consent_sdk.testing import AsyncConsentForTests, ConsentForTests, FaultyStore
from diijam_consent_sdk.testing.faulty import METHODS

NO_GUARD = "a forgotten await must never read as yes"
ONLY_SYNC = {
    "can_market": NO_GUARD,
    "can_share": NO_GUARD,
    "can_process": NO_GUARD,
    "can_retain": NO_GUARD,
    "is_public": NO_GUARD,
    "public_view": NO_GUARD,
    "decide": NO_GUARD,
}
ONLY_ASYNC = {"aclose": "the name that contextlib.aclosing calls"}
PLAIN_CALLS = {
    "from_url": "makes a client, which asks nothing yet",
    "from_env": "as from_url",
    "status": "answers from memory, at once",
    "users": "an async iterator: it waits as the iteration goes on",
    "permitted": "as users",
    "watch": "as users",
}
PLAIN_CALLS_OF_STORES = {"stream_changes": "as users"}
CONTEXT = {"__enter__": "__aenter__", "__exit__": "__aexit__"}
FACES = [(ConsentClient, AsyncConsentClient), (HttpStore, AsyncHttpStore), (Store, AsyncStore)]


def public(kind: type) -> dict[str, inspect.Signature]:
    """The public methods of a class and what they take."""
    methods = {name: value for name, value in inspect.getmembers(kind, callable) if not name.startswith("_")}
    return {name: inspect.signature(method) for name, method in methods.items()}


@pytest.mark.parametrize(("sync_face", "async_face"), FACES, ids=lambda face: face.__name__)
def test_both_faces_have_the_same_operations(sync_face: type, async_face: type) -> None:
    """Names, parameters, defaults, annotations and answers agree, but for what is listed with its reason."""
    sync, asynchronous = public(sync_face), public(async_face)
    of_client = sync_face is ConsentClient
    assert sync.keys() - asynchronous.keys() == (ONLY_SYNC.keys() if of_client else set())
    assert asynchronous.keys() - sync.keys() == (ONLY_ASYNC.keys() if of_client else set())
    for name in sync.keys() & asynchronous.keys():
        assert sync[name].parameters == asynchronous[name].parameters, name
        answer = str(asynchronous[name].return_annotation).removeprefix("Async")
        assert answer == str(sync[name].return_annotation), name


def test_the_async_clients_docstrings_say_what_the_clients_say() -> None:
    """An editor shows what an async method does: its docstring begins as that of the sync one, and refers to it."""
    for name in public(AsyncConsentClient).keys() - ONLY_ASYNC.keys() - {"from_url", "from_env", "status"}:
        doc = " ".join((inspect.getdoc(getattr(AsyncConsentClient, name)) or "").split())
        reference = f" See `ConsentClient.{name}`."
        assert doc.endswith(reference), name
        sync = " ".join((inspect.getdoc(getattr(ConsentClient, name)) or "").split())
        assert sync.startswith(doc.removesuffix(reference)), name


@pytest.mark.parametrize("store", [MemoryStore, SqliteStore, PostgresStore, HttpStore, FaultyStore])
def test_every_store_has_every_method(store: type) -> None:
    """Each store, the test kit's too, has the protocol's methods with their names, parameters and defaults."""
    for name, signature in public(Store).items():
        assert public(store)[name].parameters == signature.parameters, name


@pytest.mark.parametrize("store", [AsyncPostgresStore, AsyncHttpStore])
def test_every_asynchronous_store_has_every_method(store: type) -> None:
    """The same of the asynchronous ones."""
    for name, signature in public(AsyncStore).items():
        assert public(store)[name].parameters == signature.parameters, name


@pytest.mark.parametrize(
    ("kit", "client"), [(ConsentForTests, ConsentClient), (AsyncConsentForTests, AsyncConsentClient)]
)
def test_the_kits_clients_are_the_clients(kit: type, client: type) -> None:
    """What a service calls on a client has the same parameters in its tests."""
    for name, signature in public(client).items():
        assert public(kit)[name].parameters == signature.parameters, name


def test_the_kit_breaks_every_method() -> None:
    """No method of a store is left out of what can fail on demand."""
    assert {*METHODS, "close"} == public(Store).keys()


def test_both_stores_are_made_alike() -> None:
    """An `AsyncHttpStore` takes what an `HttpStore` takes."""
    assert inspect.signature(HttpStore) == inspect.signature(AsyncHttpStore)


@pytest.mark.parametrize("async_face", [face for _, face in FACES], ids=lambda face: face.__name__)
def test_what_waits_is_a_coroutine(async_face: type) -> None:
    """Each async operation is awaited, but for those that are listed with their reason."""
    plain = {name for name in public(async_face) if not inspect.iscoroutinefunction(getattr(async_face, name))}
    listed = PLAIN_CALLS if async_face is AsyncConsentClient else PLAIN_CALLS_OF_STORES
    assert plain == listed.keys() & public(async_face).keys()


def test_both_clients_are_context_managers() -> None:
    """`with` and `async with` close them."""
    for sync, asynchronous in CONTEXT.items():
        assert hasattr(ConsentClient, sync)
        assert hasattr(AsyncConsentClient, asynchronous)
        assert not hasattr(AsyncConsentClient, sync)


def test_guards_in_one_step_are_those_of_the_user() -> None:
    """Each guard of a `UserConsent` exists on the sync client with the user's id before its parameters."""
    guards = {name: public(UserConsent)[name] for name in ONLY_SYNC}
    for name, signature in guards.items():
        own, mine = list(signature.parameters.values()), list(public(ConsentClient)[name].parameters.values())
        assert [mine[0], *mine[2:]] == own, name
        assert mine[1].name == "user_id"
