"""What guards with data cost on a cached user, beside what a careful service writes by hand for the same question."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import attrs
from cachetools import TTLCache

from diijam_consent_sdk import Channel, ConsentClient, Field, Market, Process, Purpose, Share
from diijam_consent_sdk.decisions import Ask, Decision

from . import people, report
from .guard import await_feed, filled, measure
from .peers import Probe
from .timing import ratios, spread

USERS = 100_000
RECIPIENT = "acme-records"
DATA = {Field.USERNAME}
MARKET, PROCESS, SHARE = Market("email", DATA), Process("surveys", DATA), Share(RECIPIENT, DATA, "marketing")
BY_HAND, OURS, ANY_ASK = "by hand", "ours", "ours, by decide(ask)"


@attrs.frozen
class Choices:
    """What a service keeps of a user by hand, for these questions."""

    email: bool
    surveys: bool
    restricted: frozenset[str]
    agreed: dict[tuple[str, str], frozenset[str]]  # by recipient and purpose


def choices(consent: ConsentClient, user_id: str) -> Choices:
    """The same choices as the client has them."""
    shared = frozenset({"username", "avatar"}) if _agreed(consent, user_id) else None
    return Choices(
        email=bool(consent.can_market(user_id, "email")),
        surveys=bool(consent.can_process(user_id, "surveys", ())),
        restricted=frozenset() if consent.can_process(user_id, "payment", {"username"}) else frozenset({"username"}),
        agreed={} if shared is None else {(RECIPIENT, "marketing"): shared},
    )


def _agreed(consent: ConsentClient, user_id: str) -> bool:
    return bool(consent.can_share(user_id, RECIPIENT, {"avatar"}, "marketing"))


class ByHand:
    """What a careful service writes: a TTL cache under a lock, and the questions as plain Python."""

    def __init__(self, users: dict[str, Choices]) -> None:
        self._lock = threading.Lock()
        self._cache: TTLCache[str, Choices] = TTLCache(maxsize=2 * len(users), ttl=3600)
        for user_id, kept in users.items():
            self._cache[user_id] = kept

    def find(self, user_id: str) -> Choices | None:
        """Look a user up."""
        with self._lock:
            return self._cache.get(user_id)

    def may_mail(self, user_id: str, data: set[Field]) -> bool:
        """Whether a mail may use these fields."""
        user = self.find(user_id)
        return user is not None and user.email and user.restricted.isdisjoint(data)

    def may_survey(self, user_id: str, data: set[Field]) -> bool:
        """Whether a survey may use these fields."""
        user = self.find(user_id)
        return user is not None and user.surveys and user.restricted.isdisjoint(data)

    def may_share(self, user_id: str, recipient: str, data: set[Field], purpose: str) -> bool:
        """Whether these fields may go to a recipient."""
        user = self.find(user_id)
        if user is None or not user.restricted.isdisjoint(data):
            return False
        agreed = user.agreed.get((recipient, purpose))
        return agreed is not None and data <= agreed


def questions(consent: ConsentClient, hand: ByHand) -> dict[str, tuple[Ask, dict[str, Callable[[str], object]]]]:
    """Each question with its contenders."""
    decide: Callable[[str, Ask], Decision] = consent.decide
    return {
        "can_market(id, channel, data)": (MARKET, {
            BY_HAND: lambda user: hand.may_mail(user, DATA),
            OURS: lambda user: consent.can_market(user, Channel.EMAIL, DATA),
            ANY_ASK: lambda user: decide(user, MARKET),
        }),
        "can_process(id, purpose, data)": (PROCESS, {
            BY_HAND: lambda user: hand.may_survey(user, DATA),
            OURS: lambda user: consent.can_process(user, Purpose.SURVEYS, DATA),
            ANY_ASK: lambda user: decide(user, PROCESS),
        }),
        "can_share(id, recipient, data, purpose)": (SHARE, {
            BY_HAND: lambda user: hand.may_share(user, RECIPIENT, DATA, Purpose.MARKETING),
            OURS: lambda user: consent.can_share(user, RECIPIENT, DATA, Purpose.MARKETING),
            ANY_ASK: lambda user: decide(user, SHARE),
        }),
    }  # fmt: skip


def probe(may: Callable[[str], object]) -> Probe:
    """Ask about each; the call costs every contender the same."""

    def count(wanted: Sequence[str]) -> int:
        total = 0
        for user_id in wanted:
            if may(user_id):
                total += 1
        return total

    return count


def main() -> None:
    """Time the contenders of each question in turns, and publish the table."""
    rows = []
    with ConsentClient(
        people.Printed(people.partners), max_staleness=36_000, capacity=people.scaled(USERS), deadline=60
    ) as consent:
        users = list(filled(consent, people.scaled(USERS)))
        await_feed(consent)
        hand = ByHand({user: choices(consent, user) for user in users})
        for name, (ask, contenders) in questions(consent, hand).items():
            may = {user: bool(consent.decide(user, ask)) for user in users}
            times = measure({each: probe(contender) for each, contender in contenders.items()}, may)
            rows += [
                [f"{name}, {each}", spread(took).text(0), ratios(took, times[BY_HAND]).text()]
                for each, took in times.items()
            ]
    report.publish(
        "asks",
        f"Guards with data on one of {people.scaled(USERS):,} cached users, at random",
        report.table(["", "ns", "× by hand"], rows),
        "Each contender is called through one more function. The data is a set, the ask of `decide` is made once.",
    )


if __name__ == "__main__":
    main()
