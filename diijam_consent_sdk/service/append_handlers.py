"""The service's operations that append. Their docstrings are published in the OpenAPI document."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import attrs
import msgspec

from ..errors import ConsentError, VersionConflict
from ..events import Event, Provenance
from ..identifiers import identifier, optional_identifier
from ..stores import append_messages, wire
from ..stores.answers import Appended, Cursor, Write, WriteResult
from ..stores.append_messages import AppendManyAnswer, AppendManyQuestion, WriteFields
from ..stores.message_fields import MAX_ANSWER_BYTES
from ..stores.messages import PATHS, AppendAnswer, AppendQuestion
from ..vocabulary import Method
from .auth import authorize_append, may_read, may_still_read, writer
from .encoding import join
from .joint_appends import MAX_JOINED_EVENTS
from .operation import Call, operation
from .problems import Refused, problem_answer, problem_key
from .scopes import ANY
from .store_calls import InvalidArguments

Refusal = ConsentError | InvalidArguments | Refused
RESULT_BYTES = MAX_ANSWER_BYTES // 2  # of the results with records; those after them come without


@operation(PATHS[AppendQuestion], AppendQuestion, AppendAnswer, ANY, is_write=True)
async def append(call: Call, data: AppendQuestion) -> bytes:
    """
    Append events of one user to the ledger, all of them or none.

    Each event needs its scope, and the token all of these. It is answered once the events are durable, with the record
    only if the token may read. The same events with the same `idempotency_key` again get the same answer, with
    `is_repeat`, and write nothing more; other events with a used key are `key-reused`, unless they only take permission
    away. The types of events and their fields are those of the library's module `events`.
    """
    context, is_reader, call.users = call.context, may_read(call), 1

    def encode(appended: Appended) -> tuple[Cursor, bytes]:
        """Encode the answer."""
        answer = AppendAnswer(nonce=data.nonce, **_fields(data.user_id, appended, with_record=is_reader))
        return appended.cursor, wire.encode(answer)

    try:
        if len(data.events) > MAX_JOINED_EVENTS:
            events, provenance = await context.decoding.run(call.caller, partial(_checked, call, data))
        else:
            events, provenance = _checked(call, data)
        cursor, body = await context.store.append(
            call.token.name, data.user_id, events,
            expected_version=data.expected_version, idempotency_key=data.idempotency_key,
            provenance=provenance, convert=encode,
        )  # fmt: skip
    except Exception as error:
        context.metrics.record_append(problem_key(error))
        if isinstance(error, VersionConflict):
            raise _hiding_version(error, is_reader=is_reader and may_still_read(call)) from None
        raise
    context.metrics.record_append("done")
    context.feed.wake(cursor)  # at once, not only when the watcher finds it
    return _readable(call, body, is_reader=is_reader)


@operation(append_messages.PATHS[AppendManyQuestion], AppendManyQuestion, AppendManyAnswer, ANY, is_write=True)
async def append_many(call: Call, data: AppendManyQuestion) -> bytes:
    """
    Append events of many users in one transaction: each write as `append` would, after those before it.

    A write that is refused leaves the others alone, and has its problem for a result, also where the token lacks a
    scope for it. What is malformed in one refuses the whole question. The answer comes once all others are durable.
    """
    context, call.users = call.context, len({write.user_id for write in data.writes})
    is_reader = may_read(call)
    writes = await context.decoding.run(call.caller, partial(_writes, call, data.writes))
    if any(isinstance(write, Refused) for write in writes):
        context.metrics.record_refusal("scope")

    def encode(found: Sequence[WriteResult]) -> tuple[list[str], Cursor | None, bytes]:
        """Encode the answer, with the outcomes for the metrics."""
        left = iter(found)
        results = [_result(next(left)) if isinstance(write, Write) else write for write in writes]
        new = [result.cursor for result in results if isinstance(result, Appended) and not result.is_repeat]
        keys = ["done" if isinstance(result, Appended) else problem_key(result) for result in results]
        users = [write.user_id for write in data.writes]
        parts = list(_encoded(users, results, is_reader=is_reader))
        body = join(AppendManyAnswer(nonce=data.nonce, results=[]), "results", parts)
        return keys, new[-1] if new else None, body

    valid = [write for write in writes if isinstance(write, Write)]
    keys, cursor, body = await context.store.append_many(call.token.name, valid, encode)
    for key in keys:
        context.metrics.record_append(key)
    if cursor is not None:
        context.feed.wake(cursor)
    return _readable(call, body, is_reader=is_reader)


def _checked(call: Call, data: AppendQuestion | WriteFields) -> tuple[list[Event], Provenance]:
    """
    Read the events and the provenance of an append, whose writer is the token whatever the question says.

    Raises:
        Refused: the token lacks a scope.

        wire.Malformed: an event or the provenance is not valid.
    """
    events = [wire.event_from(fields) for fields in data.events]
    if data.provenance:
        given = wire.provenance_from(data.provenance)
        provenance = attrs.evolve(given, by=writer(call.token, given.by))
    else:
        provenance = _written_by(writer(call.token, None))
    authorize_append(call, events, is_import=provenance.method is Method.IMPORT)
    return events, provenance


@functools.lru_cache(maxsize=128)
def _written_by(name: str) -> Provenance:
    return Provenance(by=name)


def _writes(call: Call, many: Sequence[WriteFields]) -> list[Write | Refused]:
    """
    Check each of many appends. One for which the token lacks a scope is its refusal.

    Raises:
        InvalidArguments: one is malformed, so the question is.
    """
    writes: list[Write | Refused] = []
    for number, fields in enumerate(many):
        try:
            user_id, key = identifier(fields.user_id), fields.idempotency_key
            events, provenance = _checked(call, fields)
            key = optional_identifier(key)
            writes.append(Write(user_id, events, fields.expected_version, key, provenance))
        except Refused as refused:
            writes.append(refused)
        except ValueError as malformed:
            raise InvalidArguments(f"{malformed} - at `$.writes[{number}]`") from malformed
    return writes


def _result(found: WriteResult) -> Appended | Refusal:
    """Make a refusal of what the store calls wrong in an argument."""
    return found if isinstance(found, (Appended, ConsentError)) else InvalidArguments(str(found))


def _encoded(users: Sequence[str], results: Sequence[Appended | Refusal], *, is_reader: bool) -> Iterator[bytes]:
    """Encode the results; records are left out once they are too large together."""
    size = 0
    for user_id, result in zip(users, results, strict=True):
        if not isinstance(result, Appended):
            problem = problem_answer(_hiding_version(result, is_reader=is_reader))
            yield b'{"problem":%b}' % problem.content
            continue
        part = wire.encode(_fields(user_id, result, with_record=is_reader and size < RESULT_BYTES))
        size += len(part)
        yield part


def _fields(user_id: str, appended: Appended, *, with_record: bool) -> dict[str, Any]:
    record = appended.record if with_record and appended.record else msgspec.UNSET
    fields = {
        "user_id": user_id, "cursor": appended.cursor, "version": appended.version, "is_repeat": appended.is_repeat,
    }  # fmt: skip
    return fields if record is msgspec.UNSET else {**fields, "record": record}


def _hiding_version(error: Exception, *, is_reader: bool) -> Exception:
    """Leave the actual version out of a conflict, for a token that may not read."""
    return VersionConflict(error.expected, None) if isinstance(error, VersionConflict) and not is_reader else error


def _readable(call: Call, body: bytes, *, is_reader: bool) -> bytes:
    """Leave out of an answer what only a reader gets, if the token lost the scope while the write waited."""
    if not is_reader or may_still_read(call):
        return body
    answer = msgspec.json.decode(body)
    for each in (answer, *answer.get("results", ())):
        each.pop("record", None)
        problem = each.get("problem", {})
        if problem.pop("actual", None) is not None:
            problem["detail"] = str(VersionConflict(problem["expected"], None))
    return wire.encode(answer)


APPEND_OPERATIONS = (append, append_many)
