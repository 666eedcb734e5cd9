"""Who wrote an entry, as the service knows it: the token, whatever the question says."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from diijam_consent_sdk import ConsentClient, Provenance
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import NotEntitled
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import HttpStore, MemoryStore
from tests.strategies import START as THEN

from .conftest import NONCE, OPENED, WITHDRAWN, Running, Start

IMPORTED = {"method": "import", "said_at": "2025-03-01T00:00:00Z"}


@attrs.frozen
class Place:
    """A service over a store, and the folder of its tokens."""

    store: MemoryStore
    service: Running
    tokens: Path

    def token(self, name: str, *scopes: Scope) -> str:
        """Make a token of this service."""
        made = new_token(self.tokens, name, scopes)
        self.service.app.state.context.tokens.read_again()
        return made

    def writers(self) -> list[str | None]:
        """Who wrote the entries of the user, oldest first."""
        return [entry.provenance.by for entry in self.store.history("u")]


@pytest.fixture
def place(start: Start, tmp_path: Path) -> Place:
    """An empty ledger behind a service."""
    store, tokens = MemoryStore(), tmp_path / "tokens.json"
    new_token(tokens, "first", [Scope.LIST])
    return Place(store, start(store, tokens), tokens)


def test_the_writer_is_the_token_whatever_the_question_or_the_client_says(place: Place) -> None:
    """A name in the question, a client's actor and a caller's own `by` are all replaced by the token's name."""
    token = place.token("mailer", Scope.ASK, Scope.READ, Scope.WRITE)
    with closing(HttpStore(place.service.url, token=token)) as store:
        store.append("u", [e.AccountOpened()], provenance=Provenance(by="somebody"))
        with ConsentClient(store, follow=False, actor="me") as client:
            client.record("u", e.Withdrawn("surveys"), provenance=Provenance(by="else", method="app"))
            assert client.history("u")[1].provenance == Provenance("mailer", "app")
    assert place.writers() == ["mailer", "mailer"]


def test_a_relay_passes_the_names_of_its_clients_on(place: Place, start: Start, tmp_path: Path) -> None:
    """Through a relay of a relay the entry names all on the way, the nearest to the ledger first."""
    far, near = tmp_path / "far.json", tmp_path / "near.json"
    client_token = new_token(far, "mailer", [Scope.WRITE])
    relay_token = new_token(near, "hue", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE, Scope.RELAY])
    top = place.token("hanoi", Scope.ASK, Scope.READ, Scope.WRITE, Scope.RELAY)
    with (
        closing(HttpStore(place.service.url, token=top)) as above,
        closing(HttpStore(start(above, near).url, token=relay_token)) as below,
        closing(HttpStore(start(below, far).url, token=client_token)) as store,
    ):
        store.append("u", [e.AccountOpened()])
    assert place.writers() == ["hanoi/hue/mailer"]


def test_a_relay_without_the_scope_writes_in_its_own_name(place: Place, start: Start, tmp_path: Path) -> None:
    """Only the scope `relay` lets a name pass."""
    far = tmp_path / "far.json"
    client_token = new_token(far, "mailer", [Scope.WRITE])
    token = place.token("hanoi", Scope.ASK, Scope.READ, Scope.WRITE)
    with (
        closing(HttpStore(place.service.url, token=token)) as above,
        closing(HttpStore(start(above, far).url, token=client_token)) as store,
    ):
        store.append("u", [e.AccountOpened()])
    assert place.writers() == ["hanoi"]


def test_an_import_needs_its_scope_over_http(place: Place) -> None:
    """The scopes of the events alone do not allow `Method.IMPORT`; with `write:imports` it is written."""
    said = Provenance(method="import", said_at=THEN)
    bare = place.token("shop", Scope.WRITE_ACCOUNTS, Scope.WRITE_REFUSALS)
    with closing(HttpStore(place.service.url, token=bare)) as store:
        with pytest.raises(NotEntitled, match="write:imports"):
            store.append("u", [e.Withdrawn("surveys")], provenance=said)
        assert store.append("u", [e.Withdrawn("surveys")]).version == 1
    full = place.token("movers", Scope.WRITE_REFUSALS, Scope.WRITE_IMPORTS)
    with closing(HttpStore(place.service.url, token=full)) as store:
        assert store.append("u", [e.Withdrawn("surveys")], provenance=said).version == 2
    assert place.store.history("u")[1].provenance == attrs.evolve(said, by="movers")


BAD: list[dict[str, Any]] = [
    {"method": "pigeon"}, {"method": "import"}, {"said_at": "2025-03-01T00:00:00Z"}, {"evidence": ""}, {"by": "\u200b"},
    {"evidence": "x" * 257}, {"language": "not a tag"}, {**IMPORTED, "said_at": "2025-03-01"}, {"ip": "10.0.0.1"},
]  # fmt: skip


@pytest.mark.parametrize("provenance", BAD)
def test_a_malformed_provenance_is_refused_whole(place: Place, ask_as: Any, provenance: dict[str, Any]) -> None:
    """It is `malformed`, and nothing is written."""
    asker = ask_as(place.service, place.token("mailer", Scope.WRITE))
    question = {"nonce": NONCE, "user_id": "u", "events": [OPENED, WITHDRAWN], "provenance": provenance}
    answer = asker.post("/v1/events/append", question)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:diijam-consent:malformed")
    assert place.store.history("u") == []
