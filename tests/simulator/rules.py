"""The mutants by the rule that each switches off."""

from __future__ import annotations

from typing import Any

from diijam_consent_sdk.cache import installs
from diijam_consent_sdk.cache import leases as leases_module
from diijam_consent_sdk.cache.compiled import AnswerPool
from diijam_consent_sdk.cache.entries import UserCache
from diijam_consent_sdk.cache.fast_path import FastPath
from diijam_consent_sdk.cache.history import History
from diijam_consent_sdk.cache.in_flight import Fetches, Poll
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.cache.pending_writes import MinimumPositions
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.client import exchanges, halving, lookups, poller, read_operations, writes
from diijam_consent_sdk.client.exchanges import Exchanges
from diijam_consent_sdk.client.limiter import LimitedCalls
from diijam_consent_sdk.client.lookups import Lookups
from diijam_consent_sdk.client.single_flight import SingleFlight
from diijam_consent_sdk.client.stream import FeedStream
from diijam_consent_sdk.client.write_order import PendingWrite
from diijam_consent_sdk.client.writes import Writes
from diijam_consent_sdk.stores.http.exchange import Exchange
from diijam_consent_sdk.stores.http.parts import Parts
from diijam_consent_sdk.stores.protocol import Changes
from tests.simulator import mutants, stream_mutants
from tests.simulator.ledger import Ledger
from tests.simulator.streams import ServiceStream

