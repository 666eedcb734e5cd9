"""
`diijam-consent replay`: write again the noes that a restore lost.

An older copy does not have the last withdrawals, and would say yes to who had said no.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, cast

import attrs
from cyclopts import Parameter

from ...errors import InvalidEvent, KeyReused, StoreUnusable, TooLarge
from ...events import Event, LedgerEntry, Provenance, RequestFiled
from ...identifiers import identifier
from ...record import ConsentRecord, fold_all, unopened
from ...replay import begin_erasure_again, lost_noes
from ...stores import wire
from ...stores.answers import Write, WriteResult
from ...stores.protocol import Store
from ...stores.sql.store import SqlStore
from ...stores.sql.users import count_users, pages_of_users
from ...stores.url import is_http
from ...vocabulary import Account, Method
from ..console import print_json, print_result, print_status, show_progress
from ..options import DEFAULT_ACTOR, Actor, Json
from ..store import Url, check_apart, open_store

NOT_DONE = 1
UNREADABLE = "the other ledger has entries of this customer that cannot be read: see them by hand"
MAX_TOGETHER = 150  # writes in one transaction; an erasure that begins again has some fifty events

EXAMPLES = """\
Examples:
  diijam-consent replay --from sqlite:///damaged.db --dry-run
  diijam-consent replay --from sqlite:///damaged.db
  diijam-consent replay --json \\
      --from "postgresql://consent@old.example/consent?sslmode=verify-full"

Before, see what is lost:
  diijam-consent verify --since "$(cat head.txt)"
