"""Plain http is spoken to this machine, and to hosts that somebody named: exactly these."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk.cli.app import run
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import AsyncHttpStore, HttpStore
from tests.service.conftest import Running

KINDS = [HttpStore, AsyncHttpStore, ConsentClient.from_url, AsyncConsentClient.from_url]
VARIABLE = "DIIJAM_CONSENT_INSECURE_HOSTS"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://consent:8700", {"consent"}),
        ("http://CONSENT.internal:8700/v", {"consent.internal", "other"}),
        ("http://consent.internal", frozenset({"Consent.Internal"})),
        ("http://10.0.0.7:8700", ["10.0.0.7"]),
        ("http://[fd00::7]:8700", ("fd00::7",)),
        ("http://127.0.0.1:8700", ()),
        ("https://consent.example", ()),
    ],
)
def test_a_named_host_may_be_asked_in_clear_text(kind: Any, url: str, hosts: Any) -> None:
    """The host of the URL is compared with the names as a whole, in any case."""
    kind(url, insecure_hosts=hosts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://consent:8700", set()),
        ("http://consent:8700", {"consent.internal"}),
        ("http://a.consent:8700", {"consent"}),
        ("http://consent.:8700", {"consent"}),
        ("http://consent.evil.example", {"consent"}),
        ("http://10.0.0.70", {"10.0.0.7"}),
        ("http://consent@evil.example", {"consent"}),
        ("http://consent:8700@evil.example", {"consent"}),
        ("http://evil.example#@consent", {"consent"}),
        ("http://evil.example\\@consent", {"consent"}),
        ("http://consent:port", {"consent"}),
    ],
)
def test_any_other_host_is_refused(kind: Any, url: str, hosts: Any) -> None:
    """A part of a name, a subdomain, another spelling or a name elsewhere in the URL is not the host."""
    with pytest.raises(ValueError, match=r"plain http is only for this machine|the URL of a consent service"):
        kind(url, insecure_hosts=hosts)


@pytest.mark.parametrize("bad", ["", "*", "*.internal", "consent:8700", "http://consent", "a b", "consent/"])
def test_what_is_no_name_of_a_host_is_refused(bad: str) -> None:
    """A pattern, a port or a URL among the names is an error, and so is one string in place of a set."""
    with pytest.raises(ValueError, match="exact host names"):
        HttpStore("https://consent.example", insecure_hosts={bad})
    with pytest.raises(TypeError, match="a set of host names, not one string"):
        HttpStore("https://consent.example", insecure_hosts=bad)
    with pytest.raises(TypeError, match="a string, not int"):
        HttpStore("https://consent.example", insecure_hosts=[7])  # type: ignore[list-item]


def test_the_environment_names_hosts(
    shared: Running, token_files: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """`from_env` and the command line take the names with commas between, and reach the host."""
    resolve = socket.getaddrinfo

    def resolving(host: Any, *more: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host in {"consent.internal", b"consent.internal"} else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolving)
    monkeypatch.setenv("DIIJAM_CONSENT_URL", shared.url.replace("127.0.0.1", "consent.internal"))
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", token_files[1]["both"])
    for names in ("", "consent", ", ,"):
        monkeypatch.setenv(VARIABLE, names)
        with pytest.raises(ValueError, match=VARIABLE):
            ConsentClient.from_env()
        assert run(["check", "u", "market", "email"]) == 2
    monkeypatch.setenv(VARIABLE, "other, consent.internal ,")
    with ConsentClient.from_env(deadline=5) as consent:
        consent.record("insecure", AccountOpened())
    assert run(["check", "insecure", "process", "payment"]) == 0
    capsys.readouterr()
    with pytest.raises(ValueError, match=VARIABLE):
        ConsentClient.from_env(insecure_hosts=())
