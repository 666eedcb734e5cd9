"""Tokens: how they are made and kept, and what they allow."""

from __future__ import annotations

import hashlib
import json
import stat
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from diijam_consent_sdk.service import create_app
from diijam_consent_sdk.service.commands import token_new
from diijam_consent_sdk.service.tokens import Scope, TokenFile, TokensUnreadable, new_token
from diijam_consent_sdk.stores import MemoryStore
from tests.service.conftest import NONCE, OPENED, Ask, Asker, Running, Start
from tests.service.test_problems import is_problem

QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/records/load": ("read", {"user_ids": []}),
    "/v1/history/load": ("read", {"user_id": "u-1"}),
    "/v1/requests/due": ("read", {}),
    "/v1/changes": ("read", {"after": {"epoch": "e", "position": 0, "hash": "h"}}),
    "/v1/events/append": ("write", {"user_id": "u-1", "events": [OPENED], "idempotency_key": "k"}),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a tokens file may be made."""
    return tmp_path / "tokens.json"


@pytest.mark.parametrize("path", QUESTIONS)
def test_each_question_needs_its_scope(service: Running, ask_as: Ask, path: str) -> None:
    """A token with the scope of a question, and no other, is answered; one without it is forbidden."""
    scope, question = QUESTIONS[path]
    for token in ("read", "write", "both"):
        answer = ask_as(service, token).post(path, {"nonce": NONCE, **question})
        if token in {scope, "both"}:
            assert answer.status_code == 200
        else:
            assert scope in is_problem(answer, "forbidden")["detail"]
            assert "insufficient_scope" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer unknown", "Basic dTpw", "bearer \xe9\xff", "Bearer a b"],
)
def test_without_a_known_token_nobody_is_let_in(
    shared: Running, http: httpx.Client, path: str, header: str | None
) -> None:
    """A question without a token, or with an unknown one, is unauthorized, before its body is looked at."""
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    answer = http.post(shared.url + path, content=b"{", headers=headers)
    is_problem(answer, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_is_printed_once_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`token new` prints the token, alone, on standard output, and everything else on standard error."""
    assert token_new(tokens=path, scope=[Scope.READ, Scope.WRITE]) == 0
    out, err = capsys.readouterr()
    token = out.removesuffix("\n")
    assert TokenFile(path).scopes_of(token) == frozenset(Scope)
    assert "\n" not in token
    assert token not in err
    assert str(path) in err


def test_only_the_hash_is_kept(path: Path) -> None:
    """The file keeps of a token its SHA-256, scopes and time, is its owner's alone, and has no other content."""
    name, token = new_token(path, [Scope.READ])
    assert token not in path.read_text()
    (entry,) = json.loads(path.read_text())
    assert set(entry) == {"id", "sha256", "scopes", "created_at"}
    assert (entry["id"], entry["scopes"]) == (name, ["read"])
    assert entry["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_new_token_keeps_the_others(path: Path) -> None:
    """Tokens are added, also by several commands at once; none is lost."""
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(new_token(path, [Scope.READ])[1])) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = TokenFile(path)
    assert all(known.scopes_of(token) for token in made)
    assert len(json.loads(path.read_text())) == 20


def test_a_link_to_the_file_stays_one(path: Path, tmp_path: Path) -> None:
    """A token is added to the file that a link leads to."""
    link = tmp_path / "link.json"
    new_token(path, [Scope.READ])
    link.symlink_to(path)
    token = new_token(link, [Scope.WRITE])[1]
    assert link.is_symlink()
    assert TokenFile(path).scopes_of(token) == frozenset({Scope.WRITE})


def test_a_token_needs_a_scope(path: Path) -> None:
    """A token without a scope, or with an unknown one, is not made."""
    with pytest.raises(ValueError, match="--scope read or --scope write"):
        new_token(path, [])
    with pytest.raises(ValueError, match="admin"):
        new_token(path, ["admin"])  # type: ignore[list-item]
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[1]", "null", '[{"id": "a", "sha256": "x", "scopes": ["read"], "created_at": "2026-11-24T08:00:00Z"}]'],
)
def test_a_malformed_file_is_an_error_at_the_start(path: Path, content: str) -> None:
    """A file that holds no tokens keeps the service from starting, and a new token from replacing what is there."""
    path.write_text(content)
    with pytest.raises(ValueError, match="is no tokens file"):
        create_app(MemoryStore(), tokens=path)
    with pytest.raises(ValueError, match="is no tokens file"):
        new_token(path, [Scope.READ])
    assert path.read_text() == content


def test_a_missing_file_is_an_error_at_the_start(path: Path) -> None:
    """Without a tokens file the service does not start."""
    with pytest.raises(FileNotFoundError):
        create_app(MemoryStore(), tokens=path)


def test_a_revoked_token_stops_within_seconds(start: Start, path: Path, http: httpx.Client) -> None:
    """The file is read again when it changes: a new token is let in, a revoked one is not, without a restart."""
    old = new_token(path, [Scope.READ])[1]
    running = start(tokens=path)
    was = Asker(running.url, old, http)
    was.load()
    path.unlink()
    now = Asker(running.url, new_token(path, [Scope.READ])[1], http)
    until = time.monotonic() + 3
    while was.post("/v1/records/load", {"nonce": NONCE, "user_ids": []}).status_code != 401:
        assert time.monotonic() < until
        time.sleep(0.05)
    now.load()


def test_a_file_that_breaks_lets_nobody_in_until_it_is_right(path: Path) -> None:
    """A file that becomes unreadable refuses every token, then is read again once it is put right."""
    now = 0.0
    token = new_token(path, [Scope.READ])[1]
    right = path.read_bytes()
    tokens = TokenFile(path, clock=lambda: now)
    path.write_bytes(b"[")
    now += 1
    for _ in range(2):
        with pytest.raises(TokensUnreadable):
            tokens.scopes_of(token)
    path.write_bytes(right)
    now += 1
    assert tokens.scopes_of(token) == frozenset({Scope.READ})


def test_an_unreadable_file_is_answered_as_unavailable(start: Start, path: Path, http: httpx.Client) -> None:
    """While the tokens cannot be read, clients are told to try again, not that their token is wrong."""
    token = new_token(path, [Scope.READ])[1]
    asker = Asker(start(tokens=path).url, token, http)
    path.unlink()
    time.sleep(0.6)
    is_problem(asker.post("/v1/records/load", {"nonce": NONCE, "user_ids": []}), "store-unavailable")


def test_all_hashes_are_compared(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every entry is compared, in constant time, wherever the right one is."""
    import hmac  # noqa: PLC0415

    made = [new_token(path, [Scope.READ])[1] for _ in range(3)]
    compared: list[str] = []
    compare = hmac.compare_digest

    def counting(one: str, other: str) -> bool:
        compared.append(one)
        return compare(one, other)

    tokens = TokenFile(path)
    monkeypatch.setattr(hmac, "compare_digest", counting)
    for token in [*made, "unknown"]:
        tokens.scopes_of(token)
    assert len(compared) == 12
