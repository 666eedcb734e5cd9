"""Certificates for tests, made by the `openssl` command: a CA, and what it signs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="apt-get install openssl")


def openssl(*arguments: object) -> None:
    """Run the command."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@attrs.frozen
class Authority:
    """A CA in a folder: its certificate is in `ca.pem`."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Authority:
        """A new one."""
        subject = ("-subj", "/CN=A CA for tests", "-days", 2, "-nodes")
        may_sign = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 takes no CA without
        openssl("req", "-x509", *EC, *subject, *may_sign, "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
        return cls(folder)

    @property
    def file(self) -> str:
        """Its certificate."""
        return str(self.folder / "ca.pem")

    def signed(self, name: str, *, of: str = "IP:127.0.0.1,DNS:localhost", days: int = 2) -> tuple[Path, Path]:
        """The files of a certificate and of its key; with a negative number of days it has expired."""
        cert, key, request, extensions = (self.folder / f"{name}.{ending}" for ending in ("pem", "key", "csr", "ext"))
        identifiers = "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        extensions.write_text(f"subjectAltName={of}\n{identifiers}")
        openssl("req", *EC, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        signing = ("-CA", self.file, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", days)
        openssl("x509", "-req", "-in", request, *signing, "-extfile", extensions, "-out", cert)
        return cert, key
