"""The exchanges with a consent service that append events; see `exchange`."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

import attrs

from ...events import Event, Provenance
from ...identifiers import identifier, optional_identifier
from .. import append_messages, messages, wire
from ..answers import Appended, Write, WriteResult
from ..checks import check_many_events, checked_batch, checked_provenance, checked_version, checked_writes
from .exchange import Exchange, Mismatched
from .problems import error_of_write


def append(
    user_id: str,
    events: Iterable[Event],
    expected_version: int | None,
    key: str | None,
    provenance: Provenance | None = None,
) -> Exchange:
    """Build `Store.append`; without a key it cannot be repeated."""
    fields = _append_fields(user_id, events, expected_version, key, provenance)
    user_id = fields["user_id"]

    def read(answer: messages.AppendAnswer) -> Appended:
        if answer.user_id != user_id:
            raise Mismatched
        return answer.result()

    return Exchange(
        messages.AppendQuestion, fields, messages.AppendAnswer, read,
        is_write=True, is_repeatable=key is not None, idempotency_key=key or "",
    )  # fmt: skip


def _append_fields(
    user_id: str,
    events: Iterable[Event],
    expected_version: int | None,
    key: str | None,
    provenance: Provenance | None,
) -> dict[str, Any]:
    """Check the arguments of an append, as `Store.append` does."""
    return {
        "user_id": identifier(user_id),
        "events": [wire.event_fields(event) for event in checked_batch(events)],
        "expected_version": checked_version(expected_version),
        "idempotency_key": optional_identifier(key),
        "provenance": wire.provenance_fields(checked_provenance(provenance)) or None,
    }


@attrs.frozen
class ManyAppends:
    """The writes of one `Store.append_many`: the checked ones to send, and the error of each that is malformed."""

    checked: list[append_messages.WriteFields | ValueError]

    def sent(self) -> list[append_messages.WriteFields]:
        """Give those that are sent."""
        return [write for write in self.checked if isinstance(write, append_messages.WriteFields)]

    def exchange(self) -> Exchange:
        """Build the exchange, which may be repeated as each write has a key."""
        return Exchange(
            append_messages.AppendManyQuestion, {"writes": self.sent()}, append_messages.AppendManyAnswer, self._read,
            is_write=True, idempotency_key="each write's",
        )  # fmt: skip

    def _read(self, answer: append_messages.AppendManyAnswer) -> list[WriteResult]:
        sent = self.sent()
        if len(answer.results) != len(sent):
            raise Mismatched
        return [_write_result(write, result) for write, result in zip(sent, answer.results, strict=True)]

    def results(self, answered: Iterable[WriteResult]) -> list[WriteResult]:
        """Put the results of those that were sent in the places of all."""
        left = iter(answered)
        return [write if isinstance(write, ValueError) else next(left) for write in self.checked]


def append_many(writes: Iterable[Write]) -> ManyAppends:
    """
    Check the arguments of `Store.append_many`, and give a key to each write that has none.

    Raises:
        ValueError: there are too many.

        TypeError: an argument has another type.
    """
    checked: list[append_messages.WriteFields | ValueError] = []
    for write in checked_writes(writes):
        try:
            fields = _append_fields(
                write.user_id, write.events, write.expected_version, write.idempotency_key, write.provenance
            )
        except ValueError as malformed:
            checked.append(malformed)
        else:
            key = fields.pop("idempotency_key") or secrets.token_hex(16)
            checked.append(append_messages.WriteFields(idempotency_key=key, **fields))
    check_many_events(sum(len(write.events) for write in checked if not isinstance(write, ValueError)))
    return ManyAppends(checked)


def _write_result(write: append_messages.WriteFields, answer: append_messages.WriteAnswer) -> WriteResult:
    found = answer.result()
    if not isinstance(found, Appended):
        return error_of_write(found, write.idempotency_key or "")
    if answer.user_id != write.user_id:
        raise Mismatched
    return found
