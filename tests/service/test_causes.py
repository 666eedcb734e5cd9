"""Why a service cannot be asked: said in the error, in `status().last_error` and in the log, and never with a token."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk._tls import server_context
from diijam_consent_sdk.errors import NotEntitled, StoreUnavailable
from diijam_consent_sdk.stores import AsyncHttpStore, HttpStore, MemoryStore
from tests.certificates import Authority, needs_openssl
from tests.service.conftest import NONCE, Ask, Running, Start, running

TOKEN = "dcs_a-token-that-nobody-may-read"
HTML = b"<html><title>Welcome to nginx!</title></html>"
Told = Callable[..., str]


def page(status: str, body: bytes = HTML, more: str = "") -> bytes:
    """An answer of another program."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


@pytest.fixture(params=["sync", "async"])
def told(request: pytest.FixtureRequest) -> Told:
    """Asks a service on one face; what the error says, which the status and the log say as well."""

    def sync(url: str, options: dict[str, Any]) -> tuple[str, str | None]:
        with closing(HttpStore(url, **options)) as store, ConsentClient(store, follow=False, deadline=5) as consent:
            with pytest.raises((NotEntitled, StoreUnavailable)) as error:
                store.standings(["nguyen-van-a"])
            assert not consent.can_market("nguyen-van-a", "email")
            return str(error.value), consent.status().last_error

    async def other(url: str, options: dict[str, Any]) -> tuple[str, str | None]:
        """The same, awaited."""
        store = AsyncHttpStore(url, **options)
        async with AsyncConsentClient(store, follow=False, deadline=5) as consent:
            with pytest.raises((NotEntitled, StoreUnavailable)) as error:
                await store.standings(["nguyen-van-a"])
            assert not (await consent.user("nguyen-van-a")).can_market("email")
            last_error = consent.status().last_error
        await store.close()
        return str(error.value), last_error

    def ask(url: str, **options: Any) -> str:
        options = {"token": TOKEN, "deadline": 0.5, **options}
        with structlog.testing.capture_logs() as lines:
            said, last_error = sync(url, options) if request.param == "sync" else asyncio.run(other(url, options))
        (line,) = [line for line in lines if line["event"] == "store.unreachable"]
        assert last_error == said == line["cause"]
        assert TOKEN not in said
        assert "nguyen-van-a" not in said
        return said

    return ask


@pytest.fixture
def canned() -> Iterator[Callable[[bytes | None], str]]:
    """Makes servers that give each connection the same bytes and close it, whatever is asked; None: cut at once."""
    servers: list[socket.socket] = []

    def serve(server: socket.socket, answer: bytes | None) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            if answer is None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                client.recv(2**16)
                client.sendall(answer)
            client.close()

    def make(answer: bytes | None) -> str:
        servers.append(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=serve, args=(servers[-1], answer), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].getsockname()[1]}"

    yield make
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_a_token_that_is_unknown_or_lacks_the_scope(
    told: Told, shared: Running, token_files: tuple[Path, dict[str, str]]
) -> None:
    """The error names a wrong token as the cause, and for a right one the scope that it lacks."""
    assert "status 401: no token was sent, or one it does not know" in told(shared.url)
    assert "status 401" in told(shared.url, token=None)
    assert "the token of write lacks the scope ask or ask:analytics or" in told(
        shared.url, token=token_files[1]["write"]
    )


def test_a_wrong_path_and_a_wrong_port(told: Told, shared: Running) -> None:
    """Nobody at the port, and no service at the path, are two things."""
    assert "status 404: there is no consent service at this path" in told(shared.url + "/consent")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert told(f"http://127.0.0.1:{port}") == (
        f"nothing listens at '127.0.0.1:{port}' (connection refused): see that the service runs, on that port"
    )


def test_a_name_that_nobody_has(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in the host is reported as a name that DNS does not have."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert told("https://consnet.example") == (
        "the name of 'consnet.example:443' is not known (DNS): see that the URL's host is right"
    )


