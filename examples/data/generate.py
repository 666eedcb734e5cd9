"""
Makes up the customers and the campaign audience that the examples run on. The same seed gives the same bytes.

    python examples/data/generate.py [--seed 2026] [--customers 2000] [--out DIR]

Each customer's events are folded here as a store would fold them, so what is written is what a store accepts.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from diijam_consent_sdk import Channel, Field, HoldKind, Origin, Outcome, Purpose, RequestKind
from diijam_consent_sdk import events as e
from diijam_consent_sdk.policy import PUBLISHABLE
from diijam_consent_sdk.record import fold, refusal, unopened
from diijam_consent_sdk.stores.wire import event_fields
from diijam_consent_sdk.vocabulary import Account

HERE = Path(__file__).resolve().parent
NAMES = tomllib.loads((HERE / "names.toml").read_text(encoding="utf-8"))
COLUMNS = ("user_id", "full_name", "email", "city")

NOW = datetime(2026, 11, 1, tzinfo=UTC)  # when the histories are judged; nothing in them depends on it
# A store refuses a permission that has run out already, so all run out far enough away for the demo to outlive.
YEARS_AHEAD = (2036, 2037, 2038, 2039)

# What a customer is like: how many are, and how likely each is to do what. The order is the order of `LIKELY`.
MOODS = {"fan": 47, "casual": 35, "wary": 18}
LIKELY = {
    "email": (0.90, 0.62, 0.15),
    "notification": (0.80, 0.45, 0.08),
    "message": (0.30, 0.12, 0.02),
    "call": (0.10, 0.03, 0.00),
    "service_improvement": (0.75, 0.42, 0.08),
    "service_development": (0.35, 0.12, 0.02),
    "technology_development": (0.25, 0.08, 0.02),
    "contests": (0.50, 0.18, 0.02),
    "surveys": (0.30, 0.12, 0.04),
    "decline": (0.10, 0.18, 0.50),
    "come round": (0.30, 0.12, 0.04),
    "agree": (0.65, 0.35, 0.08),
    "disagree": (0.15, 0.25, 0.50),
    "publish": (0.45, 0.18, 0.03),
    "object": (0.03, 0.05, 0.16),
    "restrict": (0.03, 0.05, 0.16),
    "request": (0.04, 0.05, 0.12),
    "leave": (0.04, 0.09, 0.14),
    "ask for erasure": (0.02, 0.03, 0.07),
}
OBJECTIONS = {
    Purpose.MARKETING: 10, Purpose.SERVICE_IMPROVEMENT: 4, Purpose.FRAUD_DETECTION: 3, Purpose.TROUBLESHOOTING: 2,
    Purpose.SERVICE_OPERATION: 1, Purpose.PAYMENT: 1,
}  # fmt: skip
RESTRICTIONS: Mapping[tuple[Field, ...] | None, int] = {
    None: 5, (Field.EMAIL,): 4, (Field.LISTENING_HISTORY,): 4, (Field.EMAIL, Field.PHONE): 3, (Field.FULL_NAME,): 2,
    (Field.DEVICE, Field.LOCATION): 3, (Field.BIRTH_DATE, Field.GENDER): 2, (Field.USERNAME, Field.AVATAR): 1,
}  # fmt: skip
HOLDS: Mapping[HoldKind, tuple[int, tuple[Field, ...]]] = {
    HoldKind.DEBT: (8, (Field.FULL_NAME, Field.PHONE, Field.PAYMENT)),
    HoldKind.DISPUTE: (3, (Field.EMAIL, Field.PAYMENT, Field.LISTENING_HISTORY)),
    HoldKind.TAX: (3, (Field.FULL_NAME, Field.ADDRESS, Field.PAYMENT)),
    HoldKind.ACCOUNTING: (2, (Field.PAYMENT,)),
    HoldKind.AUDIT: (1, (Field.PAYMENT, Field.DEVICE)),
    HoldKind.LEGAL: (1, (Field.FULL_NAME, Field.EMAIL, Field.PHONE)),
}
DEFAULTS = (None, False, frozenset[str](), Origin.DIRECT)  # of any field of an event that has one
REASONS = {Outcome.FULFILLED: None, Outcome.REFUSED: "identity-not-shown"}  # of what Diijam answered
SETTLED_BY_LAW = {HoldKind.TAX, HoldKind.ACCOUNTING, HoldKind.AUDIT}  # these end on a day, not when somebody pays

T = TypeVar("T")


class Dice:
    """Chance, from a seed. Built on `Random.random` alone: Python promises its numbers for a seed in every version."""

    def __init__(self, *seed: object) -> None:
        self.roll = random.Random("/".join(map(str, seed))).random  # noqa: S311 - it makes up people, not keys

    def chance(self, probability: float) -> bool:
        """True this often."""
        return self.roll() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of *options*, each as likely."""
        return options[int(self.roll() * len(options))]

    def weigh(self, options: Mapping[T, int]) -> T:
        """One of *options*, as likely as its weight: a whole number, since Python 3.12 adds up floats another way."""
        roll = self.roll() * sum(options.values())
        return next(option for option, top in zip(options, accumulate(options.values()), strict=True) if roll < top)


