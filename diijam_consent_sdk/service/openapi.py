"""The OpenAPI document: scopes, problems and examples, added to what handlers and types state themselves."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Litestar, MediaType, post
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import Components, Example, SecurityScheme
from litestar.params import Body

from ..stores.append_messages import AppendManyQuestion
from ..stores.holder_messages import (
    DueErasuresQuestion,
    ListHoldersQuestion,
    RegisterHolderQuestion,
    RetireHolderQuestion,
)
from ..stores.ledger_messages import EntriesQuestion
from ..stores.message_fields import APPEND_BODY_BYTES, LOAD_BODY_BYTES, MAX_BODY_BYTES, SMALL_BODY_BYTES, Question
from ..stores.messages import PATHS, AppendQuestion, ChangesQuestion, HistoryQuestion, LoadQuestion, RequestsQuestion
from ..stores.problem_document import Problem
from ..stores.registry_messages import (
    LoadNoticesQuestion,
    RegisterNoticeQuestion,
    RequireNoticesQuestion,
)
from ..stores.standing_messages import StandingsListQuestion, StandingsQuestion
from ..stores.token_messages import TokenQuestion
from .dispatch import JSON_LINES
from .examples import DETAILS, EXAMPLES, MORE, NONCE
from .operation import Operation
from .problems import PROBLEM_JSON, PROBLEMS, make_problem
from .schemas import components
from .scopes import ANY, APPENDS, ASKS, CHANGES, ERASURES, EVENTS, HOLDERS, NOTICES, OWED, READS, Scope

VERSION = "1"
DESCRIPTION = f"""Diijam's ledger of what customers allowed, over HTTP.

