"""The bearer token of a consent service. It may change while a store is open, so each attempt reads it again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..._file_owners import check_path, open_checked
from ...errors import StoreUnavailable

Token = str | Callable[[], str]
MAX_FILE_BYTES = 2**12


class TokenFromFile:
    """
    The token in a file, read again for each attempt, so that a rotated one is used as soon as it is there.

    Safe to use from several threads.

    Args:
        path: The file: the token alone, with or without a line end.

    Raises:
        OSError: the file cannot be read, or another user could have written it.

        ValueError: it holds no token.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()
        self()

    def __repr__(self) -> str:
        return f"<TokenFromFile {self._path}>"

    def __call__(self) -> str:
        """Read the token; raises as the class does."""
        check_path(self._path)
        with open_checked(self._path.resolve(), named=self._path) as file:
            content = file.read(MAX_FILE_BYTES + 1)
        try:
            return checked_token(content.decode("ascii").strip() if len(content) <= MAX_FILE_BYTES else "")
        except ValueError:  # its text might show the content
            raise ValueError(f"{self._path} holds no token: write into it what `token new` printed, alone") from None


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
        if isinstance(token, TokenFromFile):
            why = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
            raise StoreUnavailable(f"the token's file cannot be used, so nothing was sent: {why}") from None
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
