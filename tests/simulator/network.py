"""What lies between a client and the store: it delays, loses, doubles and reorders, and sometimes answers wrongly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import attrs
from msgspec.structs import replace

from diijam_consent_sdk.client.effects import (
    Append,
    ChangesSince,
    Load,
    LoadStandings,
    NextPart,
    StoreCall,
    StreamChanges,
)
from diijam_consent_sdk.errors import NotEntitled, OutcomeUnknown, StoreUnavailable, TooLarge
from diijam_consent_sdk.stores.protocol import Appended, Changes, Loaded, StandingRow, Standings
from tests.simulator import streams
from tests.simulator.ledger import Answer, Branch, Ledger
from tests.simulator.loop import Loop
from tests.simulator.streams import SimStream

if TYPE_CHECKING:
    from tests.simulator.client import SimClient
    from tests.simulator.streams import ServiceStream


@attrs.define
class Weather:
    """How likely each fault of one exchange is."""

    slow_request: float = 0.0
    slow_answer: float = 0.0
    lost_request: float = 0.0
    lost_answer: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    doubled: float = 0.0
    wrong: float = 0.0
    part: float = 0.0  # one of `streams.FAULTS`
    slow_up_to: float = 1.5  # in units of B


CALM = Weather()


@attrs.frozen
class BatchLimit:
    """Until when loads of more users than this are refused as too large, or else not answered."""

    users: int = 1000
    refuses: bool = False
    until: float = 0.0


class Network:
    """All exchanges between the clients and the ledger."""

    def __init__(self, loop: Loop, random: Random, ledger: Ledger, bound: float, tried: Counter[str]) -> None:
        self.weather = CALM
        self.broken: dict[type[StoreCall[Any]], float] = {}  # until when calls of a kind are held up
        self.batch_limit = BatchLimit()
        self.token_refused_until = 0.0  # until when appends are refused for the token
        self.parts_held_until = 0.0
        self.lines: dict[bytes, float] = {}  # of all streams: when the service looked for each
        self.latency = min(0.02, bound / 200)
        self.under_way = 0
        self.ledger = ledger
        self._loop = loop
        self.random = random
        self._bound = bound
        self._tried = tried

    def _happens(self, fault: str) -> bool:
        chance: float = getattr(self.weather, fault)
        if chance and self.random.random() < chance:
            self._tried[fault] += 1
            return True
        return False

    def call(self, client: SimClient, call: StoreCall[Any], answered: Answer) -> None:
        """Carry one call there and its answer back: *answered* is called once, in the end."""
        if isinstance(call, StreamChanges):
            return answered(SimStream(self, client, call))
        if isinstance(call, NextPart):
            assert isinstance(call.stream, SimStream)
            return call.stream.next(answered)
        self._tried["confirmation"] += isinstance(call, ChangesSince) and call.limit == 1
        sent = client.clock.show()
        client.checks.sent(client, call)
        self.under_way += 1
        is_over = False

        def once(answer: object, branch: Branch | None) -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self.under_way -= 1
                client.checks.delivered(client, call, answer, branch)
                answered(answer)

        def back(answer: object, branch: Branch | None = None) -> None:
            if isinstance(answer, Loaded | Standings | Changes):
                answer = attrs.evolve(answer, sent=sent)  # type: ignore[call-arg]
            if self._happens("error_after"):
                answer = self._failure(call, done=True)
            elif self._happens("wrong"):
                answer = self._wrong(answer)
            elif self._happens("lost_answer"):
                return
            client.later(self._travel("slow_answer"), lambda: once(answer, branch))

        seconds = (call.wait if isinstance(call, ChangesSince) else 0.0) + client.deadline
        client.later(self.limit(seconds), lambda: once(TimeoutError("cut"), None))
        self._there(call, back)
        return None

    def limit(self, seconds: float) -> float:
        """When a call that has so many seconds is cut: a transport may be late to do so."""
        is_late = self.weather is not CALM and self.random.random() < 0.2
        return seconds + self.random.uniform(0, self._bound) * is_late

    def ask_for_stream(self, client: SimClient, stream: ServiceStream, fail: Answer) -> None:
        """Carry the question for a stream there."""
        if self.is_frozen() or self._happens("error_before"):
            if self.random.random() < 0.5:
                client.later(self.latency, lambda: fail(StoreUnavailable("out of reach")))
        elif not self._happens("lost_request"):
            self._tried["stream"] += 1
            self._loop.after(self._travel("slow_request"), stream.begin)

    def is_frozen(self) -> bool:
        """Whether nothing of streams comes through, and nothing ever will of those there are."""
        return self._loop.now < self.broken.get(StreamChanges, 0.0)

    def fault_of_part(self) -> str | None:
        """What befalls the next part of a stream; mostly nothing."""
        if not self._happens("part"):
            return None
        fault = self.random.choice(streams.FAULTS)
        self._tried[f"part {fault}"] += 1
        return fault

    def travel_of_part(self) -> float:
        """How long bytes of a stream take: while a proxy holds them back, until it lets go."""
        return max(self._travel("slow_answer"), self.parts_held_until - self._loop.now)

    def _there(self, call: StoreCall[Any], back: Callable[..., None]) -> None:
        if self._loop.now < self.broken.get(type(call), 0.0):
            if self.random.random() < 0.5:
                self._loop.after(self.latency, lambda: back(self._failure(call, done=False)))
        elif self._happens("error_before"):
            self._loop.after(self.latency, lambda: back(self._failure(call, done=False)))
        elif isinstance(call, LoadStandings) and self._is_over_limit(call):
            if self.batch_limit.refuses:
                self._loop.after(self.latency, lambda: back(TooLarge("ask for fewer users")))
        elif not self._happens("lost_request"):
            self._loop.after(self._travel("slow_request"), lambda: self._execute(call, back))
            if isinstance(call, Append) and self._happens("doubled"):
                self._loop.after(self._travel("slow_request", 0.5), lambda: self._execute(call, lambda *_: None))

    def _is_over_limit(self, load: LoadStandings) -> bool:
        return self._loop.now < self.batch_limit.until and len(load.user_ids) > self.batch_limit.users

    def _travel(self, fault: str, chance: float = 0.0) -> float:
        if self._happens(fault) or self.random.random() < chance:
            return self.random.uniform(0, self.weather.slow_up_to * self._bound)
        return self.random.uniform(0.1, 1) * self.latency

    def _failure(self, call: StoreCall[Any], *, done: bool) -> Exception:
        if not done:
            return StoreUnavailable("out of reach")
        if isinstance(call, Append):
            return self.random.choice([OutcomeUnknown("unknown", call.idempotency_key), ConnectionError("cut")])
        return self.random.choice([StoreUnavailable("502"), ConnectionError("cut")])

    def _execute(self, call: StoreCall[Any], back: Callable[..., None]) -> None:
        ledger = self.ledger
        match call:
            case Load(user_ids):
                back(ledger.load(user_ids))
            case LoadStandings(user_ids):
                back(ledger.standings(user_ids))
            case ChangesSince(after, wait, limit):
                ledger.changes(after, wait, limit, back)
            case Append() if self._loop.now < self.token_refused_until:
                self._tried["token refused"] += 1
                back(NotEntitled("the token lacks a scope", ("write:refusals",)))
            case Append(user_id, events, expected_version, idempotency_key, provenance):
                try:
                    answer: object = ledger.append(user_id, events, expected_version, idempotency_key, provenance)
                except Exception as refused:  # noqa: BLE001 - the client's to judge
                    answer = refused
                back(answer, ledger.branch)
            case _:
                raise AssertionError(f"no simulated client makes this call: {call}")

    def _wrong_rows(self, rows: tuple[StandingRow, ...], others: list[str]) -> tuple[StandingRow, ...]:
        """One user less, bytes that are no standings, or the standings of others."""
        kind = self.random.choice(["fewer", "bytes", "others", "others"])
        if kind == "fewer":
            return rows[1:]
        if kind == "bytes":
            return tuple(replace(row, standing=b"{}") for row in rows)
        return self.ledger.standings([self.random.choice(others) for _ in rows]).users

    def _wrong(self, answer: object) -> object:
        """The answer to another question; the transport refuses most of these, the leases must refuse all."""
        others = list(self.ledger.records.values())
        if isinstance(answer, Standings) and answer.users and others:
            return attrs.evolve(answer, users=self._wrong_rows(answer.users, [record.user_id for record in others]))
        if isinstance(answer, Loaded) and answer.records and others:
            return attrs.evolve(answer, records=tuple(self.random.choice(others) for _ in answer.records))
        if isinstance(answer, Changes):
            after = attrs.evolve(answer.after, position=answer.after.position + self.random.choice([-1, 1]))
            return attrs.evolve(answer, after=after, user_ids={}, complete=True, waited=self._bound)
        if isinstance(answer, Appended) and others:
            return attrs.evolve(answer, record=self.random.choice(others))
        return answer
