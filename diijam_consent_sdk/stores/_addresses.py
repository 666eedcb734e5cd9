"""Checks of URLs and hosts that all kinds of stores share."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}")  # a name, or an address


def checked_address(url: str) -> str:
    """
    Return *url* if each of its characters can be seen.

    Raises:
        ValueError: it holds a line end, as a secret made with `echo` does, or begins or ends with a space. The error
            does not repeat it, because it may hold a password.

        TypeError: the URL is not a string.
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
    """Find out whether a name or an address is this machine, without a name server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_hosts(hosts: Iterable[str]) -> frozenset[str]:
    """
    Return the exact names of hosts to which plain http is allowed, in lower case as URLs have them.

    Raises:
        ValueError: one is no host name, but has a port, a scheme or a wildcard.

        TypeError: *hosts* is one string, or holds something else than strings.
    """
    if isinstance(hosts, (str, bytes)):
        raise TypeError("insecure_hosts is a set of host names, not one string")
    names = frozenset(hosts)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a host name is a string, not {type(name).__name__}")
        if not HOST.fullmatch(name):
            raise ValueError("insecure_hosts holds exact host names such as consent.internal, without scheme or port")
    return frozenset(name.lower() for name in names)
