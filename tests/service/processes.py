"""`serve` in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

# What the command line does, and how loud everything is: a root handler at the lowest level, for every logger.
CODE = """
import logging, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background test runner ignores them
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if "NO_FAST_PARTS" in os.environ:
    sys.modules.update(httptools=None, uvloop=None)
from datetime import timedelta
from pathlib import Path
import diijam_consent_sdk.service.app, diijam_consent_sdk.stores.http.store, uvicorn
from diijam_consent_sdk.service.main import serve
url, tokens, host, port, loud, seconds, workers, cert, key = sys.argv[1:]
if loud == "loud":
    logging.basicConfig(level=1)
    logging.addLevelName(5, "TRACE")
    for name in [*logging.root.manager.loggerDict, "uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access"]:
        logging.getLogger(name).setLevel(1)
every = timedelta(seconds=int(seconds)) if seconds else None
sys.exit(serve(url, tokens=Path(tokens), host=host, port=int(port), verify_every=every, workers=int(workers),
    tls_cert=Path(cert) if cert else None, tls_key=Path(key) if key else None))
"""


class Process:
    """A service process, with its standard error and its end."""

    def __init__(
        self,
        url: str,
        tokens: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        loud: bool = False,
        verify_seconds: int | None = None,
        fast: bool = True,
        workers: int = 1,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.said: list[str] = []
        self._heard = threading.Condition()
        options = ["loud" if loud else "quiet", str(verify_seconds or ""), str(workers), *map(str, tls or ("", ""))]
        self._process = subprocess.Popen(
            [sys.executable, "-c", CODE, url, str(tokens), host, str(port), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **({} if fast else {"NO_FAST_PARTS": "1"})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            with self._heard:
                self.said.append(line)
                self._heard.notify_all()
        with self._heard:
            self.said.append("")
            self._heard.notify_all()

    def until(self, text: str) -> str:
        """Wait for a line with this text on standard error; return it, or an empty line at its end."""

        def found() -> str | None:
            return next((line for line in self.said if text in line or not line), None)

        with self._heard:
            line = self._heard.wait_for(found, 20)
        assert line is not None, self.said
        return line

    def listening(self) -> str:
        """Wait until the service listens, and return its URL."""
        return self.until("listening on").split()[-1]

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for the end of the process, and return its exit status."""
        status = self._process.wait(20)
        self._reader.join(5)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream
            stream.close()
        return status

    def kill(self) -> None:
        """End the process now, whatever it does."""
        if self._process.returncode is None:
            self._process.kill()
            self.end()
