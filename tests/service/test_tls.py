"""The service with TLS: the versions it accepts, and its errors for wrong files."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk._tls import server_context
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.service import connections
from diijam_consent_sdk.service.main import serve
from diijam_consent_sdk.service.server import GRACE_SECONDS
from diijam_consent_sdk.stores import HttpStore, MemoryStore
from tests.certificates import Authority, needs_openssl, openssl
from tests.service.conftest import Running, running
from tests.stores.contract import eventually

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA."""
    return Authority.made(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    return authority.signed("service")


@pytest.fixture(scope="module")
def encrypted(token_files: tuple[Path, dict[str, str]], pair: tuple[Path, Path]) -> Iterator[Running]:
    """A service that speaks TLS."""
    one = running(MemoryStore(), token_files[0], tls=server_context(*pair))
    yield one
    one.stop()


@pytest.fixture(scope="module")
def certified(
    authority: Authority, pair: tuple[Path, Path], token_files: tuple[Path, dict[str, str]]
) -> tuple[Authority, Path]:
    """The CA's folder with files in it that will not do, and a tokens file."""
    folder = authority.folder
    authority.signed("other")
    openssl("ec", "-in", pair[1], "-aes256", "-passout", "pass:secret", "-out", folder / "locked.key")
    (folder / "torn.pem").write_text(pair[0].read_text()[:200] + "\n-----END CERTIFICATE-----\n")
    return authority, token_files[0]


def test_a_client_that_knows_the_ca_is_answered(
    encrypted: Running, authority: Authority, token_files: tuple[Path, dict[str, str]]
) -> None:
    """Appends, loads and the feed work over the service's own TLS."""
    store = HttpStore(encrypted.url, token=token_files[1]["both"], verify=authority.file, deadline=5)
    with ConsentClient(store) as consent:
        assert consent.record("u-1", AccountOpened()).version == 1
        assert consent.can_process("u-1", "payment")
    store.close()


def test_a_stream_goes_on_over_tls(
    encrypted: Running, authority: Authority, token_files: tuple[Path, dict[str, str]]
) -> None:
    """After its first part come others, one for each beat."""
    store = HttpStore(encrypted.url, token=token_files[1]["both"], verify=authority.file, deadline=5)
    stream = store.stream_changes(store.standings(()).cursor, wait=60.0, beat=0.1, silence=10.0)
    parts = list(islice(stream, 3))
    stream.close()
    store.close()
    assert len(parts) == 3


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "works"), [("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
def test_only_current_versions_of_tls_are_spoken(
    encrypted: Running, authority: Authority, version: str, works: bool
) -> None:
    """TLS 1.2 and 1.3 are, what came before is not."""
    context = ssl.create_default_context(cafile=authority.file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion[version]
    with httpx.Client(verify=context, trust_env=False) as client:
        if works:
            assert client.get(f"{encrypted.url}/healthz").status_code == 200
        else:
            with pytest.raises(httpx.ConnectError):
                client.get(f"{encrypted.url}/healthz")


def test_plain_http_is_not_answered_there(encrypted: Running) -> None:
    """A question in clear text gets no answer."""
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(encrypted.url.replace("https", "http") + "/healthz", trust_env=False)


@pytest.mark.parametrize(
    ("cert", "key", "error"),
    [
        ("missing.pem", "service.key", (FileNotFoundError, "missing.pem")),
        ("service.pem", "missing.key", (FileNotFoundError, "missing.key")),
        ("service.pem", ".", (IsADirectoryError, ".")),
        ("service.key", "service.key", (ValueError, r"service\.key holds no certificate")),
        ("service.pem", "service.pem", (ValueError, r"service\.pem holds no private key")),
        (
            "service.pem",
            "other.key",
            (ValueError, r"the key in .*other\.key is not that of the certificate in .*service\.pem"),
        ),
        ("service.pem", "locked.key", (ValueError, r"the key in .*locked\.key is encrypted")),
        ("torn.pem", "service.key", (ValueError, r"the certificate in .*torn\.pem or the key in .*service\.key")),
        ("service.pem", None, (ValueError, "needs both --tls-cert and --tls-key")),
        (None, "service.key", (ValueError, "needs both --tls-cert and --tls-key")),
    ],
    ids=lambda value: str(value).replace("\\", ""),
)
def test_a_file_that_will_not_do_is_named(
    certified: tuple[Authority, Path], cert: str | None, key: str | None, error: tuple[type[Exception], str]
) -> None:
    """Whatever is wrong with the certificate or the key is said before anything listens, with the file's name."""
    authority, tokens = certified
    files = [None if name is None else authority.folder / name for name in (cert, key)]
    with pytest.raises(error[0], match=error[1]):
        serve("memory:", tokens=tokens, port=0, tls_cert=files[0], tls_key=files[1])


def ended(silent: list[socket.socket]) -> int:
    """How many of these connections the service has ended."""
    found = select.poll()
    for connection in silent:
        found.register(connection, select.POLLIN | select.POLLHUP)
    return len(found.poll(0))


def silent_connections(encrypted: Running, count: int) -> list[socket.socket]:
    """Connect without ever beginning a handshake."""
    host, _, port = encrypted.url.removeprefix("https://").partition(":")
    return [socket.create_connection((host, int(port)), timeout=20) for _ in range(count)]


def test_connections_that_begin_no_handshake_are_ended(encrypted: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that begins no handshake is as late as one that asks nothing."""
    monkeypatch.setitem(connections.LIMITS, connections.State.ASKING, 0.3)
    silent = silent_connections(encrypted, 5)
    assert eventually(lambda: ended(silent) == 5)
    for connection in silent:
        connection.close()


def test_connections_without_a_handshake_count(
    encrypted: Running, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more connections than there may be, those that began no handshake are ended first, and others answered."""
    monkeypatch.setattr(encrypted.server._sweeper, "most", 20)
    silent = silent_connections(encrypted, 60)
    assert eventually(lambda: ended(silent) > 40)
    with httpx.Client(verify=ssl.create_default_context(cafile=authority.file)) as client:
        assert client.get(f"{encrypted.url}/healthz").status_code == 200
    for connection in silent:
        connection.close()


def test_an_idle_client_holds_up_no_stop(
    token_files: tuple[Path, dict[str, str]], pair: tuple[Path, Path], authority: Authority
) -> None:
    """A stop waits a moment for clients to answer the end of TLS, as those that are idle do not."""
    one = running(MemoryStore(), token_files[0], tls=server_context(*pair))
    with httpx.Client(verify=ssl.create_default_context(cafile=authority.file)) as client:
        assert client.get(f"{one.url}/healthz").status_code == 200
        began = time.monotonic()
        one.stop()
        assert time.monotonic() - began < GRACE_SECONDS - 1
