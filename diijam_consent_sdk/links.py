"""
Unsubscribe links: a link in a mail by which its reader can say no to marketing, and do nothing else (extra `links`).

A link is encrypted, so it shows no id, and does not expire: a no is never refused for its age. Anybody who has the link
can say no for the customer, so treat it as part of the mail. `integrations.starlette.unsubscribe` and
`integrations.django.unsubscribe` serve its page.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from urllib.parse import urlsplit

import attrs

from ._extras import needs_extra

with needs_extra("the module links", "links", "cryptography"):
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from .identifiers import identifier
from .vocabulary import Channel, channels_of

MAX_TOKEN_CHARACTERS = 4096  # an id of the largest size gives fewer
NOT_OURS = "this is no unsubscribe link of this service, or its key was removed"


@attrs.frozen
class UnsubscribeLink:
    """Who says no to marketing, and over which channels."""

    user_id: str = attrs.field(repr=False)
    channels: frozenset[Channel]


class UnsubscribeLinks:
    """
    Makes and opens unsubscribe links. Safe to use from several threads.

    Args:
        keys: Fernet keys (`cryptography.fernet.Fernet.generate_key()`), one or several. The first seals new links, any
            opens old ones. So to rotate, put a new key in front, and keep the old ones for as long as mails are read.

        base_url: Where the page is served, an https URL. A link is the URL, a slash and a token.

    Raises:
        ValueError: there are no keys, one is malformed, or *base_url* is no https URL that a token can follow.
    """

    def __init__(self, keys: str | bytes | Iterable[str | bytes], base_url: str) -> None:
        given = [keys] if isinstance(keys, (str, bytes)) else list(keys)
        if not given:
            raise ValueError("a key is needed: make one with cryptography.fernet.Fernet.generate_key()")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in given])
        except (TypeError, ValueError):
            raise ValueError("a key is malformed: use those that Fernet.generate_key() makes") from None
        self._base_url = _checked(base_url)

    def __repr__(self) -> str:
        return f"<UnsubscribeLinks {self._base_url}>"

    def url(self, user_id: str, channels: Iterable[str]) -> str:
        """
        Make a link.

        Args:
            user_id: Whose link it is.

            channels: The channels that it says no to, at least one.

        Returns:
            The URL, in which no id can be read.

        Raises:
            ValueError: *user_id* is malformed, a channel is unknown, or no channel is given.

            TypeError: an argument has another type.
        """
        said = [identifier(user_id), sorted(_some(channels_of(channels)))]
        sealed = self._fernet.encrypt(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())
        return f"{self._base_url}/{sealed.decode().rstrip('=')}"

    def headers(self, user_id: str, channels: Iterable[str]) -> dict[str, str]:
        """
        Make the headers of a mail by which mail programs show a button (RFC 2369 and RFC 8058). DKIM has to sign them.

        Arguments and errors are those of `url`.
        """
        return {
            "List-Unsubscribe": f"<{self.url(user_id, channels)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }

    def open(self, token: str) -> UnsubscribeLink:
        """
        Open the last part of a link.

        Args:
            token: What follows the base URL and its slash.

        Returns:
            Who says no, and to what.

        Raises:
            ValueError: no key opens the token, or one byte of it was changed.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii() or "=" in token:
            raise ValueError(NOT_OURS)
        sealed = (token + "=" * (-len(token) % 4)).encode()
        try:
            user_id, channels = json.loads(self._fernet.decrypt(_canonical(sealed)))
            return UnsubscribeLink(identifier(user_id), _some(channels_of(channels)))
        except (InvalidToken, TypeError, ValueError):
            raise ValueError(NOT_OURS) from None


def _canonical(sealed: bytes) -> bytes:
    """Return what is spelled as it was made: the codec passes over changes that leave its bytes the same."""
    if urlsafe_b64encode(urlsafe_b64decode(sealed)) != sealed:
        raise ValueError("spelled in another way")
    return sealed


def _some(channels: frozenset[Channel]) -> frozenset[Channel]:
    if not channels:
        raise ValueError("a link names the channels that it says no to: give at least one")
    return channels


def _checked(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        is_right = parts.scheme == "https" and parts.hostname and parts.port != 0 and base_url.isprintable()
    except (AttributeError, TypeError, ValueError):
        is_right = False
    if not is_right or set(base_url) & set(' ?#@<>"\\') or not base_url.isascii():
        raise ValueError("base_url is an https URL without user, query and fragment, such as https://diijam.vn/u")
    return base_url.rstrip("/")
