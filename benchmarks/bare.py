"""`python -m benchmarks.bare FILE`: an ASGI application that reads each question and answers it with the same bytes."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

from diijam_consent_sdk.service.server import KEEP_ALIVE_SECONDS


def application(answer: bytes) -> Any:
    """The least that an application does for an answer of these bytes."""
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer)),
            (b"cache-control", b"no-store"),
        ],
    }
    body = {"type": "http.response.body", "body": answer}

    async def app(_: Any, receive: Any, send: Any) -> None:
        """Answer."""
        while (await receive()).get("more_body"):
            pass
        await send(start)
        await send(body)

    return app


def main() -> None:
    """Serve on a free port, which is printed."""
    app = application(Path(sys.argv[1]).read_bytes())
    at = socket.socket()
    at.bind(("127.0.0.1", 0))
    at.listen()
    print(at.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, http="httptools", loop="uvloop", log_config=None, access_log=False, lifespan="off", server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[at])


if __name__ == "__main__":
    main()
