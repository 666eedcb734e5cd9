"""The example data: it is what the seeded script makes, a store takes it, and all that the demo needs is in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import attrs
import pytest

from diijam_consent_sdk import Channel, ConsentClient, Field, Market, Process, Purpose, Reason, Retain, Share, Show
from diijam_consent_sdk.decisions import UNANSWERED, Ask
from diijam_consent_sdk.events import ErasureConfirmed, Event
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.stores.wire import event_from
from examples.data import generate

from .conftest import COMMITTED, FEW, PATIENT_SECONDS, batches, load, rows, well_formed

FILES = ("customers.jsonl", "audience.csv")
DATA = frozenset({Field.EMAIL})
ASKS: tuple[Ask, ...] = (
    *map(Market, Channel),
    *(Process(purpose, DATA) for purpose in Purpose if purpose is not Purpose.MARKETING),
    Process(Purpose.DEBT_SETTLEMENT, {Field.PAYMENT}),
    *(
        Share(p["recipient"], [*p["data"], *more], p["purpose"])
        for p in generate.NAMES["partner"]
        for more in ((), DATA)
    ),
    *map(Show, Field),
    *map(Retain, Field),
)
NOT_OVER_DATA = UNANSWERED  # the store could not be asked


@attrs.define
class Clock:
    """A wall clock that the test sets."""

    at: datetime = generate.NOW

    def __call__(self) -> datetime:
        return self.at


def reasons(consent: ConsentClient, user_ids: list[str]) -> Iterator[Reason]:
    """The reasons that the guards give these users."""
    return (user.decide(ask).reason for user in consent.users(user_ids) for ask in ASKS)


@pytest.fixture(scope="module")
def customers() -> dict[str, list[Event]]:
    """The committed customers with their events."""
    return dict(batches(COMMITTED))


def test_committed_files_are_what_the_script_makes(tmp_path: Path) -> None:
    """The committed files hold, byte for byte, what the script makes with its defaults."""
    assert generate.main(["--out", str(tmp_path / "new")]) == 0
    for name in FILES:
        assert (tmp_path / "new" / name).read_bytes() == (COMMITTED / name).read_bytes()


def test_hash_seed_changes_nothing(few: Path, tmp_path: Path) -> None:
    """Run as a script, in a process that orders its sets another way, it makes the same bytes."""
    command = [sys.executable, generate.__file__, "--customers", str(FEW), "--out", str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (few / name).read_bytes()


def test_seed_changes_everybody(few: Path, tmp_path: Path) -> None:
    """Another seed makes other customers and another audience."""
    generate.write(tmp_path, seed=1, customers=FEW)
    for name in FILES:
        assert (tmp_path / name).read_bytes() != (few / name).read_bytes()


def test_customers_do_not_depend_on_how_many_there_are(few: Path) -> None:
    """A smaller run makes the first customers of a larger one."""
    assert (COMMITTED / "customers.jsonl").read_bytes().startswith((few / "customers.jsonl").read_bytes())


def test_store_takes_every_batch(full: MemoryStore) -> None:
    """A store takes each customer's events as one batch, today and up to the day before the first year ahead."""
    assert full.load([]).cursor.position == sum(len(events) for _, events in batches(COMMITTED))
    last_day = datetime(min(generate.YEARS_AHEAD) - 1, 12, 31, tzinfo=UTC)
    with closing(MemoryStore(clock=Clock(last_day))) as store:
        assert load(store, COMMITTED) == 2000


def test_customers_file_is_small_and_in_order(customers: dict[str, list[Event]]) -> None:
    """The file is below 2 MB, and each customer's lines stand together, the customers in order."""
    assert (COMMITTED / "customers.jsonl").stat().st_size < 2_000_000
    assert list(customers) == [f"u-{number:05d}" for number in range(1, 2001)]


