"""The steps of a case that are about proof: which words were shown, who wrote an entry, and what held in the past."""

from __future__ import annotations

from datetime import datetime

import attrs

from ...client import ConsentClient
from ...decisions import Explanation
from ...events import LedgerEntry
from ...notices import RegisteredNotice
from ...stores import wire
from ...stores.protocol import Store
from .cases import Step
from .comparing import REFUSALS, Mismatch, compare, expect, expect_accepted, expect_refusal
from .described import Described

DEADLINE = 20.0  # seconds for one explanation: a case is no test of speed


@attrs.define
class Proof:
    """Plays these steps of one case on one store."""

    store: Store
    described: Described
    registered: dict[str, RegisteredNotice] = attrs.field(factory=dict)

    def play(self, user_id: str, step: Step) -> None:
        """Play one step; raises `Mismatch` if something else happens than the step expects."""
        match step["do"]:
            case "register":
                self._register(step)
            case "notice":
                self._check_notice(step)
            case "require":
                self.store.require_notices()
            case "entry":
                self._check_entry(self.store.history(user_id), step)
            case "explain":
                self._check_explanation(user_id, step)
            case other:
                raise ValueError(f"unknown step {other!r}: these cases are for a newer version")

    def _register(self, step: Step) -> None:
        notice = self.described.value(step["notice"]["notice"])
        try:
            text = self.described.notice(step["notice"])
            registered = self.store.register_notice(text)
        except REFUSALS as error:
            expect_refusal(error, step.get("refused"))
        else:
            expect_accepted(step.get("refused"))
            expect("words registered", registered.text, text)
            expect("digest", registered.digest, step.get("digest", text.digest))
            expect("registration", registered, self.registered.setdefault(notice, registered))
        if "refused" not in step or notice in self.registered:
            expect("notice registered", self.store.notice(notice), self.registered[notice])

    def _check_notice(self, step: Step) -> None:
        found = self.store.notice(self.described.value(step["notice"]))
        if step["is"] is None:
            expect("notice", found, None)
        elif found is None:
            raise Mismatch(f"there is no notice, expected: {step['is']!r}")
        else:
            shown = wire.decode(wire.encode(attrs.asdict(found.text)))
            compare("notice", shown, self.described.value(step["is"]))

    def _check_entry(self, history: list[LedgerEntry], step: Step) -> None:
        entry = next((entry for entry in history if entry.version == step["version"]), None)
        if entry is None:
            raise Mismatch(f"there is no entry of version {step['version']}")
        if "provenance" in step:
            said = wire.decode(wire.encode(wire.provenance_fields(entry.provenance)))
            compare("provenance", said, self.described.value(step["provenance"]))
        if "notice" in step:
            notice = self.described.value(step["notice"])
            digest = None if notice is None else self.registered[notice].digest
            expect("digest of the notice", entry.notice_digest, digest)

    def _check_explanation(self, user_id: str, step: Step) -> None:
        at = self.described.instant(step["at"]) if "at" in step else None
        try:
            explanation = self._explain(user_id, step, at)
        except REFUSALS as error:
            expect_refusal(error, step.get("refused"))
            return
        expect_accepted(step.get("refused"))
        decision = explanation.decision
        answer = {"allowed": bool(decision), "reason": str(decision.reason), "clause": decision.clause}
        expect("answer", answer, step["answer"])
        for name, expected in self.described.value(step.get("is", {})).items():
            expect(f"explanation.{name}", wire.decode(wire.encode(getattr(explanation, name))), expected)

    def _explain(self, user_id: str, step: Step, at: datetime | None) -> Explanation:
        with ConsentClient(self.store, follow=False, deadline=DEADLINE) as client:
            return client.explain(user_id, self.described.ask(step["ask"]), at)
