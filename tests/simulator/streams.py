"""Polls that are answered in parts: the service's side, the bytes on their way, and the client's end, which is real."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs

from diijam_consent_sdk.client.effects import StreamChanges
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.standing import view_names
from diijam_consent_sdk.stores import messages, wire
from diijam_consent_sdk.stores._retry import Failure
from diijam_consent_sdk.stores.http.parts import Parts
from diijam_consent_sdk.stores.protocol import Cursor
from tests.simulator.ledger import Answer, Ledger, SimChanges

if TYPE_CHECKING:
    from tests.simulator.client import SimClient
    from tests.simulator.network import Network

MERGED_SECONDS = 0.05  # from one part to the next, whatever happens
FAULTS = ("lost", "doubled", "cut", "replayed", "of_another", "silent")
END, BROKEN = b"", None  # of a response: whole, and without its end

Send = Callable[[bytes | None, float], None]  # takes a line, or the end, and when the service looked for it


@attrs.define(eq=False)
class ServiceStream:
    """What the service keeps of a stream: it sends a part at once, on news, and after a beat without."""

    ledger: Ledger
    parts: Parts
    send: Send
    arrived: float = 0.0
    after: Cursor | None = None
    sent_at: float = 0.0
    sends_at: float = 0.0
    is_over: bool = False

    def begin(self) -> None:
        """The question arrived."""
        if self.is_over:  # the client gave it up
            return
        fields = self.parts.exchange.fields
        for other in list(self.ledger.streams):
            if other.parts.exchange.fields["client"] == fields["client"]:
                other.end()
        self.ledger.streams.append(self)
        self.arrived, self.after = self.ledger.loop.now, fields["after"]
        self.ledger.loop.after(fields["wait"] / self.ledger.clock_rate, self.end)
        self._look()

    def wake(self) -> None:
        """The head moved: a part follows, not at once if there was one just now."""
        since = self.ledger.loop.now - self.sent_at
        if since < MERGED_SECONDS:
            self.ledger.loop.after(MERGED_SECONDS - since, self.wake_later)
        else:
            self._look_for_news()

    def wake_later(self) -> None:
        """The pause after a part is over."""
        if not self.is_over and self.ledger.loop.now - self.sent_at >= MERGED_SECONDS - 1e-9:
            self._look_for_news()

    def end(self, how: bytes | None = END) -> None:
        """Its time is over, the service stops, or the client is gone."""
        if not self.is_over:
            self.is_over = True
            if self in self.ledger.streams:
                self.ledger.streams.remove(self)
            self.send(how, self.ledger.loop.now)

    def waited(self, looked_at: float) -> float:
        """What a part says the store waited: until just before the look."""
        return (looked_at - self.arrived) * self.ledger.clock_rate

    def _look_for_news(self) -> None:
        assert self.after is not None
        if not self.is_over and self.ledger.branch.head() != self.after:
            self._look()

    def _beat(self, sent_at: float) -> None:
        if not self.is_over and self.sent_at == sent_at:
            self._look()

    def _look(self) -> None:
        assert self.after is not None
        ledger, fields = self.ledger, self.parts.exchange.fields
        found, looked_at = ledger.find(self.after, fields["limit"], ledger.lag_of_a_look()), ledger.loop.now
        self.sent_at = looked_at
        busy = ledger.random.uniform(0, 0.002 if ledger.random.random() < 0.9 else 0.1)
        self.sends_at = max(self.sends_at, looked_at + busy)
        ledger.loop.after(self.sends_at - looked_at, partial(self._send, found, looked_at))
        ledger.loop.after(fields["beat"], partial(self._beat, looked_at))
        if found.is_continuation():
            self.after = found.cursor
            if not found.complete:
                self.wake()
        else:
            ledger.loop.after(self.sends_at - looked_at, self.end)

    def _send(self, found: SimChanges, looked_at: float) -> None:
        answer = messages.ChangesAnswer(
            nonce=self.parts.nonce, after=found.after, cursor=found.cursor, user_ids=dict(found.user_ids),
            complete=found.complete, view=view_names(found.view), waited=self.waited(looked_at),
        )  # fmt: skip
        if not self.is_over:
            self.send(wire.encode(answer) + b"\n", looked_at)


class SimStream:
    """A stream as a client has it: the real `Parts` read the bytes that the network lets through."""

    def __init__(self, network: Network, client: SimClient, call: StreamChanges) -> None:
        self.parts = Parts(
            call.after, wait=call.wait, beat=call.beat, limit=1000, client=call.client, silence=call.silence,
            deadline=client.deadline,
        )  # fmt: skip
        self.is_closed = self.is_silent = False
        self._network = network
        self._client = client
        self._service = ServiceStream(network.ledger, self.parts, self._sent)
        self._arrived: deque[bytes | None] = deque()
        self._arrives_at = 0.0  # what is sent later arrives no sooner
        self._lines: list[bytes] = []
        self._read = b""  # what of the bytes given to `parts` is no part yet
        self._answered: Answer | None = None
        self._is_sent = False
        client.streams.append(self)

    def close(self) -> None:
        """See `ChangesStream.close`."""
        self._end()
        self._answer(None)

    def next(self, answered: Answer) -> None:
        """See `ChangesStream`; the answer is given when there is one."""
        self._answered = answered
        seconds = self.parts.seconds(self._client.monotonic())
        self._client.later(self._network.limit(seconds), partial(self._late, answered))
        if not self._is_sent:
            self._is_sent = True
            self._network.ask_for_stream(self._client, self._service, self._fail)
        self._client.later(0, self._serve)

    def cut(self, how: bytes | None = BROKEN) -> None:
        """The response ends, at the client and at the service."""
        self._arrives(how)
        self._service.end()

    def _late(self, answered: Answer) -> None:
        if self._answered is answered:
            self._fail(TimeoutError("cut"))

    def _fail(self, error: object) -> None:
        if not self.is_closed:
            self._end()
            self._answer(error)

    def _end(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._client.streams.remove(self)
            self._network.ledger.loop.after(self._network.latency, self._service.end)

    def _answer(self, answer: object) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            self._client.later(0, partial(answered, answer))

    def _serve(self) -> None:
        try:
            while self._answered is not None and not self.is_closed:
                part = self.parts.take()
                if part is not None:
                    line, _, self._read = self._read.partition(b"\n")
                    clock, looked_at = self._client.clock, self._network.lines[line + b"\n"]
                    sent = clock.offset + clock.rate * looked_at - part.waited
                    return self._answer(SimChanges(**attrs.asdict(part, recurse=False), sent=sent))
                if not self._arrived:
                    return None
                chunk = self._arrived.popleft()
                if chunk is BROKEN:
                    return self._fail(ConnectionError("cut"))
                self._read += chunk
                if not self.parts.receive(chunk):
                    self._end()
        except Failure as failure:
            return self._fail(StoreUnavailable(failure.why))
        return self._answer(None)

    # On its way.

    def _sent(self, line: bytes | None, looked_at: float) -> None:
        network = self._network
        if self._client.is_gone:
            self._service.end()
        if self.is_silent or self.is_closed or network.is_frozen():
            return
        if not line:
            self._arrives(line)
        elif (fault := network.fault_of_part()) == "silent":
            self.is_silent = True
        else:
            network.lines[line] = looked_at
            self._lines.append(line)
            self._send_on(line, fault)

    def _send_on(self, line: bytes, fault: str | None) -> None:
        random = self._network.random
        if fault == "cut":
            self._arrives(line[: random.randint(1, len(line) - 1)])
            self.cut(random.choice([END, BROKEN]))
        elif fault != "lost":
            before = {"doubled": [line], "replayed": self._lines[-20:], "of_another": [*self._network.lines][-40:]}
            for sent in [*random.sample(before[fault], 1), line] if fault else [line]:
                self._arrives(sent)

    def _arrives(self, chunk: bytes | None) -> None:
        loop, random = self._network.ledger.loop, self._network.random
        at = max(self._arrives_at, loop.now + self._network.travel_of_part())
        pieces: list[bytes | None] = [chunk]
        if chunk and random.random() < 0.1:
            split = random.randint(0, len(chunk))
            pieces = [piece for piece in (chunk[:split], chunk[split:]) if piece]
        for piece in pieces:
            loop.after(at - loop.now, partial(self._client.later, 0, partial(self._arrive, piece)))
            at += random.uniform(0, 0.002)
        self._arrives_at = at

    def _arrive(self, piece: bytes | None) -> None:
        self._arrived.append(piece)
        self._serve()