class Customer:
    """One customer's history, told step by step; each event is judged as a store would judge it."""

    def __init__(self, seed: int, number: int) -> None:
        self.user_id = f"u-{number:05d}"
        self.events: list[e.Event] = []
        self._dice = Dice(seed, "customer", number)
        self._mood = list(MOODS).index(self._dice.weigh(MOODS))
        self._record = unopened(self.user_id)
        for step in (
            self.sign_up, self.consent, self.hear_of_partners, self.show_profile, self.decline, self.object,
            self.restrict, self.be_held, self.ask, self.leave, self.ask_for_erasure,
        ):  # fmt: skip
            if self._record.account is not Account.ERASED:
                step()

    def sign_up(self) -> None:
        """Clause 3."""
        self._do(e.AccountOpened(self._dice.weigh({Origin.DIRECT: 5, Origin.FACEBOOK: 3, Origin.GOOGLE: 2})))

    def consent(self) -> None:
        """Clause 4: marketing by channel, and the other purposes that need a yes."""
        notice = self._dice.pick(("signup-2025-2", "signup-2026-1"))
        channels = [channel for channel in Channel if self._would(channel)]
        if channels:
            self._do(e.Granted(Purpose.MARKETING, notice, channels, self._end(0.10)))
        for purpose in Purpose:
            if purpose in LIKELY and self._would(purpose):
                self._do(e.Granted(purpose, notice, expires_at=self._end(0.05)))

    def hear_of_partners(self) -> None:
        """Clause 5: told beforehand; then yes, no, yes and later no, or no answer."""
        for partner in NAMES["partner"]:
            if not self._dice.chance(0.22):
                continue
            notice = f"{partner['recipient']}-2026-{self._dice.pick('123')}"
            self._do(e.Notified(notice, partner["recipient"], partner["data"], partner["purpose"]))
            agreed = self._would("agree")
            if agreed:
                self._do(e.Agreed(notice, self._end(0.15)))
            if self._would("disagree", 0.5 if agreed else 1.0):
                self._do(e.AgreementWithdrawn(notice))

    def show_profile(self) -> None:
        """Clause 7: what becomes public, and what is hidden again, also what never was public."""
        for field in (field for field in Field if field in PUBLISHABLE):
            public = self._would("publish", 0.5 if field is Field.FULL_NAME else 1.0)
            if public:
                self._do(e.Published(field))
            if self._dice.chance(0.10 if public else 0.01):
                self._do(e.Hidden(field))

    def decline(self) -> None:
        """Clause 4: saying no, to what was granted and to what never was; some come round again."""
        if self._would("decline"):
            channels = self._dice.pick(((), (), (Channel.EMAIL,), (Channel.EMAIL, Channel.MESSAGE), (Channel.CALL,)))
            self._do(e.Withdrawn(Purpose.MARKETING, channels))
            if self._would("come round"):
                self._do(e.Granted(Purpose.MARKETING, "promo-2026-11", channels or [Channel.EMAIL]))
        if self._would("decline", 0.5):
            self._do(e.Withdrawn(self._dice.pick((Purpose.SERVICE_IMPROVEMENT, Purpose.CONTESTS, Purpose.SURVEYS))))

    def object(self) -> None:
        """Clause 1: an objection beats any consent until it is lifted."""
        if self._would("object"):
            purpose = self._dice.weigh(OBJECTIONS)
            self._do(e.Objected(purpose))
            if self._dice.chance(0.25):
                self._do(e.ObjectionLifted(purpose))

    def restrict(self) -> None:
        """Clause 1: some data, or all; lifted in full or in part."""
        if self._would("restrict"):
            data = self._dice.weigh(RESTRICTIONS)
            self._do(e.Restricted(data))
            if self._dice.chance(0.25):
                self._do(e.RestrictionLifted(data and data[: self._dice.pick((1, 2))]))

    def be_held(self) -> None:
        """Clause 6: a debt, a dispute, or a duty under the law keeps some data."""
        for hold in ("h-1", "h-2"):
            if self._dice.chance(0.07):
                kind = self._dice.weigh({kind: weight for kind, (weight, _) in HOLDS.items()})
                until = self._end(1.0) if kind in SETTLED_BY_LAW else None
                self._do(e.HoldPlaced(hold, kind, HOLDS[kind][1], until))
                if until is None and self._dice.chance(0.40):
                    self._do(e.HoldReleased(hold))

    def ask(self) -> None:
        """Clauses 1 and 2: to see, to correct, to complain."""
        for request in ("q-1", "q-2"):
            if self._would("request"):
                kind = self._dice.pick((RequestKind.ACCESS, RequestKind.RECTIFICATION, RequestKind.COMPLAINT))
                self._do(e.RequestFiled(request, kind))
                outcome = self._dice.weigh(
                    {Outcome.FULFILLED: 6, Outcome.REFUSED: 1, Outcome.CANCELLED: 1, None: 3}
                )  # fmt: skip
                if outcome in REASONS:
                    self._do(e.RequestReplied(request))
                    if kind is RequestKind.RECTIFICATION:
                        self._do(e.RequestExtended(request, "label-has-to-answer"))
                if outcome is not None:
                    self._do(e.RequestResolved(request, outcome, REASONS.get(outcome)))

    def leave(self) -> None:
        """Clause 6: some come back, to start without any consent; some are erased, unless a hold keeps the data."""
        if self._would("leave"):
            self._do(e.AccountClosed())
            what_next = self._dice.weigh({"stay away": 5, "come back": 3, "be erased": 3})
            if what_next == "come back":
                self.sign_up()
                if self._would("email"):
                    self._do(e.Granted(Purpose.MARKETING, "welcome-back-2026", [Channel.EMAIL, Channel.NOTIFICATION]))
            elif what_next == "be erased" and not self._record.live_holds(NOW):
                self._do(e.Erased(anonymised=self._dice.chance(0.3)))

    def ask_for_erasure(self) -> None:
        """Clauses 1 and 6: pending, ended, or done; a debt is paid first."""
        if self._would("ask for erasure"):
            self._do(e.RequestFiled("q-3", RequestKind.ERASURE))
            what_next = self._dice.weigh({"pending": 5, "be erased": 3, "cancelled": 1, "refused": 1})
            if what_next in {"cancelled", "refused"}:
                self._do(e.RequestResolved("q-3", Outcome(what_next), REASONS.get(Outcome(what_next))))
            elif what_next == "be erased":
                self._do(*(e.HoldReleased(hold.hold) for hold in self._record.live_holds(NOW)))
                self._do(e.Erased(anonymised=self._dice.chance(0.3)))

    def _would(self, what: str, factor: float = 1.0) -> bool:
        return self._dice.chance(LIKELY[what][self._mood] * factor)

    def _end(self, probability: float) -> datetime | None:
        """The end of a permission, if this one has any."""
        if not self._dice.chance(probability):
            return None
        return datetime(self._dice.pick(YEARS_AHEAD), 1 + int(self._dice.roll() * 12), 1, tzinfo=UTC)

    def _do(self, *events: e.Event) -> None:
        for event in events:
            refused = refusal(self._record, event, NOW)
            assert refused is None, f"{self.user_id}: {event} after {self.events}: {refused}"
            version = self._record.version + 1
            self._record = fold(self._record, e.LedgerEntry(version, self.user_id, version, NOW, event))
            self.events.append(event)


