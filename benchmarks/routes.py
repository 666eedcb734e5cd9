"""What the service adds to a bare ASGI answer of the same bytes, on the same server software, question by question."""

from __future__ import annotations

import random
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from diijam_consent_sdk.stores import wire

from . import people, report
from .serving import Service, serving
from .timing import ratios, spread

USERS = 10_000
QUESTIONS = 1_000  # of each in a round
ROUNDS = 15
HEAD = "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"  # noqa: E501


@attrs.define
class Asked:
    """One server, asked over one kept-alive connection: a round's median time and server CPU, in microseconds."""

    connection: socket.socket
    clock: int  # Linux's, of the server's processor time; /proc has hundredths of a second
    token: str
    times: list[float] = attrs.field(factory=list)
    processor: list[float] = attrs.field(factory=list)

    @classmethod
    def at(cls, port: int, pid: int, token: str) -> Asked:
        """Connect to a server of this machine."""
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(connection, ~pid << 3 | 2, token)  # as clock_getcpuclockid(3) makes it

    def encoded(self, path: str, question: dict[str, object]) -> bytes:
        """A whole request."""
        body = wire.encode({"nonce": secrets.token_hex(16), **question})  # as `HttpStore` does
        return HEAD.format(path=path, token=self.token, length=len(body)).encode() + body

    def ask(self, request: bytes) -> bytes:
        """Send a request, and read the answer's body."""
        self.connection.sendall(request)
        answer = self._read()
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._read()
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"answered {answer[:60]!r}")
        length = int(answer[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(answer) < end + 4 + length:
            answer += self._read()
        return answer[end + 4 :]

    def _read(self) -> bytes:
        read = self.connection.recv(65_536)
        if not read:
            raise SystemExit("the server closed the connection")
        return read

    def round(self, requests: Sequence[bytes], *, counts: bool) -> None:
        """Ask all of them, one after the other."""
        began, times = time.clock_gettime(self.clock), list[float]()
        for request in requests:
            at = time.perf_counter()
            self.ask(request)
            times.append((time.perf_counter() - at) * 1e6)
        if counts:
            self.times.append(statistics.median(times))
            self.processor.append((time.clock_gettime(self.clock) - began) / len(requests) * 1e6)


@contextmanager
def bare(answer: bytes, folder: Path) -> Iterator[Asked]:
    """A bare ASGI application that answers with these bytes."""
    (folder / "answer").write_bytes(answer)
    command = [sys.executable, "-m", "benchmarks.bare", str(folder / "answer")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        asked = Asked.at(int(process.stdout.readline()), process.pid, "bare")
        with closing(asked.connection):
            yield asked
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def compared(service: Service, folder: Path, path: str, make: Callable[[], dict[str, object]]) -> list[str]:
    """The row of one operation."""
    port = urlsplit(service.url).port
    assert port is not None
    ours = Asked.at(port, service.pid, service.token)
    count, rounds = people.scaled(QUESTIONS), 3 if people.QUICK else ROUNDS
    with closing(ours.connection):
        answer = ours.ask(ours.encoded(path, make()))
        with bare(answer, folder) as other:
            for number in range(-1, rounds):
                requests = [ours.encoded(path, make()) for _ in range(count)]
                for each in (ours, other)[:: 1 if number % 2 else -1]:
                    each.round(requests, counts=number >= 0)
    cells = [spread(ours.times), spread(other.times), ratios(ours.times, other.times),
             spread(ours.processor), spread(other.processor), ratios(ours.processor, other.processor)]  # fmt: skip
    digits = (0, 0, 1, 0, 0, 1)
    return [f"`{path}`", *(cell.text(places) for cell, places in zip(cells, digits, strict=True))]


def main() -> None:
    """Measure, and publish the table."""
    rng, users = random.Random(people.SEED), people.ids(people.scaled(USERS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(Path(shutil.copy(people.ledger(len(users)), folder))) as service, service.client() as http:
            nonce = {"nonce": secrets.token_hex(16)}
            head = http.post("/v1/records/load", json={**nonce, "user_ids": []}).json()["cursor"]

            def load() -> dict[str, object]:
                """A load of one user."""
                return {"user_ids": [rng.choice(users)]}

            def append() -> dict[str, object]:
                """One event of one user."""
                return {"user_id": rng.choice(users), "events": [{"type": "Objected", "purpose": "surveys"}]}

            def changes() -> dict[str, object]:
                """A poll with an answer at once."""
                return {"after": head, "wait": 0.0, "limit": 1}

            operations = {
                "/v1/standings/load": load,
                "/v1/records/load": load,
                "/v1/changes": changes,
                "/v1/events/append": append,
            }
            rows = [compared(service, folder, path, make) for path, make in operations.items()]
    columns = ["one question", "µs", "bare, µs", "ratio", "server CPU, µs", "bare, µs", "ratio"]
    note = (
        f"`diijam-consent serve` over SQLite, {len(users):,} users, and a bare ASGI application that answers with the"
        " same bytes, both on uvicorn with uvloop and httptools. One kept-alive connection each, one question at a time"
        " (an append waits for the disk)."
    )
    report.publish("routes", "What the service adds to a bare answer", note, report.table(columns, rows))


if __name__ == "__main__":
    main()
