"""
Make an event from its name and options.

The options are the fields of all events together, so that `--help` lists them and a wrong combination is refused.
"""

from __future__ import annotations

from typing import Annotated, Any

import attrs
from cyclopts import Parameter

from ....events import Event
from ....stores import wire
from ....stores.wire import EVENT_TYPES
from ....vocabulary import Channel, HoldKind, Origin, Outcome, RequestKind
from ...options import check_options, option_name, parse_time


def _option(field: str, meaning: str) -> Parameter:
    """Make the option of a field. Its help names the events that have the field."""
    names = [name for name, kind in EVENT_TYPES.items() if field in [known.name for known in attrs.fields(kind)]]
    return Parameter(name=option_name(field), help=f"{meaning} For {', '.join(names)}.")


@attrs.frozen(kw_only=True)
class EventOptions:
    """The fields of all events together (a test holds them to that). None, or False for a flag: not given."""

    purpose: Annotated[str | None, _option("purpose", "What data is used for.")] = None
    notice: Annotated[str | None, _option("notice", "The id of the text that the customer was shown.")] = None
    channels: Annotated[list[str] | None, _option("channels", f"{', '.join(Channel)}. Repeat it for more.")] = None
    expires_at: Annotated[str | None, _option("expires_at", "When it ends: 2027-01-31T00:00:00+07:00.")] = None
    recipient: Annotated[str | None, _option("recipient", "Who is given the data.")] = None
    data: Annotated[list[str] | None, _option("data", "A field. Repeat it for more.")] = None
    field: Annotated[str | None, _option("field", "The field.")] = None
    request: Annotated[str | None, _option("request", "The request's id.")] = None
    kind: Annotated[
        str | None, _option("kind", f"Of a request: {', '.join(RequestKind)}; of a hold: {', '.join(HoldKind)}.")
    ] = None
    processor: Annotated[bool, _option("processor", "Somebody outside Diijam must act too.")] = False
    received_at: Annotated[
        str | None,
        _option("received_at", "When it reached Diijam, if earlier: 2026-10-31T09:00:00+07:00."),
    ] = None
    reason: Annotated[str | None, _option("reason", "The id of the text that says why.")] = None
    outcome: Annotated[str | None, _option("outcome", f"{', '.join(Outcome)}.")] = None
    hold: Annotated[str | None, _option("hold", "The hold's id.")] = None
    holder: Annotated[str | None, _option("holder", "Who has erased its copies.")] = None
    began_at: Annotated[
        str | None, _option("began_at", "When the erasure began that is confirmed, as `holder owed --json` tells.")
    ] = None
    until: Annotated[str | None, _option("until", "When it ends: 2027-01-31T00:00:00+07:00.")] = None
    origin: Annotated[str | None, _option("origin", f"{', '.join(Origin)}.")] = None
    anonymised: Annotated[bool, _option("anonymised", "The data was anonymised, not deleted.")] = False

    def given(self) -> dict[str, Any]:
        """Return what was given, by field, with times parsed."""
        given = {name: value for name, value in attrs.asdict(self).items() if value is not None and value is not False}
        for name in given.keys() & wire.TIME_FIELDS:
            given[name] = parse_time(name, given[name])
        return given


def parse_event(name: str, options: EventOptions | None) -> Event:
    """
    Make an event from its name and options.

    Raises:
        ValueError: no event has this name, an option is missing or too much, or a word is not in its vocabulary.
    """
    kind = EVENT_TYPES.get(name)
    if kind is None:
        raise ValueError(f"unknown event {name[:40]!r}; known: {', '.join(EVENT_TYPES)}")
    given = (options or EventOptions()).given()
    check_options(name, attrs.fields(kind), given)
    return kind(**given)


def _synopsis(name: str, kind: type[Event]) -> str:
    options = [(option_name(field.name), field.default is attrs.NOTHING) for field in attrs.fields(kind)]
    shown = " ".join(option if is_required else f"[{option}]" for option, is_required in options)
    return f"  {name:<19}{shown}".rstrip()


SYNOPSES = "\n".join(_synopsis(name, kind) for name, kind in EVENT_TYPES.items())
