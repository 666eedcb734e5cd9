"""A ledger behind a consent service. The one module that imports httpx: another HTTP client would cost this file."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Generic, TypedDict, TypeVar, Unpack
from weakref import WeakKeyDictionary

try:
    import httpcore
    import httpx
except ImportError as error:  # pragma: no cover
    raise ImportError("a consent service needs httpx: pip install 'diijam-consent-sdk[http]'") from error

from ..._tls import client_context, load_certificate
from ...errors import StoreUnavailable
from ...events import Event, LedgerEntry
from ...vocabulary import identifier
from .._addresses import checked_hosts
from .._fork_safety import leak
from .._retry import Failure, Tries
from ..protocol import Appended, Changes, Cursor, Loaded, OpenRequests, checked_batch, checked_ids
from . import exchange as rules
from .causes import CLOSED, TOO_LATE, cause, place_of

C = TypeVar("C", httpx.Client, httpx.AsyncClient)
Token = str | Callable[[], str]
Verify = ssl.SSLContext | str | os.PathLike[str] | bool
Cert = str | tuple[str, str] | None

# What httpx raises before anything of the request can have reached the service.
NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30)
CHUNK_BYTES = 2**16
CA_VARIABLE = "SSL_CERT_FILE"  # as OpenSSL calls it: a CA of the company's, for all programs


class HttpOptions(TypedDict, total=False):
    """What both faces take beside the URL; see `HttpStore`."""

    token: Token | None
    verify: Verify
    cert: Cert
    deadline: float
    trust_env: bool
    insecure_hosts: Iterable[str]


class _Service(Generic[C]):
    """Where the service is, and this process's connections to it."""

    def __init__(
        self,
        make: Callable[..., C],
        url: str,
        *,
        token: Token | None = None,
        verify: Verify = True,
        cert: Cert = None,
        deadline: float = 1.0,
        trust_env: bool = False,
        insecure_hosts: Iterable[str] = (),
    ) -> None:
        self.url = rules.checked_url(url, checked_hosts(insecure_hosts))
        self.where = place_of(self.url) + (" (or the proxy of the environment)" if trust_env else "")
        self.deadline = deadline
        self.is_closed = False
        self._token = token if token is None or callable(token) else rules.checked_token(token)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._clients: WeakKeyDictionary[object, C] = WeakKeyDictionary()
        self._make: Callable[[], C] = partial(
            make, verify=_tls(verify, cert), trust_env=trust_env, follow_redirects=False, limits=LIMITS
        )

    def client(self, owner: object) -> C:
        """
        The HTTP client of *owner* in this process, which alone may use it. A forked child makes its own, and never
        closes what it inherited: that would end the parent's connections.
        """
        if self.is_closed:
            raise StoreUnavailable("the store is closed: make a new one")
        if self._pid != os.getpid():
            leak(*self._clients.values())
            self._clients, self._pid, self._lock = WeakKeyDictionary(), os.getpid(), threading.Lock()
        with self._lock:
            if owner not in self._clients:
                try:
                    self._clients[owner] = self._make()
                except Exception as error:  # noqa: BLE001 - it quotes the proxy's URL, which may hold a password
                    why = "no HTTP client can be made: look at the proxy variables of the environment (HTTPS_PROXY, …)"
                    raise StoreUnavailable(f"{why} ({type(error).__name__})") from None
            return self._clients[owner]

    def let_go(self, owner: object) -> C | None:
        """The client of *owner*, to be closed, if this process made one; the next call makes another."""
        with self._lock:
            return self._clients.pop(owner, None) if self._pid == os.getpid() else None

    def _fresh_token(self, token: Token) -> str:
        if not callable(token):
            return token
        try:
            return rules.checked_token(token())
        except Exception as error:
            # Of a file that is not there, the name. What is no path may be the token itself.
            named = getattr(error, "filename", None)
            named = f": {named}" if isinstance(named, str) and os.path.isabs(named) else ""  # noqa: PTH117 - a string
            why = (
                f"token= gave no token to send ({type(error).__name__}{named}), so nothing was sent: see what it calls"
            )
            raise StoreUnavailable(why) from error

    def request(self, question: rules.Question, body: bytes, left: float) -> httpx.Request:
        """One try of a question, with a token of its own."""
        headers = {
            "accept": "application/json", "accept-encoding": "identity", "cache-control": "no-store",
            "content-type": "application/json",
        }  # fmt: skip
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._fresh_token(self._token)}"
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), max(left, 0.001))
        url = self.url + question.path
        return httpx.Request("POST", url, headers=headers, content=body, extensions={"timeout": timeouts})