def fields_given(event: e.Event) -> dict[str, Any]:
    """The event as `diijam-consent record` reads it, without what is the default anyway; sets in sorted order."""
    return {name: _plain(value) for name, value in event_fields(event).items() if value not in DEFAULTS}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return sorted(value) if isinstance(value, frozenset) else value


def customer_lines(seed: int, customers: int) -> Iterator[str]:
    """The lines of customers.jsonl."""
    for number in range(1, customers + 1):
        customer = Customer(seed, number)
        for event in customer.events:
            line = {"user_id": customer.user_id, "event": fields_given(event)}
            yield json.dumps(line, ensure_ascii=False) + "\n"


def unaccented(text: str) -> str:
    """Vietnamese as people type it into an e-mail address: no accents, no spaces, lower case."""
    plain = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(letter for letter in plain if letter.isascii() and letter.isalnum())


def person(dice: Dice, taken: set[str]) -> tuple[str, str, str]:
    """Full name, e-mail and city of somebody who does not exist. *taken*: the addresses that are in use."""
    region = "north" if dice.chance(0.42) else "south"
    city: str = dice.weigh(NAMES[region])
    family: str = dice.weigh(NAMES["family"])
    if region == "south":
        family = NAMES["regional"].get(family, family)
    pool = NAMES["female" if dice.chance(0.51) else "male"]
    names = [dice.pick([name for name in pool["middle"] if name != family])]
    if dice.chance(0.6 if names[0] == "Thị" else 0.1):
        names.append(dice.pick([name for name in pool["second"] if name not in (family, *names)]))
    names.append(dice.pick([name for name in pool["given"] if name not in (family, *names)]))  # nobody is Ngọc Ngọc
    first, rest, last = unaccented(names[-1]), unaccented("".join(names[:-1])), unaccented(family)
    local = dice.pick((f"{rest}{first}.{last}", f"{last}{rest}{first}", f"{first}.{last}", f"{first}{last}"))
    if dice.chance(0.35):
        local += dice.pick(("85", "88", "90", "92", "93", "95", "96", "98", "99", "2000", "01", "03", "05"))
    while local in taken:
        local += str(int(dice.roll() * 10))
    taken.add(local)
    return " ".join([family, *names]), f"{local}@example.{'com' if dice.chance(0.6) else 'vn'}", city


