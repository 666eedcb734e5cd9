"""What a page shows of a customer's record: switches, notices and requests, ready for the templates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import ceil
from secrets import token_hex

import attrs

from diijam_consent_sdk import (
    Channel,
    Decision,
    Field,
    Market,
    Process,
    Purpose,
    Reason,
    RequestKind,
    Show,
    UserConsent,
)
from diijam_consent_sdk.policy import BASIS, PUBLISHABLE, TIME_LIMITS, Basis
from diijam_consent_sdk.record import Consent, ConsentRecord, Hold, Notice, Request
from diijam_consent_sdk.vocabulary import Account

from .customers import partner
from .holders import holder_name
from .words import Words

DAY_SECONDS = 86_400
OPT_IN = [purpose for purpose in Purpose if BASIS[purpose] is Basis.OPT_IN and purpose is not Purpose.MARKETING]
NEEDED = [purpose for purpose in Purpose if BASIS[purpose] is Basis.SERVICE]
MAY_BE_OBJECTED_TO = [purpose for purpose in Purpose if BASIS[purpose] is not Basis.DUTY]
ALL_DATA = "everything"


@attrs.frozen
class Switch:
    """
    One thing to switch.

    Args:
        key: Names it within its page.

        on: Where it stands.

        says: What its form says when pressed.

        label, hint: What it is for.

        note: What the customer should know about it now.

        is_locked: Whether it cannot be pressed now.
    """

    key: str
    on: bool
    says: Mapping[str, str]
    label: str
    hint: str = ""
    note: str = ""
    is_locked: bool = False


@attrs.frozen
class Shared:
    """A sharing the customer was notified of. `standing` is a key of the words; `can_…` its buttons."""

    notice: Notice
    recipient: str
    standing: str
    note: str
    can_agree: bool
    can_refuse: bool


@attrs.frozen
class Asked:
    """A request, with the days left to answer it, the one begun counted in: none when it is late."""

    request: Request
    days_left: int


@attrs.frozen
class View:
    """
    A customer's record at one moment, as the pages show it.

    Args:
        record: From the store.

        user: The same customer's guards, for the answers and their wording.

        at: When.

        words: In which language.

        holders: Whose confirmation of an erasure is shown.

        shown_to: Stands for the customer in the page's forms.
    """

    record: ConsentRecord
    user: UserConsent
    at: datetime
    words: Words
    holders: Collection[str] = ()
    shown_to: str = ""

    @property
    def is_open(self) -> bool:
        """Whether anything can be allowed at all."""
        return self.record.account is Account.OPEN

    @property
    def is_gone(self) -> bool:
        """Whether there is nothing to show and nothing to be said any more."""
        return self.record.account is Account.ERASED

    @property
    def is_unknown(self) -> bool:
        """Whether no account was ever opened: a no is taken all the same."""
        return self.record.account is Account.UNKNOWN

    @property
    def is_closed(self) -> bool:
        """Whether the customer left."""
        return self.record.account is Account.CLOSED

    @property
    def erasure(self) -> Request | None:
        """The erasure that is pending."""
        return next((r for r in self.record.open_requests() if r.kind is RequestKind.ERASURE), None)

    def channels(self) -> list[Switch]:
        """Marketing, channel by channel: clause 4."""
        return [
            self._consent(f"marketing-{channel}", Purpose.MARKETING, channel, self.words(f"channel.{channel}.name"))
            for channel in Channel
        ]

    def purposes(self) -> list[Switch]:
        """The other purposes that need a yes: clause 4."""
        return [self._consent(p, p, None, self.words(f"purpose.{p}.name")) for p in OPT_IN]

    def needed(self) -> list[tuple[str, Decision]]:
        """What the service needs, with the answer that it gets now."""
        return [(self.words(f"purpose.{p}.name"), self.user.can_process(p, ())) for p in NEEDED]

    def public_fields(self) -> list[Switch]:
        """What can be made public: clause 7."""
        return [self._field(field) for field in Field if field in PUBLISHABLE]

    def private_fields(self) -> list[str]:
        """What is never public."""
        return [self.words(f"field.{field}") for field in Field if field not in PUBLISHABLE]

    def restriction_of_all(self) -> Switch:
        """The restriction of everything: clause 1. Pressed while all is restricted, it lifts every restriction."""
        on, words = self.record.all_restricted, self.words
        says = {"say": "lift_restriction" if on else "restrict", "data": ALL_DATA}
        label, hint = words("limits.everything"), words("limits.everything_hint")
        return Switch("restrict-all", on, says, label, hint, is_locked=on and not self.is_open)

    def restrictions(self) -> list[Switch]:
        """The restriction of each kind of data: clause 1."""
        switches = []
        for field in Field:
            on = self.record.all_restricted or field in self.record.restricted
            says = {"say": "lift_restriction" if on else "restrict", "data": str(field)}
            locked = self.record.all_restricted or (on and not self.is_open)
            switches.append(Switch(f"restrict-{field}", on, says, self.words(f"field.{field}"), is_locked=locked))
        return switches

    def objections(self) -> list[Switch]:
        """The objection to each purpose: clause 1."""
        switches = []
        for purpose in MAY_BE_OBJECTED_TO:
            on = purpose in self.record.objected
            says = {"say": "lift_objection" if on else "object", "purpose": str(purpose)}
            label = self.words(f"purpose.{purpose}.name")
            switches.append(Switch(f"object-{purpose}", on, says, label, is_locked=on and not self.is_open))
        return switches

    def shared(self) -> list[Shared]:
        """The sharings the customer was notified of, the unanswered ones first: clause 5."""
        found = [self._shared(notice) for notice in self.record.notices.values()]
        return sorted(found, key=lambda shared: (shared.standing != Reason.NOT_AGREED, shared.recipient))

    def open_requests(self) -> list[Asked]:
        """What Diijam still owes an answer to, the most urgent first."""
        requests = sorted(self.record.open_requests(), key=lambda request: request.due_at)
        return [Asked(r, ceil((r.due_at - self.at).total_seconds() / DAY_SECONDS)) for r in requests]

    def copies(self) -> list[tuple[str, bool]]:
        """Each holder's name, and whether it has confirmed the erasure under way."""
        erasure = self.record.erasure
        confirmed = frozenset() if erasure is None else erasure.confirmed
        return [(holder_name(holder, self.words), holder in confirmed) for holder in self.holders]

    def past_requests(self) -> list[Request]:
        """What was resolved, the latest first."""
        resolved = [(r.resolved_at, r) for r in self.record.requests.values() if r.resolved_at is not None]
        return [request for _, request in sorted(resolved, key=lambda pair: pair[0], reverse=True)]

    def kinds(self) -> list[tuple[RequestKind, int, str]]:
        """What can be asked for, in how many days it is answered, and an id for such a request."""
        kinds = [kind for kind in RequestKind if not (kind is RequestKind.ERASURE and self.erasure)]
        return [(kind, TIME_LIMITS[kind].done.days, f"pc-{token_hex(8)}") for kind in kinds]

    def holds(self) -> Sequence[Hold]:
        """What must be kept, and why: clause 6."""
        return self.record.live_holds(self.at)

    def _consent(self, key: str, purpose: Purpose, channel: Channel | None, label: str) -> Switch:
        consent = self._said_to(purpose, channel)
        on = consent is not None and consent.reason_at(self.at) is Reason.CONSENTED
        decision = self.user.decide(Market(channel) if channel else Process(purpose, ()))
        says = {"say": "withdraw" if on else "grant", "purpose": str(purpose), "channel": channel or ""}
        hint = "" if channel else self.words(f"purpose.{purpose}.hint")
        note = self._note(on, decision, consent.expires_at if consent else None)
        return Switch(key, on, says, label, hint, note, is_locked=not on and not self.is_open)

    def _said_to(self, purpose: Purpose, channel: Channel | None) -> Consent | None:
        consents: Iterable[Consent] = self.record.consents.values()
        return next((c for c in consents if (c.purpose, c.channel) == (purpose, channel)), None)

    def _field(self, field: Field) -> Switch:
        on = field in self.record.published
        says = {"say": "hide" if on else "publish", "field": str(field)}
        note = self._note(on, self.user.decide(Show(field)), None)
        locked = not on and not self.is_open
        return Switch(f"public-{field}", on, says, self.words(f"field.{field}"), note=note, is_locked=locked)

    def _shared(self, notice: Notice) -> Shared:
        standing = notice.reason_at(self.at)
        decision = self.user.can_share(notice.recipient, notice.data, notice.purpose)
        on = standing is Reason.AGREED
        return Shared(
            notice,
            partner(notice.recipient),
            standing,
            self._note(on, decision, notice.expires_at),
            can_agree=self.is_open and not on,
            can_refuse=standing is not Reason.WITHDRAWN,
        )

    def _note(self, on: bool, decision: Decision, expires_at: datetime | None) -> str:  # noqa: FBT001 - a switch's state
        """What a switch alone would leave out: that its yes has no effect, or an end."""
        return next(self._notes(on, decision, expires_at), "")

    def _notes(self, on: bool, decision: Decision, expires_at: datetime | None) -> Iterator[str]:  # noqa: FBT001 - as above
        if on != decision.allowed or decision.reason is Reason.EXPIRED:
            yield decision.message(self.words.language)
        if on and expires_at is not None:
            yield self.words("state.until", date=self.words.day(expires_at))
