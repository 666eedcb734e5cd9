"""The JSON schemas of the OpenAPI document, made from the types that decode questions and encode answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..events import Provenance
from ..identifiers import LANGUAGE_TAG, MAX_ID_CHARACTERS, MAX_TAG_CHARACTERS
from ..stores import wire
from ..stores.answers import MAX_POSITION
from ..stores.append_messages import AppendManyAnswer, AppendManyQuestion, WriteFields
from ..stores.holder_messages import (
    DueErasuresAnswer,
    DueErasuresQuestion,
    ListHoldersAnswer,
    ListHoldersQuestion,
    RegisterHolderAnswer,
    RegisterHolderQuestion,
    RetireHolderAnswer,
    RetireHolderQuestion,
)
from ..stores.ledger_messages import EntriesAnswer, EntriesQuestion
from ..stores.message_fields import MAX_WAIT_SECONDS, MAX_WORDS
from ..stores.messages import (
    AppendAnswer,
    AppendQuestion,
    ChangesAnswer,
    ChangesQuestion,
    HistoryAnswer,
    HistoryQuestion,
    LoadAnswer,
    LoadQuestion,
    RequestsAnswer,
    RequestsQuestion,
)
from ..stores.problem_document import Problem
from ..stores.registry_messages import (
    LoadNoticesAnswer,
    LoadNoticesQuestion,
    RegisterNoticeAnswer,
    RegisterNoticeQuestion,
    RequireNoticesAnswer,
    RequireNoticesQuestion,
)
from ..stores.standing_messages import StandingsAnswer, StandingsListAnswer, StandingsListQuestion, StandingsQuestion
from ..stores.standings import StandingForm
from ..stores.token_messages import TokenAnswer, TokenQuestion
from ..vocabulary import Method

Schema = dict[str, Any]
REF = "#/components/schemas/{name}"
MESSAGES = (
    StandingsQuestion, StandingsAnswer, StandingsListQuestion, StandingsListAnswer, LoadQuestion, LoadAnswer,
    AppendQuestion, AppendAnswer, AppendManyQuestion, AppendManyAnswer, HistoryQuestion, HistoryAnswer, ChangesQuestion,
    ChangesAnswer, RequestsQuestion, RequestsAnswer, EntriesQuestion, EntriesAnswer, RegisterNoticeQuestion,
    RegisterNoticeAnswer, LoadNoticesQuestion, LoadNoticesAnswer, RequireNoticesQuestion,
    RequireNoticesAnswer, RegisterHolderQuestion, RegisterHolderAnswer, RetireHolderQuestion, RetireHolderAnswer,
    ListHoldersQuestion, ListHoldersAnswer, DueErasuresQuestion, DueErasuresAnswer, TokenQuestion, TokenAnswer, Problem,
)  # fmt: skip
# The checks of `identifiers.identifier` that types do not state; no pattern could state the last of them portably.
IDENTIFIER = {
    "minLength": 1,
    "maxLength": MAX_ID_CHARACTERS,
    "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
    "$comment": "In Unicode form NFC, no white space at either end, no character of Cc, Cf, Cs, Co, Cn, Zl, Zp.",
}
TIME = {"type": "string", "format": "date-time"}


def components() -> dict[str, Schema]:
    """
    Make the schemas of all messages and events, by name.

    The framework's schemas lack the limits of list items and of optional values, the refusal of unknown fields, and the
    events.
    """
    kinds = wire.EVENT_TYPES
    _, found = msgspec.json.schema_components([*MESSAGES, *kinds.values(), Provenance, StandingForm], ref_template=REF)
    for name in kinds:
        found[name] = _event(name, found[name])
    found["Event"] = {
        "title": "Event",
        "description": "What can happen to a user's record. Which event is accepted on which record, the policy says.",
        "oneOf": [{"$ref": REF.format(name=name)} for name in kinds],
        "discriminator": {"propertyName": "type", "mapping": {name: REF.format(name=name) for name in kinds}},
    }
    for kind in (AppendQuestion, WriteFields):
        properties = found[kind.__name__]["properties"]
        properties["events"]["items"] = {"$ref": REF.format(name="Event")}
        properties["provenance"]["anyOf"] = [{"$ref": REF.format(name="Provenance")}, {"type": "null"}]
    for answer in (StandingsAnswer, StandingsListAnswer):
        standings = found[answer.__name__]["properties"]["standings"]
        standings["items"] = {"$ref": REF.format(name=StandingForm.__name__)}
    found["Entry"]["properties"]["event"] = {"$ref": REF.format(name="Event")}
    # Not in the type: the error for another tag would be this pattern.
    found["RegisterNoticeQuestion"]["properties"]["texts"]["propertyNames"]["pattern"] = LANGUAGE_TAG
    found["Entry"]["properties"]["provenance"] = {"$ref": REF.format(name="Provenance")}
    found["Cursor"]["properties"]["position"].update(minimum=0, maximum=MAX_POSITION)
    due_at, user_id = found["Place"]["prefixItems"]  # which have no names to complete them by
    due_at["anyOf"][0].update(TIME)
    user_id.update(IDENTIFIER)
    found["Provenance"] = _provenance(found["Provenance"])
    found["ChangesQuestion"]["oneOf"] = _kinds_of_polls(found["ChangesQuestion"]["properties"])
    for name, schema in found.items():
        _complete(schema)
        if "properties" in schema and name != Problem.__name__:
            schema["additionalProperties"] = False  # unknown fields are refused everywhere, also in cursors
    return found


def _event(name: str, schema: Schema) -> Schema:
    """Complete an event's schema: the name under `type`, limits for ids, no other fields."""
    for field in schema["properties"].values():
        if field == {"type": "string"}:
            field.update(IDENTIFIER)
        for choice in (field, *field.get("anyOf", ())):
            if choice.pop("uniqueItems", None):  # a word that is sent twice counts once
                choice["maxItems"] = MAX_WORDS
    properties = {"type": {"const": name}, **schema["properties"]}
    return {
        **schema,
        "properties": properties,
        "required": ["type", *schema["required"]],
        "additionalProperties": False,
    }


