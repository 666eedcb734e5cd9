"""The operation that tells who changed: a long poll, or one that is answered in parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from ..standing import view_names
from ..stores import wire
from ..stores.messages import PATHS, ChangesAnswer, ChangesQuestion
from .auth import authorize_again
from .operation import Call, Parts, operation
from .problems import check_position
from .scopes import CHANGES, view_of


@operation(PATHS[ChangesQuestion], ChangesQuestion, ChangesAnswer, CHANGES)
async def changes(call: Call, data: ChangesQuestion) -> bytes | Parts:
    """
    Ask who changed since a cursor: a long poll.

    With news it is answered at once, without any when some comes or after `wait` seconds. `complete` says that `cursor`
    is the head; `waited`, how many of the seconds the service waited before it last looked. An `after` that is not in
    this ledger's history is answered at once with the head and no users. `view` has the scopes of the asks that the
    token may ask.

    With `stream` it is answered in parts, as `application/jsonl`: each line is such an answer, its `after` the `cursor`
    of the line before. The first comes at once, then one whenever there is news, at most 20 a second, and one after
    each `beat` seconds without news. The stream ends after `wait` seconds, after a part of another history, when the
    token is revoked, when the service stops, or when the same `client` asks for another.
    """
    check_position(data.after)
    if data.beat is not None:
        return _answer_in_parts(call, data, data.beat)
    with call.disconnected() as disconnected:
        found = await call.context.feed.changes(
            data.after, wait=data.wait, limit=data.limit, disconnected=disconnected, caller=call.caller
        )
    call.users = len(found.user_ids)
    authorize_again(call, CHANGES)  # the wait may have been long, and the view below is that of the token's scopes now
    answer = ChangesAnswer(
        nonce=data.nonce,
        after=found.after,
        cursor=found.cursor,
        user_ids=dict(found.user_ids),
        complete=found.complete,
        view=view_names(found.view & view_of(call.token.scopes)),
        waited=found.waited,
    )
    return wire.encode(answer)


async def _answer_in_parts(call: Call, data: ChangesQuestion, beat: float) -> AsyncGenerator[bytes]:
    """Yield the lines of an answer in parts. The next one is asked for once the client's socket took the last."""
    nonce, name = wire.encode(data.nonce), (call.caller, data.client)
    with (
        call.disconnected() as disconnected,
        call.context.feed.stream(
            name, data.after, wait=data.wait, beat=beat, limit=data.limit, caller=call.caller
        ) as stream,
    ):
        disconnected.add_done_callback(lambda _: stream.end())
        while (part := await stream.next_part()) is not None:
            authorize_again(call, CHANGES)
            call.users += len(part.found.user_ids)
            yield part.line(nonce, view_of(call.token.scopes), stream.arrived_at)
