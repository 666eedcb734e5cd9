"""The nginx of docs/operations/tls.md, as it stands there, in front of a real service."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import msgspec
import pytest

from diijam_consent_sdk.events import AccountOpened, Granted
from diijam_consent_sdk.stores import Cursor, HttpStore, MemoryStore
from diijam_consent_sdk.stores.message_fields import APPEND_BODY_BYTES, MAX_BODY_BYTES
from tests.certificates import Authority, needs_openssl
from tests.service.conftest import NONCE, Running, running

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
PAGE = (Path(__file__).parents[2] / "docs" / "operations" / "tls.md").read_text(encoding="utf-8")
CONFIGURATION = re.search(r"```nginx\n(.*?)```", PAGE, re.DOTALL)[1]  # type: ignore[index]
KEEPS_DATA_IN_MEMORY = ("client_body_buffer_size", "proxy_max_temp_file_size")
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
USERS = [f"{number:04}" + "x" * 250 for number in range(1_000)]
pytestmark = [needs_openssl, pytest.mark.skipif(not NGINX, reason="apt-get install nginx-light")]


@attrs.frozen
class Proxy:
    """A running nginx, with its port, its log and the CA of its certificate."""

    folder: Path
    port: int
    ca: str

    @property
    def url(self) -> str:
        """Where clients ask."""
        return f"https://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What it complained of."""
        return (self.folder / "error.log").read_text()

    def send(self, request: bytes, *, wait: float = 0.0) -> bytes:
        """Send bytes as they are, wait, then read all of the answer."""
        context = ssl.create_default_context(cafile=self.ca)
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that what is not read stays at the proxy
        plain.settimeout(20)
        plain.connect(("127.0.0.1", self.port))
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(request)
            time.sleep(wait)
            answer = bytearray()
            while chunk := connection.recv(2**16):
                answer += chunk
        return bytes(answer)

    def get(self, path: str, method: str = "GET") -> bytes:
        """Ask for a path as it is spelled."""
        return self.send(f"{method} {path} HTTP/1.1\r\nhost: consent.example\r\nconnection: close\r\n\r\n".encode())

    def post(self, path: str, token: str, body: bytes, *, wait: float = 0.0) -> bytes:
        """Ask a question."""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: consent.example\r\nconnection: close\r\nauthorization: Bearer {token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return self.send(head.encode() + body, wait=wait)


@pytest.fixture(scope="module")
def service(token_files: tuple[Path, dict[str, str]]) -> Iterator[Running]:
    """A service with a thousand users who have long ids."""
    store = MemoryStore()
    for user_id in USERS:
        store.append(user_id, [AccountOpened(), Granted("marketing", notice="n" * 200, channels={"email"})])
    one = running(store, token_files[0])
    yield one
    one.stop()


@contextmanager
def started(folder: Path, url: str, configuration: str) -> Iterator[Proxy]:
    """An nginx with the page's configuration, whose only changes are the ports and files of this machine."""
    authority = Authority.made(folder)
    cert, key = authority.signed("consent")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for was, now in {
        "127.0.0.1:8700": url.removeprefix("http://"),
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl sndbuf=8k",  # so that the system keeps little of an answer
        "/etc/ssl/consent.pem": str(cert),
        "/etc/ssl/consent.key": str(key),
    }.items():
        assert was in configuration
        configuration = configuration.replace(was, now)
    places = "".join(f"{name}_temp_path {folder}/{name};\n" for name in TEMPORARY)
    main = (
        f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {folder}/pid;\n"
        f"error_log {folder}/error.log warn;\n"
        f"events {{}}\nhttp {{\naccess_log {folder}/access.log;\n{places}{configuration}\n}}\n"
    )
    (folder / "nginx.conf").write_text(main)
    command = [str(NGINX), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        give_up = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < give_up
                time.sleep(0.02)
        yield Proxy(folder, port, authority.file)
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, service: Running) -> Iterator[Proxy]:
    """The page's nginx. It has no folder for temporary files any more: whatever it writes there is an error."""
    with started(tmp_path_factory.mktemp("nginx"), service.url, CONFIGURATION) as one:
        for name in TEMPORARY:
            (one.folder / name).rmdir()
        yield one


@pytest.fixture
def token(token_files: tuple[Path, dict[str, str]]) -> str:
    """A token that may ask everything."""
    return token_files[1]["both"]


def large(proxy: Proxy, token: str) -> tuple[bytes, bytes]:
    """A question of a quarter megabyte, whose answer is larger and not read for a while; and one as large as may be."""
    question = msgspec.json.encode({"nonce": NONCE, "user_ids": USERS})
    assert len(question) > 2**17
    answered = proxy.post("/v1/records/load", token, question, wait=1)
    largest = msgspec.json.encode({"nonce": "x" * (APPEND_BODY_BYTES - 14)})
    assert len(largest) == APPEND_BODY_BYTES - 2
    return answered, proxy.post("/v1/events/append", token, largest)


def test_large_questions_and_answers_pass_and_leave_nothing_on_the_disk(proxy: Proxy, token: str) -> None:
    """Customers' data goes through memory alone."""
    answered, refused = large(proxy, token)
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert answered.count(b'"user_id":"') >= len(USERS)
    assert len(answered) > 2**19
    assert refused.startswith(b"HTTP/1.1 400 ")  # by the service, which read it
    assert b"urn:diijam-consent:malformed" in refused
    assert not [name for name in TEMPORARY if (proxy.folder / name).exists()]
    assert "temporary file" not in proxy.log()
    assert "[crit]" not in proxy.log()


def test_without_its_settings_the_data_would_be_on_the_disk(tmp_path: Path, service: Running, token: str) -> None:
    """The test above can fail: without the page's two settings nginx writes both to files."""
    lines = [line for line in CONFIGURATION.splitlines() if not line.strip().startswith(KEEPS_DATA_IN_MEMORY)]
    assert len(lines) == len(CONFIGURATION.splitlines()) - len(KEEPS_DATA_IN_MEMORY)
    with started(tmp_path, service.url, "\n".join(lines)) as proxy:
        large(proxy, token)
        assert "a client request body is buffered to a temporary file" in proxy.log()
        assert "an upstream response is buffered to a temporary file" in proxy.log()


def test_a_question_that_is_too_large_is_refused(proxy: Proxy, token: str) -> None:
    """What the service would not take is not taken."""
    assert proxy.post("/v1/records/load", token, b"[" * (MAX_BODY_BYTES + 1)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "/metrics/", "/metrics//", "//metrics", "/metrics%2f", "/%6detrics", "/METRICS", "/metrics?x=/v1/",
        "/metrics;/v1/", "/v1/../metrics", "/v1/%2e%2e/metrics", "/v1/..%2fmetrics", "/v1%2f..%2fmetrics",
        "/v1/./../metrics",
        "/v1//../../metrics", "/v1/..;/metrics", "/v1/%252e%252e/metrics", "/v1/..\\metrics", "/v1/metrics", "/v1/",
        "/healthz/../metrics", "/healthz/", "/healthz%2f..%2fmetrics", "/metrics/../v1/", "/metrics/%2e%2e/v1/x",
        "http://consent.example/metrics", "http://127.0.0.1:8700/metrics", "/", "/openapi.json", "/v1", "/schema",
    ],
)  # fmt: skip
def test_nothing_else_is_reached(proxy: Proxy, path: str, method: str) -> None:
    """The figures, and whatever else the service has, are not to be had by any spelling."""
    answer = proxy.get(path, method)
    assert re.match(rb"HTTP/1.1 40[0145] ", answer), answer[:200]
    assert b"diijam_consent_" not in answer