def _provenance(schema: Schema) -> Schema:
    """Complete the schema of a provenance: limits for its ids and its tag, and `said_at` for imports alone."""
    properties = schema["properties"]
    for name in ("by", "evidence"):
        properties[name]["anyOf"][0].update(IDENTIFIER)
    properties["language"]["anyOf"][0].update(pattern=LANGUAGE_TAG, maxLength=MAX_TAG_CHARACTERS)
    description = "Who wrote an entry, and how the customer said it. Only what is known is there."
    imported = {"required": ["method", "said_at"], "properties": {"method": {"const": Method.IMPORT}, "said_at": TIME}}
    others = [method for method in Method if method is not Method.IMPORT]
    said_here = {"properties": {"method": {"enum": [*others, None]}, "said_at": {"type": "null"}}}
    return {**schema, "description": description, "oneOf": [imported, said_here]}


def _kinds_of_polls(properties: dict[str, Schema]) -> list[Schema]:
    """Describe the two kinds of polls: one is answered once, the other in parts."""
    given = {name: properties[name]["anyOf"][0] for name in ("beat", "client")}
    left_out = {name: {"type": "null"} for name in given}
    once = {**left_out, "stream": {"const": False}, "wait": {"maximum": MAX_WAIT_SECONDS}}
    in_parts = {**given, "stream": {"const": True}}
    return [{"properties": once}, {"properties": in_parts, "required": list(in_parts)}]


def _complete(schema: Schema) -> None:
    """Add the limits of ids and the format of instants."""
    for name, field in schema.get("properties", {}).items():
        for text in _strings(field):
            if name in {"at", "until"} or name.endswith("_at"):
                text["format"] = "date-time"
            elif text.get("maxLength") == MAX_ID_CHARACTERS:
                text.update(IDENTIFIER)


def _strings(schema: Schema) -> Iterator[Schema]:
    if schema.get("type") == "string":
        yield schema
    items = [schema["items"]] if schema.get("items") else []  # of a tuple it is False
    inner = [*schema.get("anyOf", ()), *schema.get("prefixItems", ()), *items]
    for one in inner:
        yield from _strings(one)
