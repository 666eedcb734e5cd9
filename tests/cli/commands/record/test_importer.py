"""Batches that are written together end as if each came alone."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.cli.commands.record import importer
from diijam_consent_sdk.cli.commands.record.batches import Batch, Keyed
from diijam_consent_sdk.cli.commands.record.file_index import FileIndex
from diijam_consent_sdk.cli.commands.record.import_checkpoint import Progress
from diijam_consent_sdk.cli.commands.record.import_summary import Summary
from diijam_consent_sdk.cli.commands.record.importer import Importer, taken_together
from diijam_consent_sdk.errors import TooLarge
from diijam_consent_sdk.notices import NoticeText
from diijam_consent_sdk.stores import Loaded, MemoryStore, Write
from diijam_consent_sdk.stores.protocol import WriteResult
from tests import strategies

NOW = strategies.START + timedelta(minutes=1)
USERS = ("a", "b", "c")
Said = tuple[str, list[e.Event], e.Provenance]


def imported(days: int) -> e.Provenance:
    """What was said so many days into 2024."""
    return e.Provenance(method="import", said_at=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=days))


def granted(notice: str) -> e.Granted:
    """A yes to mail."""
    return e.Granted("marketing", notice, ["email"])


def keyed(*said: Said) -> list[Keyed]:
    """The batches of a file in which each event has a line."""
    batches, line = list[Keyed](), 0
    for number, (user_id, events, provenance) in enumerate(said):
        lines = [line + place for place in range(1, len(events) + 1)]
        batches.append(Keyed(Batch(user_id, provenance, lines, events), f"key-{number}", ""))
        line = lines[-1]
    return batches


class CountingStore(MemoryStore):
    """
    A store in memory at one instant, which takes so many writes at once.

    Attributes:
        calls: How many writes each call of `append_many` had.

        loads: How many users each call of `load` named.
    """

    def __init__(self, most: int = 1_000) -> None:
        super().__init__(clock=lambda: NOW)
        self.calls: list[int] = []
        self.loads: list[int] = []
        self._most = most

    def append_many(self, writes: Sequence[Write]) -> list[WriteResult]:
        """See `Store.append_many`."""
        if len(writes) > self._most:
            raise TooLarge("write fewer at once")
        self.calls.append(len(writes))
        return super().append_many(writes)

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        asked = list(user_ids)
        self.loads.append(len(asked))
        if len(asked) > self._most:
            raise TooLarge("ask for fewer")
        return super().load(asked)


@attrs.frozen
class Outcome:
    """What an import leaves: each user's entries, the counts, the lines that are outdated, and what was printed."""

    entries: dict[str, list[tuple[e.Event, e.Provenance]]]
    done: Progress
    outdated: list[int]
    printed: list[str]


def run(store: CountingStore, batches: list[Keyed]) -> Outcome:
    """Import batches."""
    summary = Summary(0, Progress())
    shown = io.StringIO()
    with redirect_stderr(shown), FileIndex() as index:
        work = Importer(store, store.load([]).cursor, summary, index)
        for together in taken_together(batches):
            work.append(together)
    entries = {user: [(entry.event, entry.provenance) for entry in store.history(user)] for user in USERS}
    printed = sorted(shown.getvalue().splitlines())
    return Outcome(entries, attrs.evolve(summary.done, cursor=""), summary.outdated_lines, printed)


def taken(*batches: tuple[str, int, bool]) -> list[str]:
    """The users whose batches, of so many events, imported or not, are written in one transaction."""
    said = (
        Batch(user_id, imported(0) if is_import else e.NO_PROVENANCE, [1], [e.Restricted()] * count)
        for user_id, count, is_import in batches
    )
    return ["".join(each.batch.user_id for each in group) for group in taken_together(Keyed(b, "k", "d") for b in said)]


def test_batches_are_written_together() -> None:
    """A transaction has at most 500 batches and 1,000 events, and of a user nothing after what was said here."""
    assert taken() == []
    assert taken(("a", 1, False), ("b", 1, False), ("a", 1, False), ("c", 1, False)) == ["ab", "ac"]
    assert taken(("a", 1, True), ("b", 1, True), ("a", 1, True), ("a", 1, False), ("a", 1, True)) == ["abaa", "a"]
    assert taken(("a", 600, True), ("b", 400, False), ("a", 1, True), ("d", 1_000, False)) == ["ab", "a", "d"]
    groups = taken(*((f"{number % 10}", 1, True) for number in range(1_050)))
    assert [len(group) for group in groups] == [500, 500, 50]


def test_several_words_of_each_customer_take_one_transaction() -> None:
    """An import of customers who opened an account, said yes and said no later asks the store once for all of them."""
    words: list[e.Event] = [e.AccountOpened(), granted("n"), e.Withdrawn("marketing", ["email"])]
    said = [(user_id, [event], imported(day)) for user_id in USERS for day, event in enumerate(words)]
    store = CountingStore()
    assert run(store, keyed(*said)).done.new == 9
    assert store.calls == [9]


def test_repeats_and_refusals_are_explained_together() -> None:
    """What was there already, and what is refused, is looked up for all of its users by one read."""
    store = CountingStore()
    opened: list[Said] = [(user_id, [e.AccountOpened()], e.NO_PROVENANCE) for user_id in USERS]
    assert run(store, keyed(*opened)).done.new == 3
    store.append("b", [e.Restricted()])
    store.loads.clear()
    found = run(store, keyed(*opened))
    assert (found.done.known, found.outdated, store.loads) == (3, [2], [0, 3])
    store.loads.clear()
    again = [Keyed(each.batch, f"new-{each.key}", "") for each in keyed(*opened)]
    assert (run(store, again).done.refused, store.loads) == (3, [0, 3])


