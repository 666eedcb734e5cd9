"""Send exchanges with httpx, the only module that imports it, so that another HTTP client costs one file."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypedDict, Unpack

import httpx

from ..._tls import client_context, load_certificate
from .._addresses import checked_hosts
from .._retry import Attempts, Failure
from .causes import CLOSED, PROXY_REFUSES, TOO_LATE, cause
from .clients import Clients, LoopClients
from .credentials import Credentials, Token
from .exchange import JSON_TYPE, Exchange
from .network import ClosingBackend, DeadlineBackend, end_calls_of_this_thread_at
from .response import AsyncResponse, Response
from .url import checked_url, quoted_address

Verify = ssl.SSLContext | str | os.PathLike[str] | bool
Cert = str | tuple[str, str] | None

# What httpx raises before anything of the request can have reached the service.
NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
CAUSES: dict[type[Exception], str] = {httpx.ProxyError: PROXY_REFUSES, httpx.RemoteProtocolError: CLOSED}
LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30)
CA_VARIABLE = "SSL_CERT_FILE"  # OpenSSL's name: a CA of the company's, for all programs
HEADERS = {
    "accept-encoding": "identity", "cache-control": "no-store",
    "content-type": "application/json",
}  # fmt: skip


class TransportOptions(TypedDict, total=False):
    """What both faces take beside the URL and the deadline; see `HttpStore`."""

    token: Token | None
    verify: Verify
    cert: Cert
    trust_env: bool
    insecure_hosts: Iterable[str]


class _Service:
    """Where a service is, and how it is asked."""

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        verify: Verify = True,
        cert: Cert = None,
        trust_env: bool = False,
        insecure_hosts: Iterable[str] = (),
    ) -> None:
        self.url = checked_url(url, checked_hosts(insecure_hosts))
        self._where = quoted_address(self.url) + (" (or the proxy of the environment)" if trust_env else "")
        self._credentials = Credentials(token)
        self._client_options: dict[str, Any] = {
            "verify": _tls_context(verify, cert), "trust_env": trust_env, "follow_redirects": False, "limits": LIMITS
        }  # fmt: skip

    def _request(self, exchange: Exchange, body: bytes, seconds: float) -> httpx.Request:
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), max(seconds, 0.001))
        timeouts["read"] = max(seconds, exchange.wait)  # a limit for each read; the call's own end is sooner
        headers = HEADERS | {"accept": exchange.answer_type} | self._credentials.headers()
        if exchange.answer_type != JSON_TYPE:  # a stream, whose `cut` must never meet another thread's exchange
            headers["connection"] = "close"
        url = self.url + exchange.path
        return httpx.Request("POST", url, headers=headers, content=body, extensions={"timeout": timeouts})


class Transport(_Service):
    """Sends exchanges from threads. Safe to use from several threads, and after a fork."""

    def __init__(self, url: str, **options: Unpack[TransportOptions]) -> None:
        super().__init__(url, **options)
        self._clients = Clients(partial(_client, **self._client_options))

    def send(self, exchange: Exchange, attempts: Attempts) -> Any:
        """
        Make one attempt, and return the operation's result.

        Raises:
            Failure: it failed in a way that may pass.

            Exception: as `Exchange.result` raises it.
        """
        body, nonce = exchange.encode()
        response = self.open(exchange, body, attempts)
        return exchange.result(nonce, response.status, response.headers, response.read_all(attempts))

    def open(self, exchange: Exchange, body: bytes, attempts: Attempts) -> Response:
        """Send a question once, and return the response when its head is there; raises `Failure` as `send` does."""
        client = self._clients.of(self)
        translated = partial(_translated, exchange, self._where)
        with translated():
            end_calls_of_this_thread_at(attempts.until)
            request = self._request(exchange, body, attempts.seconds_left())
            return Response(client.send(request, stream=True), exchange, translated)

    def close(self) -> None:
        """Close the connections of this process; later exchanges raise `StoreUnavailable`."""
        self._clients.make_no_more()
        client = self._clients.take(self)
        if client is not None:
            client.close()


class AsyncTransport(_Service):
    """Sends exchanges from tasks. Safe to use from several event loops."""

    def __init__(self, url: str, **options: Unpack[TransportOptions]) -> None:
        super().__init__(url, **options)
        self._clients = LoopClients(partial(_async_client, **self._client_options))

    async def send(self, exchange: Exchange, attempts: Attempts) -> Any:
        """See `Transport.send`."""
        body, nonce = exchange.encode()
        response = await self.open(exchange, body, attempts)
        return exchange.result(nonce, response.status, response.headers, await response.read_all(attempts))

    async def open(self, exchange: Exchange, body: bytes, attempts: Attempts) -> AsyncResponse:
        """See `Transport.open`."""
        client = await self._clients.of_running_loop()
        translated = partial(_translated, exchange, self._where)
        with translated():
            async with asyncio.timeout(attempts.seconds_left()):
                request = self._request(exchange, body, attempts.seconds_left())
                return AsyncResponse(await client.send(request, stream=True), exchange, translated)

    async def close(self) -> None:
        """Close the connections of the running loop; later exchanges of any loop raise `StoreUnavailable`."""
        self._clients.make_no_more()
        await self._clients.close_running_loop()


def _tls_context(verify: Verify, cert: Cert) -> ssl.SSLContext:
    if verify is True and (ca_file := os.environ.get(CA_VARIABLE)):
        try:
            verify = client_context(ca_file)
        except (OSError, ValueError) as error:
            error.add_note(f"{CA_VARIABLE} names this file")
            raise
    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif isinstance(verify, (str, os.PathLike)):
        context = client_context(verify)
    elif verify and cert is None:
        context = _public_authorities()
    else:
        context = httpx.create_ssl_context(verify=verify, trust_env=False)
    if cert is not None:
        load_certificate(context, *((cert,) if isinstance(cert, str) else cert))
    return context


@functools.cache
def _public_authorities() -> ssl.SSLContext:
    """Trust what certifi lists, which takes 27 ms to read. Stores share it: httpx sets the same on it each time."""
    return httpx.create_ssl_context(verify=True, trust_env=False)


@contextmanager
def _translated(exchange: Exchange, where: str) -> Iterator[None]:
    """Raise errors of httpx and the network as failures of this attempt."""
    quiet = _is_ours.set(True)
    try:
        yield
    except httpx.PoolTimeout:
        why = f"all {LIMITS.max_connections} connections to {where} are in use"
        raise Failure(why, maybe_written=False) from None
    except (httpx.TimeoutException, TimeoutError) as error:
        maybe_written = exchange.is_write and not isinstance(error, NOTHING_SENT)
        why = f"the consent service at {where} did not answer in time"
        raise Failure(why, maybe_written=maybe_written, advice=TOO_LATE, is_late=True) from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        maybe_written = exchange.is_write and not isinstance(error, NOTHING_SENT)
        template = CAUSES.get(type(error))
        text = cause(error, where) if template is None else template.format(where=where)
        why, _, advice = text.partition(": ")
        raise Failure(why, maybe_written=maybe_written, advice=advice or "try again") from None
    finally:
        _is_ours.reset(quiet)


# httpx logs each exchange at INFO, which would be a line for each poll. Only ours are left out.
_is_ours: ContextVar[bool] = ContextVar("_is_ours", default=False)
logging.getLogger("httpx").addFilter(lambda record: record.levelno > logging.INFO or not _is_ours.get())


def _client(**options: Any) -> httpx.Client:
    client = httpx.Client(**options)
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - httpx has no public way in
        if isinstance(transport, httpx.HTTPTransport):
            pool = transport._pool  # noqa: SLF001
            pool._network_backend = DeadlineBackend(pool._network_backend)  # noqa: SLF001
    return client


def _async_client(**options: Any) -> httpx.AsyncClient:
    client = httpx.AsyncClient(**options)
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - as above
        if isinstance(transport, httpx.AsyncHTTPTransport):
            pool = transport._pool  # noqa: SLF001
            pool._network_backend = ClosingBackend(pool._network_backend)  # noqa: SLF001
    return client