class HttpStore:
    """
    The store behind the consent service at *url*. Safe to use from several threads, and after a fork.

    Each call ends within *deadline* (a long poll: its wait and *deadline*), however slowly bytes come. What may be
    repeated is tried again within it. An answer that is compressed, cached, redirected, too long, to another question
    or about another user is refused.

    Args:
        url: `https://host[:port][/path]`; plain http only to this machine, and to *insecure_hosts*.

        token: The bearer token, or what gives it anew for each try.

        verify: How to check the service's certificate: by a CA file of your own, by an `ssl.SSLContext`, or not at all.
            Unless given, by the file that `SSL_CERT_FILE` names, or else by the public CAs.

        cert: A client certificate's file, or it and its key's.

        deadline: Seconds for one call.

        trust_env: Whether to heed the proxy variables of the environment.

        insecure_hosts: Exact names of hosts to which plain http is allowed: where something below HTTP encrypts.

    Raises:
        ValueError: the URL or the token is malformed, or a file holds no certificate or key.

        OSError: a file with certificates or a key cannot be read.
    """

    def __init__(self, url: str, **options: Unpack[HttpOptions]) -> None:
        self._service = _Service(_client_with_deadlines, url, **options)

    def __repr__(self) -> str:
        return f"<HttpStore {self._service.url}>"

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        pages = rules.pages(checked_ids(user_ids))
        return rules.joined([self._ask(rules.load(page)) for page in pages])

    def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `Store.append`."""
        batch = checked_batch(events)
        appended: Appended = self._ask(rules.append(identifier(user_id), batch, expected_version, idempotency_key))
        return appended

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        changes: Changes = self._ask(rules.changes(after, wait, limit))
        return changes

    def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        user_id, entries, after = identifier(user_id), list[LedgerEntry](), 0
        while True:
            page: rules.HistoryPage = self._ask(rules.history(user_id, after))
            entries += page.entries
            if page.after is None:
                return rules.whole_history(entries)
            after = page.after

    def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        found: OpenRequests = self._ask(rules.open_requests(after, limit))
        return found

    def close(self) -> None:
        """See `Store.close`."""
        self._service.is_closed = True
        client = self._service.let_go(self)
        if client is not None:
            client.close()

    def _ask(self, question: rules.Question) -> Any:
        tries = rules.tries(question, self._service.deadline)
        while True:
            try:
                return self._try(question, tries)
            except Failure as failure:
                time.sleep(tries.pause(failure))
            except Exception as error:
                tries.end(error)
                raise

    def _try(self, question: rules.Question, tries: Tries) -> Any:
        body, nonce = question.body()
        client = self._service.client(self)
        with translated(question, self._service.where):
            _current.until = tries.until
            response = client.send(self._service.request(question, body, tries.left()), stream=True)
            try:
                answer = bytearray()
                for chunk in response.iter_raw(CHUNK_BYTES):
                    rules.take(answer, chunk, question)
            finally:
                response.close()
        return rules.believe(question, nonce, response.status_code, response.headers, bytes(answer))


class AsyncHttpStore:
    """
    `HttpStore` for asyncio: its methods are coroutines. Safe to use from several event loops, each with connections of
    its own; they end with it (`asyncio.run` sees to that), those of the loop that calls `close` at once.
    """

    def __init__(self, url: str, **options: Unpack[HttpOptions]) -> None:
        self._service = _Service(_async_client, url, **options)
        self._endings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}

    def __repr__(self) -> str:
        return f"<AsyncHttpStore {self._service.url}>"

    async def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        pages = rules.pages(checked_ids(user_ids))
        return rules.joined([await self._ask(rules.load(page)) for page in pages])

    async def append(
        self,
        user_id: str,
        events: Iterable[Event],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> Appended:
        """See `Store.append`."""
        batch = checked_batch(events)
        question = rules.append(identifier(user_id), batch, expected_version, idempotency_key)
        appended: Appended = await self._ask(question)
        return appended

    async def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        changes: Changes = await self._ask(rules.changes(after, wait, limit))
        return changes

    async def history(self, user_id: str) -> list[LedgerEntry]:
        """See `Store.history`."""
        user_id, entries, after = identifier(user_id), list[LedgerEntry](), 0
        while True:
            page: rules.HistoryPage = await self._ask(rules.history(user_id, after))
            entries += page.entries
            if page.after is None:
                return rules.whole_history(entries)
            after = page.after

    async def open_requests(self, after: str | None = None, *, limit: int = 1000) -> OpenRequests:
        """See `Store.open_requests`."""
        found: OpenRequests = await self._ask(rules.open_requests(after, limit))
        return found

    async def close(self) -> None:
        """See `Store.close`."""
        self._service.is_closed = True
        await self._let_go(asyncio.get_running_loop())

    async def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._service.client(loop)
        if loop not in self._endings:
            for other in [other for other in list(self._endings) if other.is_closed()]:
                self._endings.pop(other, None)
                self._service.let_go(other)  # it knows its loop, and would keep it
            ending = self._endings[loop] = self._ending(loop)
            await anext(ending)
        return client

    async def _ending(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        """A generator that has begun is closed by `loop.shutdown_asyncgens`: there the loop's client can be closed."""
        try:
            yield
        finally:
            self._endings.pop(loop, None)
            await self._let_go(loop)

    async def _let_go(self, loop: asyncio.AbstractEventLoop) -> None:
        client = self._service.let_go(loop)
        if client is not None:
            await client.aclose()

    async def _ask(self, question: rules.Question) -> Any:
        tries = rules.tries(question, self._service.deadline)
        while True:
            try:
                return await self._try(question, tries)
            except Failure as failure:
                await asyncio.sleep(tries.pause(failure))
            except Exception as error:
                tries.end(error)
                raise

    async def _try(self, question: rules.Question, tries: Tries) -> Any:
        body, nonce = question.body()
        client = await self._client()
        with translated(question, self._service.where):
            async with asyncio.timeout(tries.left()):
                response = await client.send(self._service.request(question, body, tries.left()), stream=True)
                try:
                    answer = bytearray()
                    async for chunk in response.aiter_raw(CHUNK_BYTES):
                        rules.take(answer, chunk, question)
                finally:
                    await response.aclose()
        return rules.believe(question, nonce, response.status_code, response.headers, bytes(answer))