def test_health_is_told(proxy: Proxy) -> None:
    """A load balancer may ask whether the service is well."""
    assert proxy.get("/healthz").startswith(b"HTTP/1.1 200 ")


def test_a_client_works_through_it(proxy: Proxy, token: str) -> None:
    """Loads, appends and long polls, without news and with some, go through."""
    with closing(HttpStore(proxy.url, token=token, verify=proxy.ca, deadline=10)) as store:
        head = store.append("nginx", [AccountOpened()]).cursor
        quiet = store.changes(head, wait=1.5)
        assert (quiet.complete, dict(quiet.user_ids), quiet.waited > 1) == (True, {}, True)
        append: Callable[[], object] = lambda: store.append("nginx", [Granted("surveys", notice="n")])  # noqa: E731
        later = threading.Timer(0.3, append)
        later.start()
        began = time.monotonic()
        assert list(store.changes(head, wait=30).user_ids) == ["nginx"]
        assert time.monotonic() - began < 10
        later.join()


def check_stream(store: HttpStore, head: Cursor, user_id: str) -> None:
    """Check that each part of a stream from *head* on comes by itself, at once."""
    with closing(store.stream_changes(head, wait=60, beat=30)) as parts:
        began = time.monotonic()
        assert next(parts).cursor == head
        for number in range(3):
            store.append(user_id, [Granted("surveys", notice=f"n-{number}")])
            assert list(next(parts).user_ids) == [user_id]
        assert time.monotonic() - began < 10


def test_a_stream_is_not_held_back(proxy: Proxy, token: str) -> None:
    """Each part of a stream comes through by itself, at once."""
    with closing(HttpStore(proxy.url, token=token, verify=proxy.ca, deadline=10)) as store:
        check_stream(store, store.append("streamed", [AccountOpened()]).cursor, "streamed")


def test_what_is_sent_is_not_logged(proxy: Proxy, token: str) -> None:
    """The proxy's access log has paths that name nobody, and no token."""
    proxy.post("/v1/records/load", token, msgspec.json.encode({"nonce": NONCE, "user_ids": ["nguyen-van-a"]}))
    for log in ("access.log", "error.log"):
        text = (proxy.folder / log).read_text()
        assert "nguyen-van-a" not in text
        assert token not in text


def test_the_proxy_waits_longer_than_a_poll() -> None:
    """A long poll of the longest kind is not cut."""
    from diijam_consent_sdk.stores.message_fields import MAX_WAIT_SECONDS  # noqa: PLC0415

    seconds = re.search(r"proxy_read_timeout +(\d+)s;", CONFIGURATION)
    assert seconds
    assert int(seconds[1]) > MAX_WAIT_SECONDS + 10