Each question is a POST with a fresh `nonce`, which its answer echoes. Ids travel in bodies, never in a URL. No answer
may be stored. What goes wrong is answered with a problem document (RFC 9457) whose `type` is for programs and whose
`detail` says what to do next. A question has at most {SMALL_BODY_BYTES:,} bytes; to load users {LOAD_BODY_BYTES:,},
to append {APPEND_BODY_BYTES:,}, for many users or to register a notice {MAX_BODY_BYTES:,}.
No answer is larger than 32 MiB: pages end earlier, what has to be whole is refused as `too-large`."""
LINES = {  # OpenAPI 3.1 has no schema for the lines of a text
    JSON_LINES: {"schema": {"type": "string", "description": "With `stream`: lines, each of them a `ChangesAnswer`."}}
}
BEARER = "bearer"
SECURITY = SecurityScheme(
    type="http",
    scheme="bearer",
    description="A token made by `diijam-consent token new`. One of the alternatives that an operation lists is enough."
    " An append needs the scopes of all its events: "
    + "; ".join(f"`{scope}` for {', '.join(names)}" for scope, names in EVENTS.items())
    + "; of `ErasureConfirmed` of the holder that has the token's own name, `confirm` is enough"
    + ". `write:imports` is needed beside them for what was collected before this ledger. `write` stands for all"
    " `write:…`; no other scope includes another. The scopes `ask…` add up: each names asks, and a standing has what"
    " these need.",
)

# By operation: its summary, the scopes of which it needs one, and the problems that only some operations have.
OPERATIONS: dict[type[Question] | str, tuple[str, frozenset[Scope] | None, tuple[str, ...]]] = {
    StandingsQuestion: ("Load standings", ASKS, ()),
    StandingsListQuestion: ("List the standings of all users", ASKS, ()),
    LoadQuestion: ("Load records", READS, ()),
    AppendQuestion: ("Append events", APPENDS, ("version-conflict", "invalid-event", "key-reused", "outcome-unknown")),
    AppendManyQuestion: ("Append events of many users", APPENDS, ("outcome-unknown",)),
    RequestsQuestion: ("List users with open requests", READS, ()),
    HistoryQuestion: ("Load a user's history", READS, ()),
    ChangesQuestion: ("Wait for changes", CHANGES, ()),
    EntriesQuestion: ("Read the ledger in order", READS, ()),
    RegisterNoticeQuestion: ("Register a notice", NOTICES, ("invalid-event", "outcome-unknown")),
    LoadNoticesQuestion: ("Load or list notices", ANY, ()),
    RegisterHolderQuestion: ("Register a holder", ERASURES, ("invalid-event", "outcome-unknown")),
    RetireHolderQuestion: ("Retire a holder", ERASURES, ("outcome-unknown",)),
    ListHoldersQuestion: ("List holders", HOLDERS, ()),
    DueErasuresQuestion: ("List the erasures that a holder owes", OWED, ("unknown-holder",)),
    TokenQuestion: ("Look at the own token", ANY, ()),
    RequireNoticesQuestion: ("Require notices for good", NOTICES, ("outcome-unknown",)),
    "health": ("Is the store well?", None, ("store-unavailable", "store-unusable", "ledger-broken")),
    "metrics": ("Figures for Prometheus", None, ()),
    "openapi": ("This document", None, ()),
}
COMMON_PROBLEMS = (
    "malformed", "unauthorized", "forbidden", "too-large", "store-unavailable", "ledger-broken", "store-unusable",
)  # fmt: skip


def documented(operation: type[Question] | str, beside: frozenset[Scope] = frozenset()) -> dict[str, Any]:
    """
    Make the arguments that an operation's handler is declared with, besides its path and guards.

    Args:
        operation: A key of `OPERATIONS`.

        beside: The scopes that it needs beside one of its alternatives.

    Returns:
        Keyword arguments for Litestar's `get` and `post`.
    """
    summary, scopes, problems = OPERATIONS[operation]
    if scopes is not None:
        problems = (*COMMON_PROBLEMS, *problems)
    by_status: dict[int, list[str]] = {}
    for key in (*problems, "internal"):
        by_status.setdefault(PROBLEMS[key][0], []).append(key)
    if isinstance(operation, str):
        named: dict[str, Any] = {"operation_id": operation}
    else:
        name = operation.__name__.removesuffix("Question").lower()
        named = {"operation_id": name, "request_max_body_size": operation.max_bytes}
    return {
        **named,
        "summary": summary,
        "response_description": "The answer.",
        "status_code": 200,
        "security": _security(scopes, beside),
        "responses": {status: _response(keys) for status, keys in by_status.items()},
    }


def declared(operation: Operation) -> HTTPRouteHandler:
    """
    Declare an operation to the framework, for the document and for other methods on its path.

    Args:
        operation: The operation.

    Returns:
        A handler that is never called, since `dispatch` answers all questions.
    """

    async def handler(data: Any) -> Any:
        """Stand for the operation."""
        raise NotImplementedError

    handler.__doc__ = operation.handle.__doc__
    handler.__annotations__ = {
        "data": Annotated[operation.question, Body(media_type=MediaType.JSON)],
        "return": operation.answer,
    }
    return post(operation.path, **documented(operation.question, operation.beside))(handler)


def _security(scopes: frozenset[Scope] | None, beside: frozenset[Scope]) -> list[dict[str, list[str]]]:
    """List the alternatives: a token of one of the scopes and all *beside* it, or any token."""
    if scopes == ANY:
        return [{BEARER: []}]
    return [{BEARER: sorted(map(str, {scope, *beside}))} for scope in sorted(scopes or ())]


def _response(keys: Sequence[str]) -> ResponseSpec:
    examples = [Example(id=key, summary=PROBLEMS[key][1], value=_example(key)) for key in keys]
    description = "; or: ".join(PROBLEMS[key][1] for key in keys)
    return ResponseSpec(
        Problem, generate_examples=False, description=description, media_type=PROBLEM_JSON, examples=examples
    )


def _example(key: str) -> dict[str, Any]:
    found = make_problem(key, DETAILS[key], **MORE.get(key, {}))
    return {name: value for name, value in msgspec.structs.asdict(found).items() if value is not None}


@functools.cache
def make_document(handlers: tuple[HTTPRouteHandler, ...]) -> dict[str, Any]:
    """
    Make the OpenAPI document of the service.

    Args:
        handlers: All operations of the service.

    Returns:
        The document, ready for JSON.
    """
    config = OpenAPIConfig(
        title="Diijam consent service",
        version=VERSION,
        description=DESCRIPTION,
        components=Components(security_schemes={BEARER: SECURITY}),
        use_handler_docstrings=True,
    )
    # A separate application, since with the framework's routes for the document unknown paths would answer HTML.
    context = {"context": Provide(object, sync_to_thread=False)}  # only its name counts here
    app = Litestar(handlers, dependencies=context, openapi_config=config, logging_config=None)
    schema = app.openapi_schema.to_schema()
    for path, (question, answer) in EXAMPLES.items():
        operation = schema["paths"][path]["post"]
        for place, example in ((operation["requestBody"], question), (operation["responses"]["200"], answer)):
            place["content"]["application/json"]["example"] = {"nonce": NONCE, **example}
    schema["paths"][PATHS[ChangesQuestion]]["post"]["responses"]["200"]["content"] |= LINES
    for item in schema["paths"].values():
        for operation in item.values():
            _remove_ids(operation)
    schema["components"]["schemas"] = components()
    return schema


def _remove_ids(operation: dict[str, Any]) -> None:
    """Remove the key that Litestar repeats in each example as `id`, which is not of OpenAPI."""
    for response in operation["responses"].values():
        for content in response.get("content", {}).values():
            for example in content.get("examples", {}).values():
                del example["id"]