def test_silence(told: Told) -> None:
    """The error for a server that accepts and is silent names its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert f"at '{url.removeprefix('http://')}' did not answer in time: see that it runs" in told(url)


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_handshake_that_is_late_leaves_no_socket_open(face: str) -> None:
    """Where TLS is not answered within the deadline, the connection is closed with the call, not when memory is."""

    def read_to_its_end(server: socket.socket) -> None:
        """Read what the client sent; raises `TimeoutError` while its socket is open."""
        connection, _ = server.accept()
        with closing(connection):
            connection.settimeout(5)
            while connection.recv(2**16):
                pass

    async def load_late(url: str, server: socket.socket) -> None:
        """Load with the other face, whose socket has to be closed while its loop still runs."""
        store = AsyncHttpStore(url, deadline=0.3)
        with pytest.raises(StoreUnavailable):
            await store.standings(["nguyen-van-a"])
        await asyncio.to_thread(read_to_its_end, server)
        await store.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        if face == "async":
            asyncio.run(load_late(url, server))
        else:
            with closing(HttpStore(url, deadline=0.3)) as store, pytest.raises(StoreUnavailable):
                store.standings(["nguyen-van-a"])
            read_to_its_end(server)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (page("200 OK"), "it is no JSON: is this URL (https or http, host, port, path) that of a consent service?"),
        (page("301 Moved", more="location: https://elsewhere/?token=x\r\n"), "status 301: it redirects"),
        (page("400 Bad Request"), "status 400: is this URL (https or http"),
        (page("404 Not Found"), "status 404: there is no consent service at this path"),
        (page("405 Method Not Allowed"), "status 405: there is no consent service at this path"),
        (page("429 Too Many Requests"), "status 429: something before the service limits"),
        (page("500 Internal Server Error"), "status 500: is this URL"),
        (page("502 Bad Gateway"), "status 502: a proxy before the service does not reach it"),
        (page("503 Service Unavailable"), "status 503: a proxy before the service does not reach it"),
        (b"", "closed without an answer: does the service speak https there"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "closed without an answer: does the service speak https there"),
        (None, "closed without an answer"),
    ],
    ids=lambda value: str(value)[:24],
)
@pytest.mark.parametrize("told", ["sync"], indirect=True)
def test_an_answer_that_is_not_ours(
    told: Told, canned: Callable[[bytes | None], str], answer: bytes, said: str
) -> None:
    """An answer of another program is reported by its status and the likely cause, and not repeated."""
    found = told(canned(answer))
    assert said in found
    assert "nginx" not in found
    assert "elsewhere" not in found


def test_a_service_that_cannot_read_its_tokens_says_so(
    told: Told, start: Start, tmp_path: Path, token_files: tuple[Path, dict[str, str]]
) -> None:
    """The cause that a service answers with reaches its clients."""
    tokens = tmp_path / "tokens.json"
    tokens.write_bytes(token_files[0].read_bytes())
    tokens.chmod(0o600)
    url = start(tokens=tokens).url
    tokens.chmod(0o666)
    threading.Event().wait(0.6)  # the service looks at the file twice a second
    assert "status 503 and says: the service cannot read its tokens file" in told(url)


def test_a_relay_tells_why_it_is_cut_off_and_not_where_its_upstream_is(
    start: Start, ask_as: Ask, tmp_path: Path
) -> None:
    """Its log has the cause with host and port; its clients and `/healthz` get the cause alone."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with closing(HttpStore(f"http://127.0.0.1:{port}", token=TOKEN, deadline=0.3)) as upstream:
        relay = ask_as(start(upstream))
        with structlog.testing.capture_logs() as lines:
            answers = [
                relay.post("/v1/records/load", {"nonce": NONCE, "user_ids": ["nguyen-van-a"]}),
                relay.http.get(relay.url + "/healthz"),
            ]
    for answer in answers:
        assert answer.status_code == 503
        assert "nothing listens at … (connection refused)" in answer.json()["detail"]
        assert str(port) not in answer.text
    causes = [line["cause"] for line in lines if line["event"] == "service.store_failed"]
    assert len(causes) == 2
    assert all(f"nothing listens at '127.0.0.1:{port}'" in cause for cause in causes)


