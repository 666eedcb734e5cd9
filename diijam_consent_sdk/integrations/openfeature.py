"""
OpenFeature: asks as boolean flags of the user that the targeting key names.

    market.email · process.surveys · show.avatar · retain.payment
    share.acme-records     with `data` (a list of fields) and `purpose` in the evaluation context
    market.email           with `data` there too, if it touches more than the channel's own field

OpenFeature returns the *default* where there is no provider, or where a provider raises, so always pass `False`. This
provider never raises for a boolean. What it cannot answer is `False`, with the reason `ERROR` and a message that says
what to do. If the default is `False`, the answer also has an error code, and error hooks run. If it is `True`, there is
no code, since OpenFeature would return the default for one. The provider of a closed client has the status `ERROR`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .._extras import needs_extra

with needs_extra("the OpenFeature provider", "openfeature", "openfeature"):
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import (
        ErrorCode,
        FlagNotFoundError,
        InvalidContextError,
        OpenFeatureError,
        ProviderNotReadyError,
        TargetingKeyMissingError,
        TypeMismatchError,
    )
    from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
    from openfeature.provider import AbstractProvider, Metadata

from ..client import ConsentClient
from ..decisions import (
    NOT_ENTITLED,
    UNANSWERED,
    Ask,
    Decision,
    Market,
    Process,
    Retain,
    Share,
    Show,
    entitlement_error,
)

ASKS: Mapping[str, type[Ask]] = {"market": Market, "process": Process, "retain": Retain, "share": Share, "show": Show}
ANY_SHARING: Mapping[str, Any] = {"data": ("username",), "purpose": "surveys"}  # to check a key by itself
CLOSED = "the client is closed: make a new one, and a provider of it"
CONTEXT_FIELDS: Mapping[type[Ask], tuple[str, ...]] = {
    Market: ("data",),
    Process: ("data",),
    Share: ("data", "purpose"),
}


class ConsentProvider(AbstractProvider):
    """Answers asks as flags. It does not close the client."""

    def __init__(self, consent: ConsentClient) -> None:
        super().__init__()
        self._consent = consent
        self._is_closed = False
        consent._when_closed(self._on_close)  # noqa: SLF001 - of no use to applications

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """See OpenFeature: raises `ProviderNotReadyError` if the client is closed."""
        if self._is_closed:
            raise ProviderNotReadyError(CLOSED)

    def _on_close(self) -> None:
        self._is_closed = True
        # Not PROVIDER_FATAL, after which OpenFeature would call this provider no more and return defaults.
        self.emit_provider_error(ProviderEventDetails(message=CLOSED, error_code=ErrorCode.PROVIDER_NOT_READY))

    def get_metadata(self) -> Metadata:
        """See OpenFeature."""
        return Metadata("diijam-consent")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Answer the ask that *flag_key* names. *default_value* is never returned."""
        context = evaluation_context or EvaluationContext()
        try:
            details = self._answer(flag_key, context)
        except OpenFeatureError as error:
            details = FlagResolutionDetails(
                value=False, error_code=error.error_code, error_message=error.error_message, reason=Reason.ERROR
            )
        if default_value is not False:
            details.error_code = None
        return details

    def _answer(self, flag_key: str, context: EvaluationContext) -> FlagResolutionDetails[bool]:
        if not context.targeting_key:
            raise TargetingKeyMissingError("the targeting key names the user: set it")
        ask = parse_flag(flag_key, context.attributes)
        try:
            return _to_details(ask, self._consent.decide(context.targeting_key, ask))
        except (ValueError, TypeError) as error:
            raise InvalidContextError(str(error)) from error

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - as above
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Do the same in a thread, beside the event loop."""
        return await asyncio.to_thread(self.resolve_boolean_details, flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Raise `TypeMismatchError`, since an answer is a boolean."""
        _raise_mismatch(flag_key)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Raise `TypeMismatchError`, as for a string."""
        _raise_mismatch(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Raise `TypeMismatchError`, as for a string."""
        _raise_mismatch(flag_key)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Raise `TypeMismatchError`, as for a string."""
        _raise_mismatch(flag_key)


def parse_flag(flag_key: str, attributes: Mapping[str, Any]) -> Ask:
    """
    Make the ask that a flag's key and the attributes of the evaluation context describe.

    Raises:
        FlagNotFoundError: the key does not name an ask.

        InvalidContextError: the attributes do not fit the ask.
    """
    name, _, subject = flag_key.partition(".")
    kind = ASKS.get(name)
    if kind is None:
        raise FlagNotFoundError(f"no flag is called so: a key begins with {', '.join(f'{known}.' for known in ASKS)}")
    try:
        kind(subject, **(ANY_SHARING if kind is Share else {}))
    except ValueError as error:
        raise FlagNotFoundError(str(error)) from error
    given = {name: attributes[name] for name in CONTEXT_FIELDS.get(kind, ()) if name in attributes}
    missing = [name for name in CONTEXT_FIELDS.get(kind, ()) if kind is Share and name not in given]
    if missing:
        raise InvalidContextError(f"{name} needs {' and '.join(missing)} in the evaluation context")
    try:
        return kind(subject, **given)
    except (ValueError, TypeError) as error:
        raise InvalidContextError(str(error)) from error


def _to_details(ask: Ask, decision: Decision) -> FlagResolutionDetails[bool]:
    reason, message = Reason.TARGETING_MATCH, None
    if decision is NOT_ENTITLED:
        reason, message = Reason.ERROR, str(entitlement_error(ask))
    elif decision.reason in UNANSWERED:
        reason, message = Reason.STALE, decision.message("en")
    return FlagResolutionDetails(
        decision.allowed,
        error_code=None if message is None else ErrorCode.GENERAL,
        error_message=message,
        reason=reason,
        variant=str(decision.reason),
        flag_metadata={"clause": decision.clause},
    )


def _raise_mismatch(flag_key: str) -> NoReturn:
    raise TypeMismatchError(f"{flag_key} is a boolean: an ask is answered with yes or no")
