"""
The consent service: HTTP over any store.

It needs the extra `service`: `pip install 'diijam-consent-sdk[service]'`.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from ..stores.protocol import AsyncStore, Store

if TYPE_CHECKING:
    from litestar import Litestar

__all__ = ["create_app"]


def create_app(store: Store | AsyncStore, *, tokens: str | PathLike[str]) -> Litestar:
    """
    An ASGI application that answers for *store*.

    The store stays the caller's: close it once the server has ended. Long polls end when the server asks for shutdown
    only if it says so before it waits for them: `service.server.run` does, for another server call
    `app.state.service.polls.stop()`.

    Args:
        store: Any store, sync or async. A sync one is called in a bounded number of threads.

        tokens: The file of tokens, as `diijam-consent token new` makes it; read again whenever it changes.

    Returns:
        The application, to be run by one server process.

    Raises:
        ModuleNotFoundError: the extra `service` is not installed.

        OSError: the tokens file cannot be read.

        ValueError: it is no tokens file.
    """
    from .app import build  # noqa: PLC0415 - commands that do not serve work without the extra
    from .tokens import TokenFile  # noqa: PLC0415

    return build(store, TokenFile(tokens))
