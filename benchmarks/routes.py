"""What the service adds to a bare ASGI answer of the same bytes, on the same server software, question by question."""

from __future__ import annotations

import random
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

from diijam_consent_sdk.events import Objected
from diijam_consent_sdk.stores import HttpStore
from diijam_consent_sdk.stores.http.append_exchange import append
from diijam_consent_sdk.stores.http.exchange import Exchange, changes, load
from diijam_consent_sdk.stores.http.standing_exchange import standings

from . import people, report
from .serving import Service, serving
from .timing import ratios, spread

USERS = 10_000
QUESTIONS = 1_000  # of each in a round
ROUNDS = 15


@attrs.define
class Asked:
    """One server, asked over one kept-alive connection: a round's median time and server CPU, in microseconds."""

    connection: socket.socket
    clock: int  # Linux's, of the server's processor time; /proc has hundredths of a second
    times: list[float] = attrs.field(factory=list)
    processor: list[float] = attrs.field(factory=list)

    @classmethod
    def at(cls, port: int, pid: int) -> Asked:
        """Connect to a server of this machine."""
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(connection, ~pid << 3 | 2)  # as clock_getcpuclockid(3) makes it

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
        asked = Asked.at(int(process.stdout.readline()), process.pid)
        with closing(asked.connection):
            yield asked
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def compared(service: Service, folder: Path, make: Callable[[], Exchange]) -> list[str]:
    """The row of one operation, asked as `HttpStore` does."""
    port, path = urlsplit(service.url).port, make().path
    assert port is not None
    ours = Asked.at(port, service.pid)
    count, rounds = people.scaled(QUESTIONS), 3 if people.QUICK else ROUNDS
    with closing(ours.connection):
        answer = ours.ask(service.request(path, make().encode()[0]))
        with bare(answer, folder) as other:
            for number in range(-1, rounds):
                requests = [service.request(path, make().encode()[0]) for _ in range(count)]
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
        with (
            serving(Path(shutil.copy(people.ledger(len(users)), folder))) as service,
            closing(HttpStore(service.url, token=service.token)) as store,
        ):
            head = store.load(()).cursor
            operations: list[Callable[[], Exchange]] = [
                lambda: standings([rng.choice(users)]),
                lambda: load([rng.choice(users)]),
                lambda: changes(head, 0.0, 1),
                lambda: append(rng.choice(users), [Objected("surveys")], None, None),
            ]
            rows = [compared(service, folder, make) for make in operations]
    columns = ["one question", "µs", "bare, µs", "ratio", "server CPU, µs", "bare, µs", "ratio"]
    note = (
        f"`diijam-consent serve` over SQLite, {len(users):,} users, and a bare ASGI application that answers with the"
        " same bytes, both on uvicorn with uvloop and httptools. One kept-alive connection each, one question at a time"
        " (an append waits for the disk)."
    )
    report.publish("routes", "What the service adds to a bare answer", note, report.table(columns, rows))


if __name__ == "__main__":
    main()