def test_lines_leave_defaults_out() -> None:
    """A line names the event first and no field that has its default; without any field given it is another event."""
    for line in (COMMITTED / "customers.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)["event"]
        event = event_from(dict(fields))
        assert next(iter(fields)) == "type"
        assert generate.fields_given(event) == fields
        for field in attrs.fields(type(event)):
            if field.name in fields and field.default is not attrs.NOTHING:
                assert event_from({name: fields[name] for name in fields if name != field.name}) != event


def test_every_event_occurs(customers: dict[str, list[Event]]) -> None:
    """Every kind of event is there, but the one that needs a registered holder, and both kinds of erasure."""
    happened = [event for events in customers.values() for event in events]
    assert {type(event) for event in happened} == set(get_args(Event)) - {ErasureConfirmed}
    assert {event.anonymised for event in happened if hasattr(event, "anonymised")} == {True, False}


def test_nothing_ends_soon(customers: dict[str, list[Event]]) -> None:
    """What ends does so years ahead, in a year the script names."""
    named = ("expires_at", "until")
    ends = [getattr(event, name, None) for events in customers.values() for event in events for name in named]
    assert {end.year for end in ends if end is not None} == set(generate.YEARS_AHEAD)
    assert min(generate.YEARS_AHEAD) >= 2031


def test_every_reason_occurs() -> None:
    """Every reason that a guard gives over data occurs: `EXPIRED` once the clock says that the years have passed."""
    clock = Clock()
    user_ids = well_formed(rows(COMMITTED))
    with closing(MemoryStore(clock=clock)) as store:
        load(store, COMMITTED)
        with ConsentClient(store, follow=False, deadline=PATIENT_SECONDS) as consent:
            assert set(Reason).difference(reasons(consent, user_ids)) == {*NOT_OVER_DATA, Reason.EXPIRED}
        clock.at = datetime(max(generate.YEARS_AHEAD) + 1, 1, 1, tzinfo=UTC)
        with ConsentClient(store, follow=False, deadline=PATIENT_SECONDS) as consent:
            assert Reason.EXPIRED in reasons(consent, user_ids)


def test_data_is_lively(full: MemoryStore) -> None:
    """Between a third and two thirds of the customers may be mailed, and each way to say no is somebody's."""
    with ConsentClient(full, follow=False, deadline=PATIENT_SECONDS) as consent:
        users = consent.users(f"u-{number:05d}" for number in range(1, 2001))
        decisions = Counter(user.can_market(Channel.EMAIL).reason for user in users)
    assert 2000 / 3 < decisions[Reason.CONSENTED] < 2000 * 2 / 3
    assert set(decisions) == {
        Reason.CONSENTED, Reason.NOT_CONSENTED, Reason.WITHDRAWN, Reason.RESTRICTED, Reason.OBJECTED,
        Reason.ACCOUNT_CLOSED, Reason.ERASURE_REQUESTED, Reason.ERASED,
    }  # fmt: skip
    assert min(decisions.values()) >= 10


def test_audience_has_its_flaws(customers: dict[str, list[Event]]) -> None:
    """The audience repeats customers, and has unknown ids, ids with spaces around them, and each malformed kind."""
    listed = Counter(row["user_id"] for row in rows(COMMITTED))
    assert 2250 <= listed.total() <= 2350
    assert len(customers.keys() & listed) > 1900
    assert sum(count > 1 for user_id, count in listed.items() if user_id in customers) > 100
    for flaw in (r"u-9\d{4}", r"kh-2019-\d{4}", r" u-\d{5} ", r"", r".{300}", r"u-\d{5}\x07"):
        found = [user_id for user_id in listed if re.fullmatch(flaw, user_id)]
        assert found
        assert not customers.keys() & set(found)


@pytest.mark.parametrize("flaw", [r"", r".{300}", r".*\x07"], ids=["empty", "long", "control character"])
def test_one_customer_has_each_malformed_id(tmp_path: Path, flaw: str) -> None:
    """However few customers are asked for, the list has an id of each malformed kind."""
    generate.write(tmp_path, seed=2026, customers=1)
    assert any(re.fullmatch(flaw, row["user_id"]) for row in rows(tmp_path))


def test_people_have_vietnamese_names() -> None:
    """Names are composed Unicode of two to four words, the family names about as frequent as in Vietnam."""
    people = {row["user_id"]: row["full_name"] for row in rows(COMMITTED) if not row["full_name"].isupper()}
    families = Counter(name.split()[0] for name in people.values())
    assert all(unicodedata.is_normalized("NFC", name) for name in people.values())
    assert all(3 <= len(name.split()) <= 4 and len(set(name.split())) == len(name.split()) for name in people.values())
    assert [family for family, _ in families.most_common(4)] == ["Nguyễn", "Trần", "Lê", "Phạm"]
    assert 0.34 < families["Nguyễn"] / families.total() < 0.44


def test_addresses_are_nobodys() -> None:
    """Addresses are plain ASCII at the example domains, and nobody shares one."""
    owners = {row["email"]: row["user_id"] for row in rows(COMMITTED)}
    assert all(re.fullmatch(r"[a-z0-9.]+@example\.(com|vn)", email) for email in owners)
    pairs = {(row["email"], generate.unaccented_name(row["full_name"])) for row in rows(COMMITTED)}
    assert len(pairs) == len(owners)


def test_readme_counts(customers: dict[str, list[Event]]) -> None:
    """The figures in the folder's README are those of the files."""
    readme = (COMMITTED / "README.md").read_text(encoding="utf-8")
    assert f"{sum(map(len, customers.values())):,} events" in readme
    assert f"{len(customers):,} customers" in readme
    assert f"{len(rows(COMMITTED)):,} rows" in readme
