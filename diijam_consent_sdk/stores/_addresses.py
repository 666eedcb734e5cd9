"""What every kind of URL is checked for before anything is done with it."""

from __future__ import annotations

import ipaddress


def checked_address(url: str) -> str:
    """
    *url* as it is, if each of its characters can be seen.

    Raises:
        ValueError: it holds a line end, as a secret made with `echo` does, or begins or ends with a space. It is not
            repeated: it may hold a password.

        TypeError: it is no string.
    """
    if not isinstance(url, str):
        raise TypeError(f"a URL is a string, not {type(url).__name__}")
    if url != url.strip() or not url.isprintable():
        raise ValueError(
            "the URL holds a line end, or another character that cannot be seen: remove it"
            " (what echo writes into a secret ends with one; printf %s does not)"
        )
    return url


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address, is this machine whatever a name server says."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
