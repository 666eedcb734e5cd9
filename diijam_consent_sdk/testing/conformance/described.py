"""
Make events, asks, notices and provenances of what the steps of a case describe.

Three things in a step stand for a value of the run: `{"in": seconds}` for an instant after the case began,
`{"own": id}` for the id of a notice that no other case or run has, and `{"repeat": text, "times": n}` for a long text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, get_args

import attrs

from ...decisions import Ask
from ...events import Event, Provenance
from ...notices import NoticeText
from ...stores import wire
from .cases import Step

ASKS: Mapping[str, type[Ask]] = {kind.__name__: kind for kind in get_args(Ask)}


@attrs.frozen
class Described:
    """
    What the steps of one case stand for. What a step describes wrongly on purpose raises `ValueError` or `TypeError`.

    Args:
        began_at: When the case began, by the store's clock.

        own: What the case's own ids begin with.
    """

    began_at: datetime
    own: str

    def events(self, step: Step) -> list[Event]:
        """Make the events of a step, repeated as often as it says."""
        return [wire.event_from(self.value(event)) for event in _repeat_events(step)]

    def ask(self, described: Mapping[str, Any]) -> Ask:
        """Make an ask."""
        given = dict(described)
        return ASKS[given.pop("type")](**given)

    def provenance(self, step: Step) -> Provenance | None:
        """Make the provenance of an append."""
        described = step.get("provenance")
        return None if described is None else wire.provenance_from(self.value(described))

    def notice(self, described: Mapping[str, Any]) -> NoticeText:
        """Make the words of a notice."""
        return NoticeText(**self.value(described))

    def instant(self, described: Mapping[str, Any]) -> datetime:
        """Make an instant."""
        return self.began_at + timedelta(seconds=described["in"])

    def value(self, described: Any) -> Any:
        """Make a value as JSON has it: what stands for another is replaced, at any depth."""
        if not isinstance(described, dict):
            return described
        match described:
            case {"in": _}:
                return wire.decode(wire.encode(self.instant(described)))
            case {"own": name}:
                return f"{self.own}-{name}"
            case {"repeat": text, "times": times}:
                return text * times
            case _:
                return {name: self.value(value) for name, value in described.items()}


def _repeat_events(step: Step) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a step, repeated as often as `times`; then # in a text is the number of the repetition."""
    if "times" not in step:
        yield from step["events"]
        return
    for number in range(1, step["times"] + 1):
        for event in step["events"]:
            yield {
                name: text.replace("#", str(number)) if name != "type" and isinstance(text, str) else text
                for name, text in event.items()
            }
