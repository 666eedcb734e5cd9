"""The exchanges with a consent service about holders and what they owe; see `exchange`."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from ...holders import RegisteredHolder
from ...identifiers import identifier, optional_identifier
from .. import holder_messages as messages
from ..answers import ErasurePlace, OwedErasures
from ..checks import checked_limit, checked_place
from ..message_fields import MAX_USERS
from .exchange import Exchange, Mismatched


def register_holder(holder: str, by: str | None) -> Exchange:
    """Build `Holders.register_holder`. It may be repeated: the same name again is the same registration."""
    holder = identifier(holder)

    def read(answer: messages.RegisterHolderAnswer) -> RegisteredHolder:
        registered = answer.holder.result()
        if registered.holder != holder:
            raise Mismatched
        return registered

    fields = {"holder": holder, "by": optional_identifier(by)}
    return Exchange(
        messages.RegisterHolderQuestion, fields, messages.RegisterHolderAnswer, read,
        is_write=True, idempotency_key=holder,
    )  # fmt: skip


def retire_holder(holder: str) -> Exchange:
    """Build `Holders.retire_holder`."""
    holder = identifier(holder)
    return Exchange(
        messages.RetireHolderQuestion, {"holder": holder}, messages.RetireHolderAnswer, lambda _: None,
        is_write=True, idempotency_key=holder,
    )  # fmt: skip


def holders() -> Exchange:
    """Build `Holders.holders`."""

    def read(answer: messages.ListHoldersAnswer) -> list[RegisteredHolder]:
        found = [known.result() for known in answer.holders]
        names = [known.holder for known in found]
        if names != sorted(set(names)):
            raise Mismatched
        return found

    return Exchange(messages.ListHoldersQuestion, {}, messages.ListHoldersAnswer, read)


def erasures(holder: str, after: ErasurePlace | None, limit: int) -> Exchange:
    """Build `Store.erasures`, with the limit cut to what a service accepts."""
    start = None if after is None else messages.Place(*checked_place(after))

    def read(answer: messages.DueErasuresAnswer) -> OwedErasures:
        page = answer.result()
        places = [(owed.due_at, owed.user_id) for owed in page.erasures]
        if page.after is not None and page.after not in places[-1:]:
            places.append(page.after)
        places = [*([] if after is None else [after]), *places]  # last, or a page that ends where it began would do
        if any(_order(earlier) >= _order(later) for earlier, later in pairwise(places)):
            raise Mismatched
        return page

    fields = {"holder": identifier(holder), "after": start, "limit": min(checked_limit(limit), MAX_USERS)}
    return Exchange(messages.DueErasuresQuestion, fields, messages.DueErasuresAnswer, read)


def _order(place: ErasurePlace) -> tuple[bool, datetime | None, str]:
    """Make the key by which erasures are in order: those without a time last."""
    due_at, user_id = place
    return due_at is None, due_at, user_id