@needs_openssl
def test_certificates(told: Told, tmp_path: Path, token_files: tuple[Path, dict[str, str]]) -> None:
    """One that expired, one of an unknown CA, one of another host, and no TLS at all are each told as what they are."""
    authority = Authority.made(tmp_path)
    right = authority.signed("right")
    services = {
        "right": server_context(*right),
        "expired": server_context(*authority.signed("expired", days=-1)),
        "elsewhere": server_context(*authority.signed("elsewhere", of="DNS:consent.example")),
        "clients": server_context(*right),
        "plain": None,
    }
    services["clients"].verify_mode = ssl.CERT_REQUIRED  # type: ignore[union-attr]
    services["clients"].load_verify_locations(authority.file)  # type: ignore[union-attr]
    urls: dict[str, str] = {}
    started = [running(MemoryStore(), token_files[0], tls=context) for context in services.values()]
    urls = {name: service.url for name, service in zip(services, started, strict=True)}
    try:
        assert "(certificate has expired): renew it" in told(urls["expired"], verify=authority.file)
        assert "(unable to get local issuer certificate): pass verify=" in told(urls["right"])
        said = told(urls["elsewhere"], verify=authority.file)
        assert "is not valid for '127.0.0.1'): put a name into the URL that the certificate has" in said
        assert "speaks no TLS" in told(urls["plain"].replace("http", "https"), verify=authority.file)
        assert "does the service speak https there" in told(urls["right"].replace("https", "http"))
        assert "client certificate" in told(urls["clients"], verify=authority.file)
    finally:
        for service in started:
            service.stop()


@needs_openssl
@pytest.mark.parametrize("kind", [HttpStore, AsyncHttpStore])
def test_files_of_certificates_are_named(kind: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CA file or client certificate that is missing or none is an error with its name, when the store is made."""
    authority = Authority.made(tmp_path)
    cert, key = authority.signed("client")
    other = authority.signed("other")[1]
    none = tmp_path / "none.pem"
    none.write_text("no certificate")
    url, missing = "https://consent.example", str(tmp_path / "missing.pem")
    options: dict[str, Any]
    for options in ({"verify": missing}, {"cert": missing}, {"cert": (str(cert), missing)}):
        with pytest.raises(FileNotFoundError) as error:
            kind(url, **options)
        assert error.value.filename == missing
    for options, said in (
        ({"verify": str(none)}, r"none\.pem holds no certificates"),
        ({"verify": none}, r"none\.pem holds no certificates"),
        ({"cert": str(cert)}, r"client\.pem holds no private key"),
        ({"cert": (str(cert), str(other))}, r"other\.key is not that of the certificate"),
    ):
        with pytest.raises(ValueError, match=said):
            kind(url, **options)
    kind(url, verify=authority.file, cert=(str(cert), str(key)))
    monkeypatch.setenv("SSL_CERT_FILE", missing)
    with pytest.raises(FileNotFoundError) as error:
        kind(url)
    assert (error.value.filename, error.value.__notes__) == (missing, ["SSL_CERT_FILE names this file"])
    kind(url, verify=authority.file)


def test_a_token_s_file_that_is_gone(told: Told, shared: Running, tmp_path: Path) -> None:
    """If the file that a token is read from is gone, the error names it, but never a token given in its place."""
    gone = tmp_path / "token"
    assert f"(FileNotFoundError: {gone})" in told(shared.url, token=gone.read_text)
    assert "(FileNotFoundError)" in told(shared.url, token=Path(TOKEN).read_text)


def test_proxies_of_the_environment(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is down, or whose URL is malformed, is named as a possible cause, without its password."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{port}")
    assert "(or the proxy of the environment)" in told("https://consent.example", trust_env=True)
    monkeypatch.setenv("HTTPS_PROXY", "gopher://me:secret@proxy")
    said = told("https://consent.example", trust_env=True)
    assert "look at the proxy variables" in said
    assert "secret" not in said
