"""
Runs `diijam-consent` for shells without starting Python each time: this process has the command line imported, and
forks. A shell sends the id of its own process, where arguments, environment, folder and streams are found. Linux alone.

`python -m tests.operations.forker` prints its port, and ends with its standard input.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from pathlib import Path

from diijam_consent_sdk.cli.app import run
from diijam_consent_sdk.stores.http import store as _  # noqa: F401 - what `ping` would import each time

CAN_FORK = Path("/proc/self/environ").exists()
# For bash. What is redirected is a subshell's, and -u a descriptor's, so that the streams stay the command's.
CLIENT = 'exec 9<>"/dev/tcp/127.0.0.1/$FORKER"; (echo $$ >&9); read -r -u 9 status; exit "$status"'


def serve() -> None:
    """Fork for each shell that connects, until standard input ends."""
    with socket.create_server(("127.0.0.1", 0)) as at:
        sys.stdout.write(f"{at.getsockname()[1]}\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([at, sys.stdin], (), ())[0]:
            shell, _ = at.accept()
            if os.fork() == 0:
                at.close()
                _answer(shell)
            shell.close()
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _answer(shell: socket.socket) -> None:
    """Run the command of a shell in its place, and send the exit status."""
    process = Path("/proc", shell.makefile().readline().strip())
    status = 99
    try:
        os.chdir(process / "cwd")
        os.environ.clear()
        pairs = (process / "environ").read_bytes().decode().split("\0")
        os.environ.update(pair.partition("=")[::2] for pair in pairs if pair)
        for stream, flags in enumerate((os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_APPEND)):
            os.dup2(os.open(process / "fd" / str(stream), flags), stream)
        arguments = (process / "cmdline").read_bytes().decode().split("\0")
        status = run(arguments[2:-1])  # after bash and the program's path
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        shell.sendall(f"{status}\n".encode())
        os._exit(0)


if __name__ == "__main__":
    serve()
