"""The OpenAPI document is the contract: complete, and kept."""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import positive_data_acceptance

from diijam_consent_sdk.identifiers import MAX_ID_CHARACTERS, is_user_id
from diijam_consent_sdk.service.examples import EXAMPLES
from diijam_consent_sdk.service.handlers import OPERATIONS
from diijam_consent_sdk.service.openapi import OPERATIONS as DOCUMENTED
from diijam_consent_sdk.service.problems import PROBLEM_JSON
from diijam_consent_sdk.service.scopes import ANY
from diijam_consent_sdk.stores import (
    message_fields,
    messages,
    registry_messages,
    standing_messages,
    token_messages,
    wire,
)
from diijam_consent_sdk.stores.http.exchange import PATHS
from tests.service.conftest import NONCE, Asker, Running

ANSWERS: dict[type[message_fields.Question], Any] = {
    standing_messages.StandingsQuestion: standing_messages.StandingsAnswer,
    standing_messages.StandingsListQuestion: standing_messages.StandingsListAnswer,
    messages.LoadQuestion: messages.LoadAnswer,
    messages.AppendQuestion: messages.AppendAnswer,
    messages.HistoryQuestion: messages.HistoryAnswer,
    messages.RequestsQuestion: messages.RequestsAnswer,
    messages.ChangesQuestion: messages.ChangesAnswer,
    token_messages.TokenQuestion: token_messages.TokenAnswer,
    registry_messages.RegisterNoticeQuestion: registry_messages.RegisterNoticeAnswer,
    registry_messages.LoadNoticesQuestion: registry_messages.LoadNoticesAnswer,
    registry_messages.RequireNoticesQuestion: registry_messages.RequireNoticesAnswer,
}


@pytest.fixture
def document(shared: Running, http: httpx.Client) -> dict[str, Any]:
    """The document as the service gives it."""
    found: dict[str, Any] = http.get(f"{shared.url}/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its operations by path."""
    return {path: operation for path, item in document["paths"].items() for operation in item.values()}


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """The document is of OpenAPI 3.1 and has every path, each with a summary and a description."""
    assert document["openapi"].startswith("3.1")
    found = operations(document)
    assert set(found) == {*PATHS.values(), "/healthz", "/metrics", "/openapi.json"}
    assert all(operation["summary"] and operation["description"] for operation in found.values())


def test_questions_name_their_scope_and_problems(document: dict[str, Any]) -> None:
    """Each question says which scope it needs, and with which problems it may be answered."""
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, operation in operations(document).items():
        if path not in EXAMPLES:
            continue
        ((scopes, beside),) = ((DOCUMENTED[one.question][1], one.beside) for one in OPERATIONS if one.path == path)
        alternatives = [[]] if scopes == ANY else [sorted({scope, *beside}) for scope in sorted(scopes or ())]
        assert operation["security"] == [{"bearer": names} for names in alternatives] != []
        for status, response in operation["responses"].items():
            assert status == "200" or response["content"][PROBLEM_JSON]["examples"]
        assert {"400", "401", "403", "413", "500", "503"} < set(operation["responses"])


def test_no_reference_leads_nowhere(document: dict[str, Any]) -> None:
    """Each schema that the document refers to is in it."""
    names = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))
    assert set(names) == set(document["components"]["schemas"])


@pytest.mark.parametrize("question", ANSWERS, ids=lambda kind: kind.__name__)
def test_examples_are_what_they_show(document: dict[str, Any], question: type[message_fields.Question]) -> None:
    """The examples of questions and answers decode as such."""
    operation = operations(document)[PATHS[question]]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert msgspec.convert(example, question).nonce
    answer = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert wire.read(wire.encode(answer), ANSWERS[question])


def test_the_example_questions_are_answered(asker: Asker) -> None:
    """Each example question, sent as it is, is answered; nothing in an example is out of date."""
    asker.ask("/v1/holders/register", holder="mailer")
    for path in sorted(EXAMPLES):
        assert asker.post(path, {"nonce": NONCE, **EXAMPLES[path][0]}).status_code == 200


def whole(value: Any) -> Any:
    """The same, with 3 for each 3.0: both are integers to JSON Schema, and no JSON writer sends the latter for them."""
    match value:
        case dict():
            return {key: whole(inner) for key, inner in value.items()}
        case list():
            return [whole(inner) for inner in value]
        case float() if value.is_integer():
            return int(value)
    return value


def hurried(body: Any) -> Any:
    """The same question, but none that is allowed to wait does so for long."""
    match body:
        case {"wait": int() | float() as wait} if 0 <= wait <= message_fields.MAX_WAIT_SECONDS:
            return {**body, "wait": min(wait, 0.01)}
    return body


def unused(body: Any) -> Any:
    """The same question, its key with no other: a key that comes with other events again is rightly refused."""
    match body:
        case {"idempotency_key": str() as key} if 1 <= len(key) <= MAX_ID_CHARACTERS:
            return {**body, "idempotency_key": f"{secrets.token_hex(8)}{key}"[: max(len(key), 16)]}
    return body


def spelled(value: Any) -> Any:
    """The same with its texts spelled as ids are: what a schema's pattern cannot say."""
    match value:
        case dict():
            return {key: inner if key == "nonce" else spelled(inner) for key, inner in value.items()}
        case list():
            return [spelled(inner) for inner in value]
        case str():
            seen = "".join(c for c in value if is_user_id(f"x{c}x"))
            return unicodedata.normalize("NFC", seen).strip()[:MAX_ID_CHARACTERS].strip() or "x"
    return value


def spelled_case(case: schemathesis.Case[Any]) -> schemathesis.Case[Any]:
    """The same case, its body spelled so."""
    case.body = spelled(case.body)
    return case


def sound(found: Any) -> Any:
    """An operation that schemathesis understood."""
    assert isinstance(found, Ok), found
    return found.ok()


def ask_each(asker: Asker, strategy: Any, left_out: list[Any]) -> None:
    """Send cases, each of which has to be answered as documented, by all checks but those left out."""

    @given(case=strategy)
    @settings(
        max_examples=12,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def answered_as_documented(case: schemathesis.Case[Any]) -> None:
        case.body = unused(hurried(whole(case.body)))
        case.call_and_validate(headers={"Authorization": f"Bearer {asker.token}"}, excluded_checks=left_out)

    answered_as_documented()


@pytest.mark.filterwarnings("ignore:Exception ignored in. <s.+socket:pytest.PytestUnraisableExceptionWarning")
def test_schemathesis_finds_no_failure(document: dict[str, Any], asker: Asker) -> None:
    """Whatever is sent, rightly or wrongly made by the document, is answered as the document says."""
    schema = from_dict(document)
    schema.config.base_url = asker.url
    schema.config.generation.update(with_security_parameters=False)  # ours is the token; test_tokens.py has all others
    # A question may be as documented, and the policy refuse what it asks (422).
    accepted = schema.config.checks.positive_data_acceptance
    accepted.expected_statuses = [*accepted.expected_statuses, "422"]
    positive = schemathesis.GenerationMode.POSITIVE
    strategies = [
        (operation.as_strategy(generation_mode=mode).map(spelled_case if mode is positive else lambda case: case), mode)
        for operation in map(sound, schema.get_all_operations())
        for mode in schemathesis.GenerationMode
        if mode is positive or operation.body  # without one, nothing can be made wrong
    ]
    for strategy, mode in strategies:
        # What was to be wrong may fit the schema by chance, and have an id that only `spelled` would make right.
        ask_each(asker, strategy, left_out=[] if mode is positive else [positive_data_acceptance])