"""


@attrs.define
class Replayed:
    """What a replay did. Ids are what the operator asked for, and are printed nowhere else."""

    users: int = 0
    written: int = 0
    against_later_yes: list[tuple[str, str]] = attrs.field(factory=list)  # user and event
    not_done: list[tuple[str, str]] = attrs.field(factory=list)  # user and reason
    holders: list[str] = attrs.field(factory=list)  # that were registered again

    def note(self, *, dry_run: bool) -> str:
        """Describe what was done when the replay had to stop."""
        if dry_run:
            return "nothing was written, as this was a dry run"
        return f"{self.written:,} noes were written: run the same command again to finish"


def replay(
    *,
    source: Annotated[
        str, Parameter(name="--from", help="A ledger that still has what was lost: sqlite:///… or postgresql://…")
    ],
    dry_run: Annotated[bool, Parameter(help="List what would be written, and write nothing.")] = False,
    as_json: Json = False,
    actor: Actor = DEFAULT_ACTOR,
    url: Url = None,
) -> int:
    """
    After a restore: write the noes that the restored ledger lacks, from a ledger that still has them.

    For each customer these are the withdrawals, objections, restrictions, hidden fields, closings and erasure requests
    in force at the end of the other ledger. They are written even where the customer has said yes since, and then
    listed: ask again. A consent that the customer had replaced by one that ends sooner is withdrawn. Of a customer who
    was erased there, the request is filed again, and the erasure done where no hold keeps the data and no holder has to
    confirm it. What the other ledger has is made of its entries, as its records may be false where it is broken; a
    customer whose entries cannot be read there is listed. Holders that are missing are registered first. An erasure
    that ended in the other ledger after holders confirmed it begins again, for they may have new copies: its requests
    are cancelled, and one is filed in their place. No yes is written. Run again, nothing is written twice.

    Exit status: 0 all is written, 1 something could not be, and is listed, 2 the ledgers could not be read or written,
    130 interrupted.

    Returns:
        The exit status.

    Raises:
        StoreError: one of the ledgers failed. A note says what was written.

        ValueError: the other ledger is no database, or is the same.
    """
    if is_http(source):
        raise ValueError("a consent service lists no customers: run replay where the other ledger's database is")
    check_apart(source, url)
    provenance, done = Provenance(identifier(actor), Method.SYSTEM), Replayed()
    with open_store(source, option="--from") as old, open_store(url) as new:
        try:
            _Replay(cast("SqlStore", old), new, None if dry_run else provenance, done).run()
        except (Exception, KeyboardInterrupt) as error:
            error.add_note(done.note(dry_run=dry_run))
            raise
    _print(done, as_json=as_json, dry_run=dry_run)
    return NOT_DONE if done.not_done else 0


@attrs.frozen
class _Lost:
    """What the new ledger lacks, as events that are written together, and the entry of the old one that has it."""

    user_id: str = attrs.field(repr=False)
    events: Sequence[Event] = attrs.field(repr=False)
    entry: LedgerEntry
    is_against_later_yes: bool = False

    def write(self, at: datetime, provenance: Provenance) -> Write:
        """Make the write, of which a repeat writes nothing."""
        content = b" ".join([str(self.entry.hash).encode(), *map(wire.encode_event, self.events)])
        return Write(
            self.user_id, [_not_after(at, event) for event in self.events],
            idempotency_key=f"replay-{hashlib.sha256(content).hexdigest()}",
            provenance=attrs.evolve(provenance, evidence=f"replay-{self.entry.position}"),
        )  # fmt: skip


@attrs.frozen
class _Replay:
    """Writes what *new* lacks of *old*; without a provenance, only counts it."""

    old: SqlStore
    new: Store
    provenance: Provenance | None
    done: Replayed

    def run(self) -> None:
        """
        Register the holders that are lost, so that what is written then waits for them; then compare all users, page by
        page, and write what is lost of those on a page together.
        """
        self._register_holders()
        checked = 0
        with show_progress("comparing", count_users(self.old)) as update:
            for page in pages_of_users(self.old):  # by their entries: a broken ledger may lack their records
                self._compare(page)
                checked += len(page)
                update(checked, checked)

    def _compare(self, page: list[str]) -> None:
        """Write what is lost of these users, in halves where their records are too large together."""
        try:
            loaded = self.new.load(page)
        except TooLarge:
            if len(page) == 1:
                raise
            half = len(page) // 2
            self._compare(page[:half])
            self._compare(page[half:])
            return
        lost: list[_Lost] = []
        for restored in loaded.records:
            if restored.account is not Account.ERASED:
                lost += self._lost(restored)
        for start in range(0, len(lost), MAX_TOGETHER):
            self._replay(lost[start : start + MAX_TOGETHER], loaded.at)

    def _register_holders(self) -> None:
        known = {holder.holder for holder in self.new.holders()}
        self.done.holders = [holder.holder for holder in self.old.holders() if holder.holder not in known]
        if self.provenance is not None:
            for holder in self.done.holders:
                self.new.register_holder(holder, by=self.provenance.by)

    def _lost(self, restored: ConsentRecord) -> list[_Lost]:
        user_id = restored.user_id
        try:
            old = self.old.history(user_id)
            if fold_all(unopened(user_id), old) == restored:
                return []
        except (StoreUnusable, LookupError):  # some are damaged, or missing
            self.done.not_done.append((user_id, UNREADABLE))
            return []
        new = self.new.history(user_id)
        noes = lost_noes(user_id, old, new)
        lost = [_Lost(user_id, [no.event], no.entry, no.is_against_later_yes) for no in noes]
        if again := begin_erasure_again(user_id, old, new):
            lost.append(_Lost(user_id, again, old[-1]))
        self.done.users += bool(lost)
        return lost

    def _replay(self, lost: list[_Lost], at: datetime) -> None:
        results: list[WriteResult | None] = [None] * len(lost)
        if self.provenance is not None:
            results = [*self.new.append_many([each.write(at, self.provenance) for each in lost])]
        for each, result in zip(lost, results, strict=True):
            name = type(each.events[-1]).__name__
            if isinstance(result, InvalidEvent):
                self.done.not_done.append((each.user_id, f"{name}: {result}"))
            elif isinstance(result, KeyReused):  # an earlier run wrote it, with another time of receipt (`_not_after`)
                continue
            elif isinstance(result, Exception):
                raise result
            elif result is None or not result.is_repeat:  # after a repeat what the user has said since then stands
                self.done.written += 1
                if each.is_against_later_yes:
                    self.done.against_later_yes.append((each.user_id, name))


def _not_after(at: datetime, event: Event) -> Event:
    """The clock of the other ledger may have run ahead, and the erasure must not be refused for that."""
    if isinstance(event, RequestFiled) and event.received_at is not None:
        return attrs.evolve(event, received_at=min(event.received_at, at))
    return event


def _print(done: Replayed, *, as_json: bool, dry_run: bool) -> None:
    if not (done.users or done.holders or done.not_done):  # also where the two were exchanged
        print_status("note: nothing was missing: see that --from is the replaced ledger, and --url the restored one")
    if as_json:
        lists = {
            "against_later_yes": [{"user_id": user, "event": event} for user, event in done.against_later_yes],
            "not_done": [{"user_id": user, "reason": reason} for user, reason in done.not_done],
        }
        counts = {"users": done.users, "written": done.written, "holders": done.holders}
        print_json(wire.encode({**counts, "dry_run": dry_run, **lists}))
        return
    print_result(f"{'to write' if dry_run else 'written':<18}{done.written:>9,} noes of {done.users:,} users")
    for holder in done.holders:
        print_result(f"{'to register' if dry_run else 'registered':<20}holder {holder}")
    for user, event in done.against_later_yes:
        print_result(f"against a later yes  {user}  {event}")
    for user, reason in done.not_done:
        print_result(f"not done            {user}  {reason}")
    if done.against_later_yes:
        print_status("note: customers who have said yes since are to be asked again; until then the answer is no")
