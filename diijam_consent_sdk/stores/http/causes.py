"""Explain to an operator why a consent service cannot be reached. No request and no answer is quoted."""

from __future__ import annotations

import errno
import os
import socket
import ssl

TOO_LATE = "see that it runs, that the URL's host and port are right, and that no firewall is between"
NO_SERVICE = "is this URL (https or http, host, port, path) that of a consent service?"
PROXY_REFUSES = "the proxy of the environment does not let this through to {where}: look at HTTPS_PROXY, or trust_env="
CLOSED = (
    "the connection to {where} was closed without an answer: does the service speak https there, or want a client"
    " certificate (cert=)?"
)

# By OpenSSL's verification error.
CERTIFICATE_ADVICE = {
    9: "see that the clocks of both machines are right",  # not yet valid
    10: "renew it, and see that the clock of this machine is right",  # expired
    **dict.fromkeys((18, 19, 20, 21), "pass verify= with the file of the CA that signed it, or set SSL_CERT_FILE"),
    **dict.fromkeys((62, 63, 64), "put a name into the URL that the certificate has"),
}

# By a part of OpenSSL's reason.
TLS_ADVICE = {
    "WRONG_VERSION_NUMBER": "what answers there speaks no TLS: is it plain http, or another port?",
    "HTTP_REQUEST": "what answers there speaks no TLS: is it plain http, or another port?",
    "CERTIFICATE_REQUIRED": "the service wants a client certificate: pass cert=",
    "CERTIFICATE": "the service refuses the client certificate: look at cert= and at what the service trusts",
    "UNKNOWN_CA": "the service refuses the client certificate: look at cert= and at what the service trusts",
    "HANDSHAKE_FAILURE": "both sides have no cipher in common, or the service wants a client certificate (cert=)",
    "PROTOCOL": "both sides have no version of TLS in common: the service should speak TLS 1.2 or 1.3",
}

OF_ERRNO = {
    errno.ECONNREFUSED: "nothing listens at {where} (connection refused): see that the service runs, on that port",
    errno.ETIMEDOUT: "connecting to {where} took too long: " + TOO_LATE,
    errno.ENETUNREACH: "there is no way to {where} (network unreachable): look at the network of this machine",
    errno.EHOSTUNREACH: "there is no way to {where} (host unreachable): see that the URL's host is right",
    errno.ECONNRESET: CLOSED,
    errno.EPIPE: CLOSED,
    errno.EMFILE: "this process has too many files open to connect to {where}: raise its limit (ulimit -n)",
    errno.EACCES: "this process may not connect to {where}: look at the rules of its container or firewall",
    errno.EPERM: "this process may not connect to {where}: look at the rules of its container or firewall",
}


def cause(error: BaseException, where: str) -> str:
    """
    Explain what the network did.

    Args:
        error: What the HTTP client raised, with its causes.

        where: Host and port, quoted.

    Returns:
        One line with what to do.
    """
    found = _origin(error)
    if isinstance(found, ssl.SSLError):
        return _of_tls(found, where)
    if isinstance(found, socket.gaierror):
        return f"the name of {where} is not known (DNS): see that the URL's host is right"
    if isinstance(found, OSError) and found.errno is not None:
        return OF_ERRNO.get(found.errno, f"{{where}} cannot be reached ({os.strerror(found.errno)})").format(
            where=where
        )
    return f"the exchange with {where} broke ({type(error).__name__}): " + NO_SERVICE


def _of_tls(error: ssl.SSLError, where: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        advice = CERTIFICATE_ADVICE.get(error.verify_code, "look at the service's certificate")
        return f"the certificate of {where} is not accepted ({reason}): {advice}"
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return f"{where} ended the TLS handshake: " + NO_SERVICE
    reason = error.reason or "UNKNOWN"
    advice = next((advice for part, advice in TLS_ADVICE.items() if part in reason), NO_SERVICE)
    return f"TLS with {where} failed ({reason.lower().replace('_', ' ')}): {advice}"


def _origin(error: BaseException) -> BaseException:
    """Find the first error: the last `OSError` on the way through causes and groups of attempts."""
    found = error
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        if isinstance(following, OSError) and (following.errno is not None or isinstance(following, ssl.SSLError)):
            found = following
        if isinstance(following, BaseExceptionGroup):
            following = following.exceptions[0]
        else:
            following = following.__cause__ or following.__context__
    return found
