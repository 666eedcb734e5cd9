"""The service's operations on the registry of notices. Their docstrings are published in the OpenAPI document."""

from __future__ import annotations

from ..identifiers import is_user_id
from ..notices import RegisteredNotice
from ..stores import wire
from ..stores.registry_messages import (
    PATHS,
    KnownNotice,
    LoadNoticesAnswer,
    LoadNoticesQuestion,
    RegisterNoticeAnswer,
    RegisterNoticeQuestion,
    RequireNoticesAnswer,
    RequireNoticesQuestion,
    known_notice,
)
from .auth import checked_writer
from .operation import Call, operation
from .problems import Refused
from .scopes import ANY, NOTICES


@operation(PATHS[RegisterNoticeQuestion], RegisterNoticeQuestion, RegisterNoticeAnswer, NOTICES, is_write=True)
async def register_notice(call: Call, data: RegisterNoticeQuestion) -> bytes:
    """
    Register the exact words that customers are shown. It takes no position in the ledger.

    The writer is the name of the token. The same content again is answered with the first registration, other content
    under the same id with `invalid-event`: a changed text is a new id.
    """

    def encode(registered: RegisteredNotice) -> bytes:
        """Encode the answer."""
        answer = RegisterNoticeAnswer(
            nonce=data.nonce, notice=data.notice, digest=registered.digest, registered_at=registered.registered_at,
            by=registered.by,
        )  # fmt: skip
        return wire.encode(answer)

    by = checked_writer(call.token, data.by)
    return await call.context.store.register_notice(call.token.name, data.text(), by, encode)


@operation(PATHS[LoadNoticesQuestion], LoadNoticesQuestion, LoadNoticesAnswer, ANY)
async def load_notices(call: Call, data: LoadNoticesQuestion) -> bytes:
    """
    Load one registered notice with its texts, or with `notice` null a page of all notices without their texts.

    A notice that is not registered gives an empty list. A long list comes in pages: ask again with `after`, until it is
    null.
    """

    def encode_one(found: RegisteredNotice | None) -> bytes:
        """Encode the answer with one notice."""
        return encode([] if found is None else [known_notice(found, with_texts=True)], None)

    def encode_page(page: list[RegisteredNotice]) -> bytes:
        """Encode a page of notices."""
        known = [known_notice(notice, with_texts=False) for notice in page]
        return encode(known, known[-1].notice if known else None)

    def encode(notices: list[KnownNotice], after: str | None) -> bytes:
        """Encode the answer."""
        return wire.encode(LoadNoticesAnswer(nonce=data.nonce, notices=notices, after=after))

    caller = call.token.name
    if data.after is not None and not is_user_id(data.after):  # also where it is not needed
        raise Refused("malformed", "correct the question: it is not the id of a notice - at `$.after`")
    if data.notice is not None:
        return await call.context.store.notice(caller, data.notice, encode_one)
    return await call.context.store.notices(caller, data.after, data.limit, encode_page)


@operation(PATHS[RequireNoticesQuestion], RequireNoticesQuestion, RequireNoticesAnswer, NOTICES, is_write=True)
async def require_notices(call: Call, data: RequireNoticesQuestion) -> bytes:
    """Refuse, from now on and for good, `Granted` and `Notified` under an id that is not registered."""
    await call.context.store.require_notices(call.token.name)
    return wire.encode(RequireNoticesAnswer(nonce=data.nonce))


NOTICE_OPERATIONS = (register_notice, load_notices, require_notices)