def audience_rows(seed: int, customers: int) -> Iterable[Sequence[str]]:
    """The rows of audience.csv: what marketing was sent, with all that is wrong in such a list."""
    dice = Dice(seed, "audience")
    taken: set[str] = set()
    rows = []
    for number in range(1, customers + 1):
        row = (f"u-{number:05d}", *person(dice, taken))
        if dice.chance(0.98):
            rows.append(row)
        if dice.chance(0.09):  # once more, as a ticketing system writes names
            rows.append((row[0], unaccented_name(row[1]) if dice.chance(0.5) else row[1], *row[2:]))
    for number in range(customers * 6 // 100):  # well-formed ids that are nobody's
        stray = dice.pick((f"u-{90000 + number}", f"kh-2019-{number:04d}", f" u-{number:05d} "))
        rows.append((stray, *person(dice, taken)))
    for number in range(max(3, customers * 2 // 100)):  # malformed ids
        broken = ("", "u-" + "0" * 298, f"u-{number:05d}\x07")[number % 3]
        rows.append((broken, *person(dice, taken)))
    return sorted(rows, key=lambda _: dice.roll())


def unaccented_name(name: str) -> str:
    """NGUYEN THI LAN for Nguyễn Thị Lan."""
    return " ".join(unaccented(part) for part in name.split()).upper()


def write(out: Path, *, seed: int, customers: int) -> None:
    """Write customers.jsonl and audience.csv into the folder *out*."""
    with (out / "customers.jsonl").open("w", encoding="utf-8", newline="") as file:
        file.writelines(customer_lines(seed, customers))
    with (out / "audience.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(audience_rows(seed, customers))


def main(argv: Sequence[str] | None = None) -> int:
    """Write both files; the exit code is 0."""
    parser = argparse.ArgumentParser(description="Make up customers.jsonl and audience.csv.")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="a folder (default: beside this script)")
    given = parser.parse_args(argv)
    given.out.mkdir(parents=True, exist_ok=True)
    write(given.out, seed=given.seed, customers=given.customers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
