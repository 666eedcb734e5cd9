"""Certificates from files, with errors that name the file and say what is wrong with it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

File = str | os.PathLike[str]


def trusting(ca_file: File) -> ssl.SSLContext:
    """
    A client's context that trusts the certificates in a file, and no others.

    Raises:
        OSError: the file cannot be read.

        ValueError: it holds no certificate.
    """
    _read(ca_file)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError(f"{os.fspath(ca_file)} holds no certificates: it should be a PEM file of a CA") from None


def serving(cert_file: File, key_file: File) -> ssl.SSLContext:
    """
    A service's context: TLS 1.2 and 1.3.

    Raises:
        OSError, ValueError: as `load_pair` raises them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_pair(context, cert_file, key_file)
    return context


def load_pair(context: ssl.SSLContext, cert_file: File, key_file: File | None = None) -> None:
    """
    Give *context* a certificate, with those up to its CA, and its key.

    Args:
        context: Of a client or a service.

        cert_file: PEM; with the key too if *key_file* is not given.

        key_file: PEM, not encrypted.

    Raises:
        OSError: a file cannot be read.

        ValueError: one holds no certificate or key, the key is encrypted, or it is not that of the certificate.
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
        return ""  # nobody is there to type one

    try:
        context.load_cert_chain(cert, key, password)
    except ssl.SSLError as error:
        if is_encrypted:
            raise ValueError(f"the key in {key} is encrypted: give a file with the decrypted key") from None
        if error.reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}:
            raise ValueError(f"the key in {key} is not that of the certificate in {cert}") from None
        raise ValueError(f"the certificate in {cert} or the key in {key} cannot be read: are they whole?") from None


def _read(file: File) -> bytes:
    return Path(file).read_bytes()  # raises with the file's name, which OpenSSL does not
