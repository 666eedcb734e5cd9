"""
OpenFeature: asks as boolean flags of the user that the targeting key names.

    market.email · process.surveys · show.avatar · retain.payment
    share.acme-records     with `data` (a list of fields) and `purpose` in the evaluation context
    market.email           with `data` there too, if it touches more than the channel's own field

OpenFeature gives the *default* where there is no provider, or where one raises: pass `False` as the default, always.
This provider never raises for a boolean: what it cannot answer is `False` with the reason `ERROR` and what to do as its
message. It carries no error code, for with one OpenFeature may give the default instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

try:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.exception import TypeMismatchError
    from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
    from openfeature.provider import AbstractProvider, Metadata
except ImportError as error:  # pragma: no cover
    raise ImportError("this needs OpenFeature: pip install 'diijam-consent-sdk[openfeature]'") from error

from ..client import ConsentClient
from ..decisions import Ask, Decision, Market, Process, Retain, Share, Show
from ..vocabulary import Reason as Why

KINDS: Mapping[str, type[Ask]] = {"market": Market, "process": Process, "retain": Retain, "share": Share, "show": Show}
TAKES: Mapping[type[Ask], tuple[str, ...]] = {Market: ("data",), Process: ("data",), Share: ("data", "purpose")}


class ConsentProvider(AbstractProvider):
    """Answers asks as flags. Whoever made the client closes it."""

    def __init__(self, consent: ConsentClient) -> None:
        super().__init__()
        self._consent = consent

    def get_metadata(self) -> Metadata:
        """See OpenFeature."""
        return Metadata("diijam-consent")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """The answer to the ask that *flag_key* names; *default_value* is never given."""
        context = evaluation_context or EvaluationContext()
        if not context.targeting_key:
            return _refused("the targeting key names the user: set it")
        try:
            decision = self._consent.decide(context.targeting_key, ask_from(flag_key, context.attributes))
        except (ValueError, TypeError) as error:
            return _refused(str(error))
        return _resolved(decision)

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - as above
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """The same, beside the event loop."""
        return await asyncio.to_thread(self.resolve_boolean_details, flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Raises `TypeMismatchError`: an answer is a boolean."""
        _mismatched(flag_key)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """As for a string."""
        _mismatched(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """As for a string."""
        _mismatched(flag_key)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """As for a string."""
        _mismatched(flag_key)


def ask_from(flag_key: str, attributes: Mapping[str, Any]) -> Ask:
    """
    The ask that a flag's key and the evaluation context's attributes mean.

    Raises:
        ValueError, TypeError: they mean none.
    """
    name, _, subject = flag_key.partition(".")
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"no flag is called so: a key begins with {', '.join(f'{known}.' for known in KINDS)}")
    given = {name: attributes[name] for name in TAKES.get(kind, ()) if name in attributes}
    missing = [name for name in TAKES.get(kind, ()) if kind is Share and name not in given]
    if missing:
        raise ValueError(f"{name} needs {' and '.join(missing)} in the evaluation context")
    return kind(subject, **given)


def _resolved(decision: Decision) -> FlagResolutionDetails[bool]:
    stale = decision.reason in {Why.UNAVAILABLE, Why.STALE}
    return FlagResolutionDetails(
        decision.allowed,
        reason=Reason.STALE if stale else Reason.TARGETING_MATCH,
        variant=str(decision.reason),
        flag_metadata={"clause": decision.clause},
    )


def _refused(why: str) -> FlagResolutionDetails[bool]:
    return FlagResolutionDetails(value=False, error_message=why, reason=Reason.ERROR)


def _mismatched(flag_key: str) -> NoReturn:
    raise TypeMismatchError(f"{flag_key} is a boolean: an ask is answered with yes or no")