Patch = tuple[Any, str, Any]
BY_RULE: dict[str, Patch | tuple[Patch, ...]] = {
    "1 a lease from arrival": (Leases, "finish_fetch", mutants.lease_from_arrival),
    "2 renewed for twice as long": (Leases, "finish_poll", mutants.no_waiting_for_sent),
    "2 renewed by an incomplete poll": (Leases, "finish_poll", mutants.renew_incomplete),
    "2 never renewed": (Leases, "finish_poll", mutants.renew_never),
    "2 any after will do": (Leases, "finish_poll", mutants.any_after),
    "2 renewed in another view": (Leases, "_check_view", mutants.renew_other_views),
    "2 the store's clock after its look": (Ledger, "_look", mutants.clock_after_the_look),
    "3 published before dropped": (Leases, "finish_poll", mutants.publish_before_dropping),
    "3 not noted on fetches": (Leases, "_change", mutants.note_nothing),
    "3 not dropped": (Leases, "_change", mutants.drop_nothing),
    "3 forgotten but not dead": (UserCache, "__delitem__", mutants.remove_only),
    "4 any position will do": (Leases, "_kept_out", mutants.install_anything),
    "4 installed after its lease": (Leases, "finish_fetch", mutants.install_late),
    "4 any record will do": (Leases, "finish_fetch", mutants.any_name),
    "4 no second fetch": ((lookups, "ROUNDS", 1), (read_operations, "ROUNDS", 1)),
    "4 users of another view stay": (Leases, "_begin_view", mutants.keep_other_views),
    "5 the first failure ends the feed": (poller, "poll_feed", mutants.one_poll_only),
    "6 any history will do": (
        (History, "continues_at", mutants.agree_always),
        (Changes, "is_continuation", mutants.continue_always),
    ),
    "6 backwards will do": (
        (installs, "is_behind", mutants.never_behind),
        (leases_module, "is_behind", mutants.never_behind),
    ),
    "6 what lags is another history": (Leases, "finish_fetch", mutants.believe_at_once),
    "6 floors go at once": (MinimumPositions, "carry_over", mutants.keep_no_floor),
    "6 floors are gone with their epoch": (MinimumPositions, "change_epoch", mutants.forget_epochs),
    "6 floors are gone once passed": (MinimumPositions, "pass_by", mutants.forget_passed_floors),
    "6 entries outlive their history": (Leases, "_restart", mutants.keep_on_restart),
    "7 the clock first": (UserConsent, "answers", mutants.clock_first),
    "7 the entry first": (UserConsent, "answers", mutants.entry_first),
    "7 nothing ends by itself": (UserConsent, "answers", mutants.never_turn),
    "7 what is found by its bytes never ends": (AnswerPool, "compile", mutants.forget_ends),
    "7 no lease ends": (UserConsent, "answers", mutants.never_end),
    "7 the dead live on": (UserConsent, "invalidate", mutants.never_die),
    "7 in one step, the clock first": (Leases, "answers", mutants.clock_first_in_one_step),
    "7 in one step, the user first": (Leases, "answers", mutants.user_first_in_one_step),
    "7 in one step, nothing ends by itself": (FastPath, "renew", mutants.never_turn_in_one_step),
    "7 in one step, nobody is removed": (FastPath, "remove", mutants.remove_nobody),
    "7 in one step, covered beyond their history": (FastPath, "clear", mutants.clear_nothing),
    "7 in one step, covered before a proof": (Leases, "_fill_fast_path", mutants.cover_anybody),
    "7 in one step, covered although dropped": (Leases, "_fill_fast_path", mutants.cover_whoever_is_asked),
    "8 allowed while writing": (Leases, "begin_write", mutants.no_denial_while_writing),
    "8 installed while writing": (Leases, "_kept_out", mutants.install_during_writes),
    "8 a new view ends what is unknown": (Leases, "_begin_view", mutants.forget_writes_of_other_views),
    "8 no floor": (Leases, "finish_write", mutants.no_floor),
    "8 a load from before an own write is installed": (Fetches, "overtake", mutants.overtake_nothing),
    "8 an own write in an unknown epoch is left out": (Leases, "finish_write", mutants.leave_out_other_histories),
    "8 no floor under a guard": (Leases, "finish_write", mutants.no_floor),
    "8 an unknown outcome is a refusal": (Writes, "_repeat", mutants.unknown_is_refused),
    "8 a refusal for the token is definite": (writes, "end_after", mutants.refusal_is_definite),
    "8 what the token may not repeat denies for good": (writes, "end_after", mutants.never_given_up),
    "8 a refused token is tried again at once": (Writes, "_pause_after", mutants.pause_as_ever),
    "8 nobody goes on with what a loop's end left": (Writes, "resume", mutants.resume_nothing),
    "8 the end of a loop is a refusal": (Writes, "_on_end", mutants.lost_is_refused),
    "8 a yes of unknown outcome is repeated after a no": (PendingWrite, "note_later", mutants.note_no_later),
    "8 any token will do": (Leases, "confirm", mutants.prove_anything),
    "9 a child keeps what it inherited": (Leases, "abandon", mutants.keep_what_was_inherited),
    "9 closing denies nothing": (Leases, "close", mutants.close_nothing),
    "10 a clock that runs ahead": ((installs, "CLOCK_RATE", 1.2),),
    "11 no deadline": (LimitedCalls, "until", mutants.wait_forever),
    "11 whoever asks waits for parts": (Lookups, "_wait_for", mutants.wait_for_parts),
    "11 a part has its deadline from a look on": (Lookups, "_wait_for", mutants.wait_from_the_look),
    "11 a store that is away is asked in parts": (halving, "_is_reachable", mutants.reachable_always),
    "11 no cap on loads": (SingleFlight, "_ready", mutants.no_cap),
    "parts: of any stream": (Exchange, "read_answer", stream_mutants.any_nonce),
    "parts: after any place": (
        (Parts, "_read", stream_mutants.any_after),
        (Leases, "finish_poll", stream_mutants.any_place),
    ),
    "parts: from their arrival": (Leases, "finish_poll", stream_mutants.from_arrival),
    "parts: wherever the feed is": (Leases, "finish_poll", stream_mutants.wherever_the_feed_is),
    "parts: never cut": (Exchanges, "apply", stream_mutants.never_cut),
    "parts: in another view": (Leases, "_check_view", mutants.renew_other_views),
    "parts: in any generation": (Leases, "finish_poll", stream_mutants.any_generation),
    "parts: the first without a deadline": (Parts, "seconds", stream_mutants.no_deadline),
    "parts: silent for ever": (Parts, "seconds", stream_mutants.no_silence),
    "parts: no single polls": (poller, "poll_feed", stream_mutants.streams_only),
    "parts: tried again at once": (FeedStream, "_plan_next", stream_mutants.no_pause),
    "parts: pauses that do not grow": (FeedStream, "_plan_next", stream_mutants.short_pause),
    "parts: heads seen since do not count": (Poll, "move_on", stream_mutants.nothing_seen_since),
    "parts: heads without a limit": (exchanges, "MAX_CONFIRMATIONS", 1000),
    "parts: a clock read after the look": (ServiceStream, "waited", stream_mutants.clock_after_the_look),
    "I7 fetches that are never forgotten": (Leases, "begin_fetch", mutants.no_sharing),
    "I8 no poller": (poller, "poll_feed", mutants.follow_nothing),
}


def patches(rule: str) -> tuple[Patch, ...]:
    """What switches a rule off."""
    patch = BY_RULE[rule]
    return patch if isinstance(patch[0], tuple) else (patch,)  # type: ignore[return-value]