def test_the_note_of_an_import_that_stopped() -> None:
    """A line that was left as it is, is no refused one."""
    note = Summary(10, Progress(new=1, known=2, kept=3, refused=1)).note()
    assert "1 were written, 2 were already there, 3 were left as they are, 1 were refused; 3 are still to do" in note


def test_what_follows_a_refused_word_waits_for_it() -> None:
    """An older yes that is written after a second try comes before the newer yes, which would keep it out."""
    store = CountingStore()
    store.append("a", [e.AccountOpened()])
    said = keyed(("a", [e.AccountOpened(), granted("old")], imported(1)), ("a", [granted("new")], imported(2)))
    found = run(store, said)
    assert [event for event, _ in found.entries["a"]] == [e.AccountOpened(), granted("old"), granted("new")]
    assert (found.done.new, found.done.kept) == (2, 1)
    assert found.printed == ["line 1: AccountOpened is left out: the account is open already"]


def test_a_writer_in_between_changes_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process writes after the versions were read makes the second word of a user wait, and no more."""
    store = CountingStore()
    append_many = CountingStore.append_many

    def write_before(inner: CountingStore, writes: Sequence[Write]) -> list[WriteResult]:
        if not inner.calls:
            inner.append("a", [e.Restricted()])
        return append_many(inner, writes)

    monkeypatch.setattr(CountingStore, "append_many", write_before)
    said = keyed(("a", [e.AccountOpened()], imported(1)), ("a", [granted("n")], imported(2)))
    found = run(store, said)
    assert [event for event, _ in found.entries["a"]] == [e.Restricted(), e.AccountOpened(), granted("n")]
    assert (found.done.new, store.calls) == (2, [2, 1])


def test_what_is_refused_is_named_in_the_order_of_the_file() -> None:
    """A line that was tried twice is named before a later one that was tried once."""
    store = CountingStore()
    store.append("a", [e.AccountOpened()])
    first: Said = ("a", [e.AccountOpened(), e.Hidden("avatar")], imported(1))
    shown = io.StringIO()
    with redirect_stderr(shown), FileIndex() as index:
        work = Importer(store, store.load([]).cursor, Summary(3, Progress()), index)
        work.append(keyed(first, ("b", [e.Published("avatar")], e.NO_PROVENANCE)))
    assert [line.partition(":")[0] for line in shown.getvalue().splitlines()] == ["line 1", "line 3"]


def test_a_word_beside_a_refused_one_is_written_once() -> None:
    """Imported again once its neighbour is accepted, it overrules nothing that the customer has said here since."""
    store = CountingStore()
    store.append("a", [e.AccountOpened(), e.Published("avatar")])
    store.require_notices()
    said = keyed(("a", [e.Hidden("avatar"), granted("n")], imported(1)))
    assert run(store, said).done.refused == 1
    store.append("a", [e.Published("avatar")])
    store.register_notice(NoticeText("n", texts={"en": "May we write?"}, purposes={"marketing"}))
    again = run(store, said)
    assert (again.done.new, again.done.known) == (1, 1)
    assert "avatar" in store.load(["a"]).records[0].published


def test_the_refused_event_is_found_among_holders() -> None:
    """What is named is the event that was refused, and why, where others of its batch rest on registered holders."""
    store = CountingStore()
    store.register_holder("mailer")
    store.append("a", [e.AccountOpened(), e.RequestFiled("r", "erasure")])
    held = e.HoldPlaced("h", "debt", ["email"])
    batch: Said = ("a", [e.ErasureConfirmed("mailer"), held, e.Erased()], e.NO_PROVENANCE)
    assert run(store, keyed(batch)).printed == [
        "line 3: Erased is refused: live holds keep the data, release them first: h"
    ]


def batches() -> st.SearchStrategy[list[Said]]:
    """What a few users said, imported for the most part."""
    said_at = st.integers(0, 3).map(imported)
    events = st.lists(strategies.saying_yes() | strategies.saying_no() | strategies.events(), min_size=1, max_size=3)
    opening = events.map(lambda following: [e.AccountOpened(), *following])
    return st.lists(
        st.tuples(st.sampled_from(USERS), opening | events, said_at | said_at | strategies.provenances()), max_size=8
    )


AGREED_BEFORE_IT_WAS_TOLD: list[Said] = [  # refused the first time, and accepted the second
    ("c", [e.AccountOpened(), e.Agreed("n-1")], imported(0)),
    ("c", [e.Notified("n-1", "acme-records", ["email"], "marketing")], e.NO_PROVENANCE),
]


@settings(max_examples=25)
@example([], AGREED_BEFORE_IT_WAS_TOLD, 1_000)
@given(batches(), batches(), st.sampled_from([1, 2, 1_000]))
def test_together_is_as_if_each_came_alone(before: list[Said], said: list[Said], most: int) -> None:
    """Whatever was there, each user's entries, the counts and the reasons are those of one batch at a time."""
    alone, together = CountingStore(), CountingStore(most)
    for user_id, events, provenance in before:
        for store in (alone, together):
            store.append_many([Write(user_id, events, provenance=provenance)])
    for _ in ("the first time", "the same file again"):
        with patch.object(importer, "MAX_TOGETHER", 1):
            expected = run(alone, keyed(*said))
        assert run(together, keyed(*said)) == expected
