"""Decoding of questions: strict, without repeating what was sent, and off the event loop where it takes long."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from ..stores import wire
from ..stores.messages import SMALL_BODY_BYTES
from ..stores.strict_json import UNKNOWN_FIELD
from .context import ServiceContext
from .problems import Refused, redact

AnyRequest = Request[Any, Any, Any]


@functools.cache
def question_type(handler: Callable[..., Any]) -> type[msgspec.Struct]:
    """Look up the type of the question that a handler takes."""
    return get_type_hints(handler)["data"]  # type: ignore[no-any-return]


class StrictRequest(AnyRequest):
    """A request whose body is decoded straight into its operation's question. No word or type is guessed."""

    async def body(self) -> bytes:
        """
        Read the body.

        Raises:
            Refused: the body broke off.
        """
        try:
            return await super().body()
        except InternalServerException:  # the framework's error for it, which would count as our failure
            raise Refused("malformed", "the question broke off before its end: send it again") from None

    async def json(self) -> Any:
        """
        Decode the question in the body.

        Raises:
            Refused: the question is malformed; the text names the place and repeats nothing of the question.
        """
        body = await self.body()
        decode = functools.partial(_decode, body, question_type(self.route_handler.fn))
        if len(body) <= SMALL_BODY_BYTES:  # one of a megabyte may take a tenth of a second
            return decode()
        context: ServiceContext = self.app.state.context
        return await context.decoding.run(self.state.token.name, decode)


def _decode(body: bytes, question: type[msgspec.Struct]) -> Any:
    try:
        return wire.read(body, question)
    except wire.Malformed as error:
        text = redact(str(error))
        if text == UNKNOWN_FIELD:
            text = f"it has an unknown field; known fields are {', '.join(question.__struct_fields__)}"
        raise Refused("malformed", f"correct the question: {text}") from None
