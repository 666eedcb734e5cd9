"""A database server that offers no TLS and asks for a password in clear text."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
PASSWORD_REQUEST = b"R\0\0\0\x08\0\0\0\x03"


class PlainServer:
    """Refuses encryption (`N`), asks whatever comes next for a password, and keeps what it receives."""

    answer = b"N"

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    while part := connection.recv(4096):
                        self.received.append(part)
                        (code,) = struct.unpack("!I", part[4:8])
                        connection.sendall(self.answer if code in {SSL_REQUEST, GSS_REQUEST} else PASSWORD_REQUEST)

    def close(self) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
