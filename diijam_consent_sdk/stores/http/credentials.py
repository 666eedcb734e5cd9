"""The bearer token of a consent service. It may change while a store is open, so each attempt reads it again."""

from __future__ import annotations

import os
from collections.abc import Callable

from ...errors import StoreUnavailable

Token = str | Callable[[], str]


class Credentials:
    """
    What a store authenticates with. Safe to use from several threads if the callable is.

    Args:
        token: The token, or a callable that returns it; None sends none.

    Raises:
        ValueError, TypeError: as `checked_token` raises them, of a token that is given as it is.
    """

    def __init__(self, token: Token | None) -> None:
        self._token = token if token is None or callable(token) else checked_token(token)

    def headers(self) -> dict[str, str]:
        """
        Return the headers that carry the token now.

        Raises:
            StoreUnavailable: the callable failed, or returned what cannot be sent.
        """
        if self._token is None:
            return {}
        return {"authorization": f"Bearer {_called(self._token) if callable(self._token) else self._token}"}


def _called(token: Callable[[], str]) -> str:
    try:
        return checked_token(token())
    except Exception as error:  # noqa: BLE001 - the application's; it may show the token
        # Only an absolute path is repeated: a relative one might be the token itself.
        path = getattr(error, "filename", None)
        file = f": {path}" if isinstance(path, str) and os.path.isabs(path) else ""  # noqa: PTH117 - a string
        why = f"token= gave no token to send ({type(error).__name__}{file}), so nothing was sent: see what it calls"
        raise StoreUnavailable(why) from None


def checked_token(token: str) -> str:
    """
    Return *token* if it can stand in a header. The error never repeats it.

    Raises:
        ValueError: it is empty, or holds something else than visible ASCII characters.

        TypeError: it is no string.
    """
    if not isinstance(token, str):
        raise TypeError(f"a token is a string, not {type(token).__name__}")
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError(
            "a token is made of visible ASCII characters: pass what `token new` printed, without a line end"
        )
    return token
