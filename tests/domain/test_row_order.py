"""
The order of the decision table: each row beats all rows after it.

For each kind of ask, the rows in the policy's order. A row is made to hit by changing the record by hand: no history
makes, say, an erased user with an erasure pending, and still row 3 comes before row 8.
"""

from __future__ import annotations

from itertools import combinations

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Ask, Market, Process, Retain, Share, Show, decide
from diijam_consent_sdk.record import ConsentRecord, fold
from diijam_consent_sdk.vocabulary import Account, Field

from .history import USER_ID, opened, seconds

NOW = seconds(10)


@attrs.frozen
class Row:
    """
    A row of the table: what makes it hit, and its answer.

    It hits on an account of this state, after these events (whether or not a store would take them there), with these
    fields public: without any of them, on every record.
    """

    name: str
    answer: tuple[str, int]
    account: Account | None = None
    events: tuple[e.Event, ...] = ()
    published: tuple[Field, ...] = ()
    aspect: str = ""  # of two rows with the same aspect, a record can only hit one

    def onto(self, record: ConsentRecord) -> ConsentRecord:
        """A record like *record*, on which this row hits."""
        for event in self.events:
            entry = e.LedgerEntry(record.version + 1, USER_ID, record.version + 1, seconds(5), event)
            record = fold(record, entry)
        published = record.published.union(self.published)
        return attrs.evolve(record, account=self.account or record.account, published=published)

    def can_hit_with(self, other: Row) -> bool:
        """Whether a record can hit both rows."""
        return not self.aspect or self.aspect != other.aspect


@attrs.frozen
class Table:
    """The rows for one ask, in the policy's order, the last of which always hits; then rows that are never reached."""

    ask: Ask
    rows: tuple[Row, ...]
    unreached: tuple[Row, ...] = ()
    account: Account = Account.OPEN

    def check(self, row: Row, *later: Row) -> None:
        """That *row* decides a record that hits all these rows."""
        record = attrs.evolve(opened().record, account=self.account)
        for other in reversed(later):
            record = other.onto(record)
        decision = decide(row.onto(record), self.ask, NOW)
        assert (decision.reason, decision.clause) == row.answer


def account(name: str, state: str, answer: tuple[str, int]) -> Row:
    """A row on the state of the account."""
    return Row(name, answer, account=Account(state), aspect="account")


def objected(purpose: str) -> Row:
    """Row 11."""
    return Row("11", ("objected", 1), events=(e.Objected(purpose),))


def notice(name: str, answer: tuple[str, int], purpose: str, *said: e.Event) -> Row:
    """A row on a separate notice to the recipient of the ask."""
    return Row(name, answer, events=(e.Notified(f"n-{name}", "acme-records", ["email"], purpose), *said))


BEFORE = (account("2", "unknown", ("unknown_user", 3)), account("3", "erased", ("erased", 6)))
ERASING = Row("8", ("erasure_requested", 1), events=(e.RequestFiled("q-1", "erasure"),))
CLOSED = account("9", "closed", ("account_closed", 6))
ALL_RESTRICTED = Row("10 all", ("restricted", 1), events=(e.Restricted(),))
RESTRICTED = Row("10 some", ("restricted", 1), events=(e.Restricted(["email", "avatar"]),))
AFTER = (ERASING, CLOSED, ALL_RESTRICTED, RESTRICTED)
HELD = Row("6", ("held", 6), events=(e.HoldPlaced("h-1", "debt", ["email"]),))
CONSENTED = Row("16", ("consented", 4), events=(e.Granted("surveys", "n-1"),), aspect="consent")
EXPIRED = Row("17 expired", ("expired", 4), events=(e.Granted("surveys", "n-1", expires_at=NOW),), aspect="consent")
WITHDRAWN = Row("17 withdrawn", ("withdrawn", 4), events=(e.Withdrawn("surveys"),), aspect="consent")
MARKETED = Row("16", ("consented", 4), events=(e.Granted("marketing", "n-1", ["email"]),), aspect="consent")
UNMARKETED = Row("17 withdrawn", ("withdrawn", 4), events=(e.Withdrawn("marketing"),), aspect="consent")

