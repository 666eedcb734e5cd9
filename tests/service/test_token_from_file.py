"""A client's token in a file: read again for each call, checked for its owner, never shown."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from diijam_consent_sdk import ConsentClient, Reason
from diijam_consent_sdk.errors import OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.events import AccountOpened, Granted, Withdrawn
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token, rotate_token
from diijam_consent_sdk.stores import HttpStore, MemoryStore
from diijam_consent_sdk.stores.url import token_from_env
from diijam_consent_sdk.testing import FaultyStore
from tests.client.conftest import SIGNED_UP, eventually
from tests.service.conftest import Running, Start

SERVICE = "https://consent.example"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the environment names, with a token that no service knows."""
    path = tmp_path / "mailer.token"
    path.write_text("dcs_secret-unknown\n")
    path.chmod(0o600)
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN_FILE", str(path))
    monkeypatch.delenv("DIIJAM_CONSENT_TOKEN", raising=False)
    return path


def test_a_rotated_token_is_used_as_soon_as_it_is_in_the_file(
    shared: Running, token_files: tuple[Path, dict[str, str]], secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that was refused goes on with the new token, without a restart."""
    monkeypatch.setenv("DIIJAM_CONSENT_URL", shared.url)
    with ConsentClient.from_env(follow=False, deadline=10) as consent:
        with pytest.raises(StoreUnavailable, match="status 401"):
            consent.load("u-1")
        secret.write_text(token_files[1]["read"] + "\n")
        assert consent.load("u-1").version == 0


def is_refused(consent: ConsentClient) -> bool:
    """Whether the service knows the client's token no more."""
    try:
        consent.load("u-2")
    except StoreUnavailable as error:
        return "status 401" in str(error)
    return False


def test_a_rotation_amid_a_write_loses_no_no(
    start: Start, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A withdrawal whose answer got lost is repeated with the new token, and is in the ledger once."""
    tokens, store = tmp_path / "tokens.json", FaultyStore(MemoryStore())
    secret.write_text(new_token(tokens, "shop", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE]))
    monkeypatch.setenv("DIIJAM_CONSENT_URL", start(store, tokens).url)
    with ConsentClient.from_env(follow=False, deadline=5) as consent:
        consent.record("u-1", *SIGNED_UP)
        store.broken_after = OutcomeUnknown("unknown", "k")
        with pytest.raises(OutcomeUnknown):
            consent.record("u-1", Withdrawn("marketing"))
        new, _ = rotate_token(tokens, "shop", timedelta(0))
        assert eventually(lambda: is_refused(consent))
        store.broken_after = None
        assert consent.can_market("u-1", "email").reason is Reason.UNAVAILABLE
        secret.write_text(new)
        assert eventually(lambda: consent.can_market("u-1", "email").reason is Reason.WITHDRAWN, within=20)
        assert [type(entry.event) for entry in consent.history("u-1")] == [AccountOpened, Granted, Withdrawn]


def test_a_file_that_goes_away_is_a_clear_error(
    shared: Running, token_files: tuple[Path, dict[str, str]], secret: Path
) -> None:
    """Nothing is sent without a token, and the error names the file and the cause."""
    secret.write_text(token_files[1]["read"])
    with closing(HttpStore(shared.url, token=token_from_env(SERVICE))) as store:
        store.load(())
        secret.unlink()
        with pytest.raises(StoreUnavailable, match="nothing was sent: No such file or directory") as gone:
            store.load(())
    assert str(secret) in str(gone.value)


@pytest.mark.parametrize("content", ["", "\n", "two dcs_words", "dcs_é", "x" * 5000 + " "])
def test_what_is_no_token_is_refused_at_the_start(secret: Path, content: str) -> None:
    """A file without one token alone is an error that shows nothing of it."""
    secret.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match="holds no token") as refused:
        token_from_env(SERVICE)
    assert str(secret) in str(refused.value)
    assert "dcs_" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o666, 0o620])
def test_a_file_that_others_may_write_is_refused(secret: Path, mode: int) -> None:
    """Another user could have the client present a token of theirs."""
    secret.chmod(mode)
    with pytest.raises(PermissionError, match="chmod go-w"):
        token_from_env(SERVICE)


def test_a_missing_file_is_an_error_at_the_start(secret: Path) -> None:
    """A wrong name is found when the client is made."""
    secret.unlink()
    with pytest.raises(FileNotFoundError) as missing:
        token_from_env(SERVICE)
    assert missing.value.__notes__ == ["DIIJAM_CONSENT_TOKEN_FILE names this file"]


@pytest.mark.parametrize("url", ["memory:", "sqlite:///ledger.db", "postgresql://localhost/ledger"])
def test_a_database_needs_no_token(secret: Path, url: str) -> None:
    """A restore on the service's machine is not stopped by what the environment says of a service."""
    secret.unlink()
    assert token_from_env(url) is None


def test_two_tokens_are_refused(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not guessed which of two variables is meant; an empty one is none."""
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", "dcs_other")
    with pytest.raises(ValueError, match="both set") as refused:
        token_from_env(SERVICE)
    assert "dcs_other" not in str(refused.value)
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", "")
    assert callable(token_from_env(SERVICE))
    assert "dcs_" not in repr(token_from_env(SERVICE))
    assert os.environ["DIIJAM_CONSENT_TOKEN_FILE"] == str(secret)
