"""The Caddy of docs/operations/tls.md, as it stands there, in front of a real service."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import HttpStore, MemoryStore
from diijam_consent_sdk.stores.message_fields import APPEND_BODY_BYTES, MAX_BODY_BYTES
from tests.certificates import Authority, needs_openssl
from tests.service.conftest import NONCE, Running, running
from tests.service.test_nginx import PAGE, Proxy, check_stream

CADDY = shutil.which("caddy")
CONFIGURATION = re.search(r"proxy: Caddy\n.*?```text\n(.*?)```", PAGE, re.DOTALL)[1]  # type: ignore[index]
pytestmark = [needs_openssl, pytest.mark.skipif(not CADDY, reason="apt-get install caddy")]


@pytest.fixture(scope="module")
def service(token_files: tuple[Path, dict[str, str]]) -> Iterator[Running]:
    """A service over a store in memory."""
    one = running(MemoryStore(), token_files[0])
    yield one
    one.stop()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, service: Running) -> Iterator[Proxy]:
    """A Caddy with the page's configuration, whose only changes are the ports and files of this machine."""
    folder = tmp_path_factory.mktemp("caddy")
    authority = Authority.made(folder)
    cert, key = authority.signed("consent")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = CONFIGURATION
    for was, now in {
        "{\n    grace_period": "{\n    admin off\n    auto_https disable_redirects\n    grace_period",
        "consent.example": f"https://127.0.0.1:{port}, https://consent.example:{port}",
        "/etc/ssl/consent.pem": str(cert),
        "/etc/ssl/consent.key": str(key),
        "127.0.0.1:8700": service.url.removeprefix("http://"),
    }.items():
        assert configuration.count(was) == 1
        configuration = configuration.replace(was, now)
    (folder / "Caddyfile").write_text(configuration)
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "error.log").open("wb") as log:
        process = subprocess.Popen(
            [str(CADDY), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
        )  # fmt: skip
    try:
        give_up = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < give_up
                time.sleep(0.02)
        yield Proxy(folder, port, authority.file)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def token(token_files: tuple[Path, dict[str, str]]) -> str:
    """A token that may ask everything."""
    return token_files[1]["both"]


def test_a_client_works_through_it(proxy: Proxy, token: str) -> None:
    """Loads and appends go through, and each part of a stream comes at once."""
    with closing(HttpStore(proxy.url, token=token, verify=proxy.ca, deadline=10)) as store:
        head = store.append("caddy", [AccountOpened()]).cursor
        assert store.load(["caddy"]).records[0].version == 1
        check_stream(store, head, "caddy")


def test_questions_pass_up_to_the_services_limit(proxy: Proxy, token: str) -> None:
    """The largest append is read by the service, and what the service would not take is not taken."""
    largest = msgspec.json.encode({"nonce": "x" * (APPEND_BODY_BYTES - 14)})
    answered = proxy.post("/v1/events/append", token, largest)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert b"urn:diijam-consent:malformed" in answered
    assert proxy.post("/v1/records/load", token, b"[" * (MAX_BODY_BYTES + 1)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "/metrics/", "//metrics", "/metrics%2f", "/%6detrics", "/METRICS", "/metrics?x=/v1/",
        "/v1/../metrics", "/v1/%2e%2e/metrics", "/v1/..%2fmetrics", "/v1%2f..%2fmetrics", "/v1//../../metrics",
        "/v1/%252e%252e/metrics", "/healthz/../metrics", "/healthz%2f..%2fmetrics", "/metrics/../v1/", "/",
        "/openapi.json", "/v1", "/schema",
    ],
)  # fmt: skip
def test_nothing_else_is_reached(proxy: Proxy, path: str) -> None:
    """The figures, and whatever else the service has, are not to be had by any spelling."""
    answer = proxy.get(path)
    assert re.match(rb"HTTP/1.1 (308|40[0145]) ", answer), answer[:200]
    assert b"diijam_consent_" not in answer


def test_health_is_told(proxy: Proxy) -> None:
    """A load balancer may ask whether the service is well."""
    assert proxy.get("/healthz").startswith(b"HTTP/1.1 200 ")


def test_what_is_sent_is_not_logged(proxy: Proxy, token: str) -> None:
    """The proxy writes down neither an id nor a token."""
    proxy.post("/v1/records/load", token, msgspec.json.encode({"nonce": NONCE, "user_ids": ["nguyen-van-a"]}))
    assert "nguyen-van-a" not in proxy.log()
    assert token not in proxy.log()
