"""The service's operations on holders and what they owe. Their docstrings are published in the OpenAPI document."""

from __future__ import annotations

from functools import partial

from ..holders import RegisteredHolder
from ..identifiers import identifier
from ..stores import wire
from ..stores.answers import OwedErasures
from ..stores.holder_messages import (
    PATHS,
    DueErasuresAnswer,
    DueErasuresQuestion,
    ListHoldersAnswer,
    ListHoldersQuestion,
    Place,
    RegisterHolderAnswer,
    RegisterHolderQuestion,
    RetireHolderAnswer,
    RetireHolderQuestion,
    due_erasure,
    known_holder,
)
from .auth import authorize_holder, checked_writer
from .operation import Call, operation
from .problems import Refused
from .scopes import ERASURES, HOLDERS, OWED
from .store_calls import InvalidArguments, check_arguments


@operation(PATHS[RegisterHolderQuestion], RegisterHolderQuestion, RegisterHolderAnswer, ERASURES, is_write=True)
async def register_holder(call: Call, data: RegisterHolderQuestion) -> bytes:
    """
    Register who has copies of customers' data. It takes no position in the ledger.

    From then on each erasure that begins waits for this holder's `ErasureConfirmed`. The writer is the name of the
    token. The same name again is answered with the first registration.
    """

    def encode(registered: RegisteredHolder) -> bytes:
        """Encode the answer."""
        return wire.encode(RegisterHolderAnswer(nonce=data.nonce, holder=known_holder(registered)))

    by = checked_writer(call.token, data.by)
    return await call.context.store.register_holder(call.token.name, data.holder, by, encode)


@operation(PATHS[RetireHolderQuestion], RetireHolderQuestion, RetireHolderAnswer, ERASURES, is_write=True)
async def retire_holder(call: Call, data: RetireHolderQuestion) -> bytes:
    """Remove a holder: no erasure waits for it any more. One that is not registered changes nothing."""
    await call.context.store.retire_holder(call.token.name, data.holder)
    return wire.encode(RetireHolderAnswer(nonce=data.nonce))


@operation(PATHS[ListHoldersQuestion], ListHoldersQuestion, ListHoldersAnswer, HOLDERS)
async def list_holders(call: Call, data: ListHoldersQuestion) -> bytes:
    """List the registered holders, in order of their names."""

    def encode(found: list[RegisteredHolder]) -> bytes:
        """Encode the answer."""
        return wire.encode(ListHoldersAnswer(nonce=data.nonce, holders=list(map(known_holder, found))))

    return await call.context.store.holders(call.token.name, encode)


@operation(PATHS[DueErasuresQuestion], DueErasuresQuestion, DueErasuresAnswer, OWED)
async def erasures_due(call: Call, data: DueErasuresQuestion) -> bytes:
    """
    List the erasures that a holder has yet to confirm, page by page, those that are due first at the beginning.

    A token of scope `confirm` may ask for the holder of its own name, one of `write:erasures` for any. A page may hold
    fewer erasures than `limit`; where to go on is its `after`.
    """

    def encode(page: OwedErasures) -> bytes:
        """Encode the answer."""
        call.users = len(page.erasures)
        after = None if page.after is None else Place(*page.after)
        erasures = list(map(due_erasure, page.erasures))
        return wire.encode(DueErasuresAnswer(nonce=data.nonce, at=page.at, erasures=erasures, after=after))

    holder = check_arguments(partial(identifier, data.holder))
    authorize_holder(call, holder)
    after = None if data.after is None else check_arguments(data.after.result)
    try:
        return await call.context.store.erasures(call.token.name, holder, after, data.limit, encode)
    except InvalidArguments as unknown:  # all else was checked
        raise Refused("unknown-holder", str(unknown)) from None


HOLDER_OPERATIONS = (register_holder, retire_holder, list_holders, erasures_due)
