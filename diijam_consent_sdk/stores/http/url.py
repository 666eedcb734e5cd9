"""The URL of a consent service, checked before anything is sent: plain http only where nobody else can listen."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from .._addresses import checked_address, is_loopback

DEFAULT_PORTS = {"http": 80, "https": 443}
FORM = "the URL of a consent service is https://host[:port][/path]"


def checked_url(url: str, insecure_hosts: frozenset[str] = frozenset()) -> str:
    """
    Check the base URL of a service, and strip its trailing slash.

    Args:
        url: https, or http to this machine or to one of *insecure_hosts*.

        insecure_hosts: As `checked_hosts` returns them.

    Raises:
        ValueError: it is something else. The error does not repeat it: it may hold a password.
    """
    if "@" in checked_address(url):  # urlsplit would repeat an unencoded password in its error
        raise ValueError(
            "the URL of a consent service holds no user or password: pass token= or set DIIJAM_CONSENT_TOKEN"
        )
    try:
        parts = urlsplit(url)
    except ValueError:  # it repeats what it takes for an address
        raise ValueError(FORM) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(FORM)
    if parts.query or parts.fragment or not _has_valid_port(parts):
        raise ValueError(
            "the URL of a consent service holds no query or fragment, and its port is a number up to 65535"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname) and parts.hostname not in insecure_hosts:
        raise ValueError(
            "plain http is only for this machine: use https, or 127.0.0.1; where something below HTTP encrypts, name"
            " the host in insecure_hosts= or DIIJAM_CONSENT_INSECURE_HOSTS"
        )
    return url.rstrip("/")


def _has_valid_port(parts: SplitResult) -> bool:
    """Whether the port is missing or a number: anything else may be part of a password."""
    address, _, after_address = parts.netloc.rpartition("]")
    with suppress(ValueError):
        return parts.port != 0 and not (address and after_address[:1] not in {"", ":"})
    return False


def quoted_address(url: str) -> str:
    """Return host and port of a checked URL for error messages: in quotes, so that a relay removes them."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"'{host}:{parts.port or DEFAULT_PORTS[parts.scheme]}'"
