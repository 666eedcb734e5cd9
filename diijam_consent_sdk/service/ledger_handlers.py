"""The service's operation by which the ledger is read in order. Its docstring is published in the OpenAPI document."""

from __future__ import annotations

from ..stores.answers import Cursor, Entries
from ..stores.ledger_messages import PATHS, EntriesAnswer, EntriesQuestion
from ..stores.messages import entries_from
from .auth import authorize
from .encoding import encode_page, join
from .operation import Call, operation
from .problems import check_position
from .scopes import READS


@operation(PATHS[EntriesQuestion], EntriesQuestion, EntriesAnswer, READS)
async def entries(call: Call, data: EntriesQuestion) -> bytes:
    """
    Read the ledger in order, from a cursor on, or from the first entry if `after` is null: a long poll.

    Entries that an erasure blanked are left out; the `Erased` of the same user follows. A page may hold fewer entries
    than `limit`. An `after` that is not in this ledger's history is answered at once with the head and no entries.
    """
    after = (await call.context.store.head()).beginning() if data.after is None else data.after

    def encode(page: Entries) -> bytes:
        """Encode the answer."""
        parts = encode_page(entries_from(page.entries))
        call.users = len(parts)
        cursor, complete = page.cursor, page.complete
        if len(parts) < len(page.entries):
            last = page.entries[len(parts) - 1]
            cursor, complete = Cursor(cursor.epoch, last.position, last.hash or ""), False
        answer = EntriesAnswer(nonce=data.nonce, after=after, cursor=cursor, entries=[], complete=complete)
        return join(answer, "entries", parts)

    check_position(after)
    if data.wait:
        await _wait_for_news(call, after, data.wait)
        authorize(call, READS)  # again, since the token may have been revoked during the wait
    return await call.context.store.entries(call.token.name, after, data.limit, encode)


async def _wait_for_news(call: Call, after: Cursor, wait: float) -> None:
    with call.disconnected() as disconnected:
        await call.context.feed.changes(after, wait=wait, limit=1, disconnected=disconnected, caller=call.caller)


LEDGER_OPERATIONS = (entries,)