TABLES = {
    "Process opt-in": Table(
        Process("surveys", ["email"]),
        (*BEFORE, *AFTER, objected("surveys"), CONSENTED, WITHDRAWN, EXPIRED, Row("17", ("not_consented", 4))),
    ),
    "Process service": Table(
        Process("payment", ["email"]),
        (*BEFORE, *AFTER, objected("payment"), Row("15", ("needed_for_service", 4))),
    ),
    "Process duty": Table(
        Process("debt_settlement", ["email"]),
        (*BEFORE, HELD, Row("7 else", ("no_duty", 6))),
        unreached=(*AFTER, objected("debt_settlement")),
    ),
    "Process rights": Table(
        Process("rights_handling", ["email"]),
        (
            *BEFORE,
            Row("7", ("held", 1), events=(e.RequestFiled("q-2", "access"),)),
            Row("7 erasure", ("held", 1), events=(e.RequestFiled("q-1", "erasure"),)),
            Row("7 else", ("no_duty", 6)),
        ),
        unreached=(CLOSED, ALL_RESTRICTED, RESTRICTED, objected("rights_handling")),
    ),
    "Market": Table(
        Market("email", ["email"]),
        (*BEFORE, *AFTER, objected("marketing"), MARKETED, UNMARKETED, Row("17", ("not_consented", 4))),
    ),
    "Share": Table(
        Share("acme-records", ["email"], "marketing"),
        (
            *BEFORE,
            *AFTER,
            objected("marketing"),
            notice("13", ("agreed", 5), "marketing", e.Agreed("n-13")),
            notice("14 beyond", ("beyond_notice", 5), "surveys", e.Agreed("n-14 beyond")),
            notice("14 withdrawn", ("withdrawn", 5), "marketing", e.AgreementWithdrawn("n-14 withdrawn")),
            notice("14 expired", ("expired", 5), "marketing", e.Agreed("n-14 expired", NOW)),
            notice("14 told", ("not_agreed", 5), "marketing"),
            Row("14 never", ("not_notified", 5)),
        ),
    ),
    "Show": Table(
        Show("avatar"),
        (
            *BEFORE,
            *AFTER,
            Row("12", ("published", 7), published=(Field.AVATAR,)),
            Row("12 not", ("not_published", 7)),
        ),
    ),
    "Show what is never public": Table(
        Show("email"),
        (*BEFORE, Row("4", ("not_publishable", 7))),
        unreached=(*AFTER, Row("12", ("published", 7), published=(Field.EMAIL,))),
    ),
    "Retain": Table(
        Retain("email"),
        (*BEFORE, Row("5", ("in_service", 6))),
        unreached=(HELD, ALL_RESTRICTED, RESTRICTED),
    ),
    "Retain, closed": Table(
        Retain("email"),
        (*BEFORE, HELD, ERASING, Row("9", ("account_closed", 6))),
        unreached=(ALL_RESTRICTED, RESTRICTED),
        account=Account.CLOSED,
    ),
}


@pytest.mark.parametrize(
    ("table", "row", "later"),
    [
        pytest.param(table, row, later, id=f"{kind}: {row.name} before {later.name}")
        for kind, table in TABLES.items()
        for row, later in combinations((*table.rows, *table.unreached), 2)
        if row in table.rows and row.can_hit_with(later)
    ],
)
def test_row_beats_each_row_after_it(table: Table, row: Row, later: Row) -> None:
    """Where two rows hit, the first of them decides."""
    table.check(row, later)


@pytest.mark.parametrize(
    ("table", "index"),
    [
        pytest.param(table, index, id=f"{kind}: {row.name}")
        for kind, table in TABLES.items()
        for index, row in enumerate(table.rows)
    ],
)
def test_row_decides_alone_and_before_all(table: Table, index: int) -> None:
    """A row decides where it alone hits, and where all rows after it hit as well."""
    row, *after = (*table.rows, *table.unreached)[index:]
    table.check(row)
    table.check(row, *(later for later in after if row.can_hit_with(later)))
