"""Events as people type them: a name, and options that are the fields of that event."""

from __future__ import annotations

from typing import Annotated, Any

import attrs
from cyclopts import Parameter

from ....events import Event
from ....stores.wire import EVENT_TYPES
from ....vocabulary import Channel, HoldKind, Origin, Outcome, RequestKind
from ...options import check_options, flag, moment


def _of(field: str, meaning: str) -> Parameter:
    """The option of a field, its help naming the events that have it."""
    names = [name for name, kind in EVENT_TYPES.items() if field in [known.name for known in attrs.fields(kind)]]
    return Parameter(name=flag(field), help=f"{meaning} For {', '.join(names)}.")


@attrs.frozen(kw_only=True)
class EventOptions:
    """The fields of all events together (a test holds them to that). None, or False for a flag: not given."""

    purpose: Annotated[str | None, _of("purpose", "What data is used for.")] = None
    notice: Annotated[str | None, _of("notice", "The id of the text that the customer was shown.")] = None
    channels: Annotated[list[str] | None, _of("channels", f"{', '.join(Channel)}. Repeat it for more.")] = None
    expires_at: Annotated[str | None, _of("expires_at", "When it ends: 2027-01-31T00:00:00+07:00.")] = None
    recipient: Annotated[str | None, _of("recipient", "Who is given the data.")] = None
    data: Annotated[list[str] | None, _of("data", "A field. Repeat it for more.")] = None
    field: Annotated[str | None, _of("field", "The field.")] = None
    request: Annotated[str | None, _of("request", "The request's id.")] = None
    kind: Annotated[
        str | None, _of("kind", f"Of a request: {', '.join(RequestKind)}; of a hold: {', '.join(HoldKind)}.")
    ] = None
    outcome: Annotated[str | None, _of("outcome", f"{', '.join(Outcome)}.")] = None
    hold: Annotated[str | None, _of("hold", "The hold's id.")] = None
    until: Annotated[str | None, _of("until", "When it ends: 2027-01-31T00:00:00+07:00.")] = None
    origin: Annotated[str | None, _of("origin", f"{', '.join(Origin)}.")] = None
    anonymised: Annotated[bool, _of("anonymised", "The data was anonymised, not deleted.")] = False

    def given(self) -> dict[str, Any]:
        """What was given, by field; times as instants."""
        given = {name: value for name, value in attrs.asdict(self).items() if value is not None and value is not False}
        for end in given.keys() & {"expires_at", "until"}:
            given[end] = moment(end, given[end])
        return given


def event_from_options(name: str, options: EventOptions | None) -> Event:
    """
    The event that a name and options mean.

    Raises:
        ValueError: there is no such event, it lacks an option or has it not, or a word is not in its vocabulary.
    """
    kind = EVENT_TYPES.get(name)
    if kind is None:
        raise ValueError(f"unknown event {name[:40]!r}; known: {', '.join(EVENT_TYPES)}")
    given = (options or EventOptions()).given()
    check_options(name, attrs.fields(kind), given)
    return kind(**given)


def _synopsis(name: str, kind: type[Event]) -> str:
    fields = attrs.fields(kind)
    options = [flag(field.name) if field.default is attrs.NOTHING else f"[{flag(field.name)}]" for field in fields]
    return f"  {name:<19}{' '.join(options)}".rstrip()


SYNOPSES = "\n".join(_synopsis(name, kind) for name, kind in EVENT_TYPES.items())
