"""URLs: what cannot be seen in them is refused, no password is repeated, PostgreSQL elsewhere is asked over TLS."""

from __future__ import annotations

import logging
import socket
import struct
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import AsyncPostgresStore, HttpStore, PostgresStore
from diijam_consent_sdk.stores.postgres import url as postgres_url
from diijam_consent_sdk.stores.postgres.schema import prepare
from diijam_consent_sdk.stores.url import open_async_store, open_store
from tests.stores.plain_server import SSL_REQUEST, PlainServer

SECRET = "er2secret"
URLS = (
    "memory:",
    "sqlite:///{}/c.db",
    "postgresql:///consent?host={}",
    "http://127.0.0.1:9",
    "https://consent.example",
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)


# Characters that cannot be seen.


@pytest.mark.parametrize("spoilt", ["{}\n", "{}\r\n", "\n{}", "{} ", " {}", "{}\u200b", "\ufeff{}", "{}\0", "{}\u2028"])
@pytest.mark.parametrize("url", URLS)
def test_a_url_with_a_line_end_is_refused(
    url: str, spoilt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the kind of store, given or from the environment, for both clients, and no file is made."""
    url = spoilt.format(url.format(tmp_path))
    openers: list[Callable[[str], object]] = [open_store, open_async_store, ConsentClient.from_url]
    for opener in (*openers, AsyncConsentClient.from_url):
        with pytest.raises(ValueError, match="cannot be seen"):
            opener(url)
    if "\0" not in url:
        monkeypatch.setenv("DIIJAM_CONSENT_URL", url)
        with pytest.raises(ValueError, match="cannot be seen"):
            ConsentClient.from_env()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [PostgresStore, AsyncPostgresStore, HttpStore, prepare])
def test_a_store_that_is_made_by_itself_refuses_it_too(make: Callable[[str], object]) -> None:
    """The stores that take a URL check it, also without `from_url`."""
    with pytest.raises(ValueError, match="cannot be seen"):
        make("https://consent.example\n" if make is HttpStore else "postgresql:///consent\n")


# Passwords.

NOT_ENCODED = [
    f"postgresql://consent:hunt@{SECRET}@127.0.0.1:9/consent",
    f"postgresql://consent:hunt@{SECRET}/x@127.0.0.1:9/consent",
    f"postgresql://consent:hunt/{SECRET}@127.0.0.1:9/consent",
    f"postgresql://consent:{SECRET}/hunt@127.0.0.1:9/consent",
    f"postgresql://consent:{SECRET}/hunt",
    f"postgresql://consent:{SECRET}%zz@127.0.0.1:9/consent",
    f"postgresql://consent:{SECRET}%ff@127.0.0.1:9/consent",
    f"postgresql://consent:hunt {SECRET}@127.0.0.1:9/consent",
    f"postgresql://consent:%40{SECRET}@x%40{SECRET}/consent",
    f"postgresql:///consent?host=x@{SECRET}",
    f"https://consent:{SECRET}@consent.example",
    f"https://consent:hunt@{SECRET}@consent.example",
    f"https://consent:{SECRET}/hunt@consent.example",
    f"https://consent:{SECRET}/hunt",
    f"https://consent:{SECRET}\u2100@consent.example",
]


@pytest.mark.parametrize("url", NOT_ENCODED)
def test_no_part_of_a_password_is_repeated(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that was not encoded is refused before it could reach a name server, and is not repeated."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name server was asked"))
    caplog.set_level(logging.DEBUG)
    for opener in (open_store, open_async_store):
        with pytest.raises(ValueError, match="%40" if url.startswith("postgresql") else "service") as caught:
            opener(url)
        assert SECRET not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


# TLS to PostgreSQL on another host.


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlainServer]:
    """A server without TLS, which this machine's own addresses do not lead past: no address counts as this machine."""
    server = PlainServer()
    monkeypatch.setattr(postgres_url, "is_loopback", lambda place: False)
    yield server
    server.close()


@contextmanager
def _service_file(folder: Path, monkeypatch: pytest.MonkeyPatch, **fields: object) -> Iterator[None]:
    lines = "".join(f"{name}={value}\n" for name, value in fields.items())
    (folder / "services.conf").write_text(f"[away]\n{lines}", encoding="utf-8")
    monkeypatch.setenv("PGSERVICEFILE", str(folder / "services.conf"))
    yield


ELSEWHERE = {
    "name": "postgresql://u:{secret}@db.example/d",
    "address": "postgresql://u:{secret}@10.1.2.3/d",
    "address of IPv6": "postgresql://u:{secret}@[2001:db8::1]/d",
    "what looks like a drive": "postgresql://u:{secret}@/d?host=a::1",
    "other spellings of this machine": "postgresql://u:{secret}@127.1/d",
    "encoded": "postgresql://u:{secret}@db%2eexample/d",
    "encoded list": "postgresql://u:{secret}@localhost%2Cdb.example/d",
    "in the query": "postgresql://u:{secret}@/d?host=db.example",
    "query over authority": "postgresql://u:{secret}@localhost/d?host=db.example",
    "hostaddr": "postgresql://u:{secret}@localhost/d?hostaddr=10.1.2.3",
    "hostaddr alone": "postgresql://u:{secret}@/d?hostaddr=10.1.2.3",
    "second of several": "postgresql://u:{secret}@127.0.0.1,db.example/d",
    "first of several": "postgresql://u:{secret}@db.example,localhost/d",
    "after a socket": "postgresql://u:{secret}@/d?host=/tmp,db.example",
    "second hostaddr": "postgresql://u:{secret}@a,b/d?hostaddr=127.0.0.1,10.1.2.3",
    "connection string": "host=db.example user=u password={secret}",
    "service": "postgresql://u:{secret}@/d?service=away",
    "service beside a host": "postgresql://u:{secret}@localhost/d?service=away",
    "other scheme": "postgres://u:{secret}@db.example/d",
}
TOO_LITTLE = ["", "sslmode=prefer", "sslmode=allow", "sslmode=disable", "sslmode=verify-full&sslmode=disable"]


@pytest.mark.parametrize("sslmode", TOO_LITTLE)
@pytest.mark.parametrize("url", ELSEWHERE.values(), ids=ELSEWHERE)
def test_another_host_needs_tls(url: str, sslmode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a URL names another host, it is refused unless it asks for TLS; the environment asks for nobody."""
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name server was asked"))
    url = url.format(secret=SECRET)
    if sslmode:
        url += ("&" if "?" in url else "?") + sslmode if "://" in url else " " + sslmode.rpartition("&")[2]
    for make in (PostgresStore, AsyncPostgresStore, prepare):
        with pytest.raises(ValueError, match="sslmode=verify-full") as caught:
            make(url)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR"])
def test_a_host_of_the_environment_needs_tls(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libpq takes the host from the environment, the URL has to ask for TLS all the same."""
    monkeypatch.setenv(name, "10.1.2.3")
    with pytest.raises(ValueError, match="sslmode=verify-full"):
        PostgresStore(f"postgresql://u:{SECRET}@/d")


def test_a_host_of_the_environments_service_needs_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it does where the host comes from the service that the environment names."""
    with _service_file(tmp_path, monkeypatch, hostaddr="10.1.2.3", sslmode="require"):
        monkeypatch.setenv("PGSERVICE", "away")
        with pytest.raises(ValueError, match="sslmode=verify-full"):
            PostgresStore(f"postgresql://u:{SECRET}@localhost/d")


@pytest.mark.parametrize(
    "place", ["", "localhost", "127.0.0.1", "127.8.9.1", "[::1]", "%2Fvar%2Frun", "localhost,[::1]"]
)
def test_this_machine_needs_no_tls(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets and loopback addresses are asked as the URL says, wherever the environment points later."""
    parameters = postgres_url.parameters(f"postgresql://u@{place}/d")
    assert "sslmode" not in parameters
    assert parameters["hostaddr"] == ""


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_nothing_is_sent_to_a_server_without_tls(
    sslmode: str, refusing: PlainServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that declines TLS sees neither user nor password, whatever the environment or a service file allows."""
    for name, value in (("PGSSLMODE", "disable"), ("PGGSSENCMODE", "prefer"), ("PGSSLMINPROTOCOLVERSION", "TLSv1")):
        monkeypatch.setenv(name, value)
    root = tmp_path / "root.crt"
    root.write_text("", encoding="utf-8")
    end = f"127.0.0.1:{refusing.port}/d?sslmode={sslmode}&sslrootcert={root}"
    with _service_file(tmp_path, monkeypatch, sslmode="disable"):
        monkeypatch.setenv("PGSERVICE", "away")
        store = PostgresStore(f"postgresql://vinh:{SECRET}@{end}", deadline=0.5)
        with pytest.raises(StoreUnavailable) as caught:
            store.load([])
        store.close()
    with pytest.raises(StoreUnavailable):
        prepare(f"postgresql://vinh:{SECRET}@{end}")
    sent = b"".join(refusing.received)
    assert not sent or set(refusing.received) == {struct.pack("!II", 8, SSL_REQUEST)}
    assert SECRET not in str(caught.value)


def test_the_fake_server_would_see_a_password() -> None:
    """Where TLS is not needed, the server of the test before gets the password: it can tell."""
    server = PlainServer()
    with suppress(StoreUnavailable):
        prepare(f"postgresql://vinh:{SECRET}@127.0.0.1:{server.port}/d")
    server.close()
    assert SECRET.encode() in b"".join(server.received)


def test_a_missing_root_certificate_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that TLS needs and that does not exist is no missing database: the file is named, and the option."""
    monkeypatch.setattr(PlainServer, "answer", b"S")
    server = PlainServer()
    url = f"postgresql://vinh:{SECRET}@127.0.0.1:{server.port}/d?sslmode=verify-full&sslrootcert={tmp_path}/no.crt"
    with pytest.raises(StoreUnavailable, match=f'"{tmp_path}/no.crt" does not exist.*sslrootcert=') as caught:
        prepare(url)
    server.close()
    assert "create it" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://[{}]/", "https://[{}", "https://h]{}/", "https://[::1]{}/"])
def test_what_is_no_address_is_not_repeated(url: str) -> None:
    """A secret in the place of a host is in no error: not in the words of those who could not read it either."""
    with pytest.raises(ValueError, match="URL") as caught:
        HttpStore(url.format("a-secret"))
    assert "a-secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_token_that_is_taken_for_a_file_is_in_no_traceback() -> None:
    """What token= raises may show the token: it is named, and not shown."""

    def token() -> str:
        return Path("a-secret").read_text(encoding="utf-8")

    with (
        closing(HttpStore("https://127.0.0.1:1", token=token)) as store,
        pytest.raises(StoreUnavailable, match="FileNotFoundError") as caught,
    ):
        store.load([])
    shown = "".join(traceback.format_exception(caught.value))
    assert "No such file" not in shown
