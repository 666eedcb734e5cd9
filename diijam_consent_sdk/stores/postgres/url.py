"""The parameters of a PostgreSQL URL, checked so that nothing goes to another host without TLS."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import psycopg
from psycopg.pq import Conninfo

from .._addresses import checked_address, is_loopback

TLS = ("verify-full", "verify-ca", "require")
# What the environment or a service file could weaken beside `sslmode`, which the URL itself must hold.
TLS_DEFAULTS = {"gssencmode": "disable", "ssl_min_protocol_version": "TLSv1.2"}
ENCODE = "in a user or password write @ as %40, / as %2F, : as %3A and % as %25"
UNKNOWN = f"PostgreSQL does not understand this URL: postgresql://user@host/database; {ENCODE}"


def parameters(url: str) -> dict[str, Any]:
    """
    Parse the connection parameters of *url*, with the hosts that libpq would use now.

    Args:
        url: A URL or a connection string, as libpq takes it.

    Raises:
        ValueError: the URL is malformed, or leads to another host without requiring TLS. The error does not repeat the
            URL, which may hold a password.
    """
    given = _parsed(url)
    places = {name: given.get(name, default) for name, default in _defaults("host", "hostaddr").items()}
    pairs = zip_longest(places["host"].split(","), places["hostaddr"].split(","), fillvalue="")
    # A service of libpq's service file may have any host.
    if "service" not in given and all(_is_here(address or host) for host, address in pairs):
        return given | places
    if given.get("sslmode") not in TLS:
        raise ValueError(
            "PostgreSQL on another host is asked over TLS alone: add sslmode=verify-full to the URL"
            " (verify-ca or require, if you cannot have certificates checked in full)"
        )
    return TLS_DEFAULTS | given


def _parsed(url: str) -> dict[str, str]:
    checked_address(url)
    if _has_stray_at(url):
        raise ValueError(f"this URL has an @ too many: {ENCODE}")
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):
        raise ValueError(UNKNOWN) from None
    ports = str(given.get("port", "")).split(",")
    if "@" in str(given.get("host", "")) or not all(port.isdecimal() or not port for port in ports):
        raise ValueError(UNKNOWN)
    return {name: str(value) for name, value in given.items()}


def _has_stray_at(url: str) -> bool:
    """Find an unencoded password, part of which libpq would take for a host or database, and send to a name server."""
    _, is_url, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    return bool(is_url) and (authority.count("@") > 1 or "@" in path.partition("?")[0])


def _defaults(*names: str) -> dict[str, str]:
    """Return what libpq uses where a URL has nothing: PGHOST and the like, or the service of PGSERVICE."""
    found = {option.keyword.decode(): option.val or b"" for option in Conninfo.get_defaults()}
    return {name: found[name].decode() for name in names}


def _is_here(place: str) -> bool:
    return not place or place.startswith("/") or is_loopback(place)