def _tls(verify: Verify, cert: Cert) -> ssl.SSLContext:
    if verify is True:
        verify = os.environ.get(CA_VARIABLE) or True
    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif isinstance(verify, (str, os.PathLike)):
        context = client_context(verify)
    else:
        context = httpx.create_ssl_context(verify=verify, trust_env=False)
    if cert is not None:
        load_certificate(context, *((cert,) if isinstance(cert, str) else cert))
    return context


@contextmanager
def translated(question: rules.Question, where: str) -> Iterator[None]:
    """Raise what the network does as a failure of this try: the one table of httpx's errors."""
    quiet = _is_ours.set(True)
    try:
        yield
    except httpx.PoolTimeout:
        why = f"all {LIMITS.max_connections} connections to {where} are in use"
        raise Failure(why, maybe_written=False) from None
    except (httpx.TimeoutException, TimeoutError) as error:
        maybe_written = question.is_write and not isinstance(error, NOTHING_SENT)
        why = f"the consent service at {where} did not answer in time"
        raise Failure(why, maybe_written=maybe_written, advice=TOO_LATE, is_late=True) from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        maybe_written = question.is_write and not isinstance(error, NOTHING_SENT)
        said, _, advice = _said(error, where).partition(": ")
        raise Failure(said, maybe_written=maybe_written, advice=advice or "try again") from None
    finally:
        _is_ours.reset(quiet)


# httpx logs each exchange at INFO: in an application that logs so, a line for each poll. Only ours are left out.
_is_ours: ContextVar[bool] = ContextVar("_is_ours", default=False)
logging.getLogger("httpx").addFilter(lambda record: record.levelno > logging.INFO or not _is_ours.get())


def _said(error: Exception, where: str) -> str:
    if isinstance(error, httpx.ProxyError):
        return f"the proxy of the environment does not let this through to {where}: look at HTTPS_PROXY, or trust_env="
    if isinstance(error, httpx.RemoteProtocolError):
        return CLOSED.format(where=where)
    return cause(error, where)


# httpx limits each read, so that a byte now and then goes on for ever. In the sync face the limit of the whole call is
# put where bytes are read: a call runs in one thread, which carries its end. (The async face has asyncio.timeout.)
_current = threading.local()


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    until: float | None = getattr(_current, "until", None)
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise late("the call's time is up")
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    """A network stream whose every read and write ends with the call."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), CHUNK_BYTES):
            self._inner.write(buffer[start : start + CHUNK_BYTES], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        try:
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))
        except BaseException:
            self._inner.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Network(httpcore.NetworkBackend):
    """A network whose streams end with the call."""

    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *args: Any, **more: Any) -> _Stream:
        return _Stream(self._inner.connect_tcp(host, port, _left(timeout, httpcore.ConnectTimeout), *args, **more))


def _client_with_deadlines(**options: Any) -> httpx.Client:
    client = httpx.Client(**options)
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - httpx has no public way in
        if isinstance(transport, httpx.HTTPTransport):
            pool = transport._pool  # noqa: SLF001
            pool._network_backend = _Network(pool._network_backend)  # noqa: SLF001
    return client


# ruff: noqa: ASYNC109 - httpcore gives each step its timeout
class _AsyncStream(httpcore.AsyncNetworkStream):
    """A network stream that is closed when its TLS handshake is cancelled: httpcore closes it only after an error."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return _AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            await self._inner.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncNetwork(httpcore.AsyncNetworkBackend):
    """A network whose streams leave no socket open when a call is cancelled."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **more: Any
    ) -> _AsyncStream:
        return _AsyncStream(await self._inner.connect_tcp(host, port, timeout, *args, **more))


def _async_client(**options: Any) -> httpx.AsyncClient:
    client = httpx.AsyncClient(**options)
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - as above
        if isinstance(transport, httpx.AsyncHTTPTransport):
            pool = transport._pool  # noqa: SLF001
            pool._network_backend = _AsyncNetwork(pool._network_backend)  # noqa: SLF001
    return client
