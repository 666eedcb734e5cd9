"""
Load certificates from files.

OpenSSL's own errors name no file, so those raised here name the file and say what is wrong with it.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

PathText = str | os.PathLike[str]


def client_context(ca_file: PathText) -> ssl.SSLContext:
    """
    Make a client's context that trusts the certificates in a file, and no others.

    Raises:
        OSError: the file cannot be read.

        ValueError: the file holds no certificate.
    """
    _read(ca_file)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError(f"{os.fspath(ca_file)} holds no certificates: it should be a PEM file of a CA") from None


def server_context(cert_file: PathText, key_file: PathText) -> ssl.SSLContext:
    """
    Make a service's context, for TLS 1.2 and 1.3.

    Raises:
        OSError, ValueError: as `load_certificate` raises them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, cert_file, key_file)
    return context


def load_certificate(context: ssl.SSLContext, cert_file: PathText, key_file: PathText | None = None) -> None:
    """
    Load a certificate, those up to its CA, and its key into *context*.

    Args:
        context: The context of a client or a service.

        cert_file: A PEM file of the certificate; of the key too if *key_file* is not given.

        key_file: A PEM file of the key, not encrypted.

    Raises:
        OSError: a file cannot be read.

        ValueError: a file holds no certificate or key, the key is encrypted, or the two do not belong together.
    """
    key_file = cert_file if key_file is None else key_file
    certificates, keys = _read(cert_file), _read(key_file)
    cert, key = os.fspath(cert_file), os.fspath(key_file)
    if b"-----BEGIN CERTIFICATE-----" not in certificates:
        raise ValueError(f"{cert} holds no certificate: it should be a PEM file, the service's own certificate first")
    if b"PRIVATE KEY-----" not in keys:
        raise ValueError(f"{key} holds no private key: it should be a PEM file")
    is_encrypted = False

    def password() -> str:
        nonlocal is_encrypted
        is_encrypted = True
        return ""  # without this callback OpenSSL would ask the terminal

    try:
        context.load_cert_chain(cert, key, password)
    except ssl.SSLError as error:
        if is_encrypted:
            raise ValueError(f"the key in {key} is encrypted: give a file with the decrypted key") from None
        if error.reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}:
            raise ValueError(f"the key in {key} is not that of the certificate in {cert}") from None
        raise ValueError(f"the certificate in {cert} or the key in {key} cannot be read: are they whole?") from None


def _read(file: PathText) -> bytes:
    return Path(file).read_bytes()  # its OSError names the file, which OpenSSL's does not
