"""
The consent service: a store served over HTTP, so that processes on other machines can use it.

It needs the extra `service`: `pip install 'diijam-consent-sdk[service]'`.
"""

from __future__ import annotations

from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING

from ..stores.async_protocol import AsyncStore
from ..stores.protocol import Store

if TYPE_CHECKING:
    from litestar import Litestar

__all__ = ["create_app"]


def create_app(
    store: Store | AsyncStore, *, tokens: str | PathLike[str], verify_every: timedelta | None = None
) -> Litestar:
    """
    Make an ASGI application that serves *store*.

    The caller closes the store once the server has ended. A server that waits for open requests at shutdown has to end
    the long polls first: `service.server.run` does so; with another server call `app.state.context.feed.stop()`.

    Args:
        store: Any store, sync or async. A sync one is called in a bounded number of threads.

        tokens: The file of tokens, as `diijam-consent token new` makes it; read again whenever it changes.

        verify_every: How often to walk over the chain of a database's ledger, at 2,000 entries a second at most. Once
            it is broken, nothing but noes is accepted, and nothing is answered. None: never.

    Returns:
        The application, to be run by one server process.

    Raises:
        ModuleNotFoundError: the extra `service` is not installed.

        OSError: the tokens file cannot be read.

        ValueError: the file holds something else than tokens, or *verify_every* is given for a store that is no
            database.
    """
    from .app import build_app  # noqa: PLC0415 - commands that do not serve work without the extra
    from .tokens import TokenFile  # noqa: PLC0415

    return build_app(store, TokenFile(tokens), verify_every=verify_every)
