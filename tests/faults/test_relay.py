"""A relay: a service whose store is another service. It adds a hop, and takes nothing from the promise."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import httpx
import pytest

from diijam_consent_sdk import ConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, OutcomeUnknown, StoreUnavailable, VersionConflict
from diijam_consent_sdk.stores import HttpStore
from tests.client.conftest import SIGNED_UP, eventually
from tests.faults import proxy as faults
from tests.faults.conftest import Service
from tests.faults.proxy import Proxy, only
from tests.faults.watching import B, check, client_of, comes_back, patient, signed_up, watching

WITHDRAWN = (e.Withdrawn("marketing"),)

# Far below the bound of 60 s. A relay whose far service was silent in an earlier test asks it again after six seconds.
SOON = 10


@pytest.fixture(scope="module")
def between(service: Service) -> Iterator[Proxy]:
    """The way from the relay to the far service, for all tests."""
    proxy = Proxy(service.port)
    yield proxy
    proxy.close()


@pytest.fixture
def upstream(between: Proxy) -> Iterator[Proxy]:
    """That way, for one test: the next one finds it healthy."""
    yield between
    between.fault = faults.healthy


@pytest.fixture(scope="module")
def relay(service: Service, between: Proxy) -> Iterator[Service]:
    """A relay of the far service, with the same tokens; over the proxy, as `serve --url http://…` makes it."""
    relay = Service(service.folder, service.token)
    relay.start(between.url)
    yield relay
    relay.end(signal.SIGKILL)


def test_a_relay_is_a_store(relay: Service, own_service: Service, user_id: str) -> None:
    """What is written through it is in the far ledger, what it answers is the far one's, refusals included."""
    near, far = patient(relay), patient(own_service)
    appended = near.append(user_id, SIGNED_UP, expected_version=0, idempotency_key="k")
    again = near.append(user_id, SIGNED_UP, expected_version=0, idempotency_key="k")
    assert again == attrs.evolve(appended, is_repeat=True)
    assert near.load([user_id]).records == far.load([user_id]).records == (appended.record,)
    assert near.history(user_id) == far.history(user_id)
    after = near.load([]).cursor
    assert after == far.load([]).cursor == appended.cursor
    far.append(user_id, WITHDRAWN)
    changes = near.changes(after, wait=10)
    assert changes.complete
    assert list(changes.user_ids) == [user_id]
    with pytest.raises(VersionConflict):
        near.append(user_id, WITHDRAWN, expected_version=1)
    with pytest.raises(InvalidEvent):
        near.append(user_id, [e.Granted("payment", notice="n")])
    near.close()
    far.close()


def test_a_no_at_the_far_service_is_soon_at_a_client_of_the_relay(
    relay: Service, own_service: Service, user_id: str
) -> None:
    """With the feed up it takes two hops, not the bound; and a write through the relay is as soon at its clients."""
    with (
        signed_up(patient(own_service), user_id) as far,
        ConsentClient.from_url(relay.url, token=relay.token, max_staleness=60, deadline=10) as consent,
        ConsentClient.from_url(relay.url, token=relay.token, max_staleness=60, deadline=10) as other,
    ):
        assert consent.can_market(user_id, "email")
        assert other.can_market(user_id, "email")
        far.append(user_id, WITHDRAWN)
        assert eventually(lambda: not consent.can_market(user_id, "email"), within=SOON)
        other.record(user_id, SIGNED_UP[1])
        assert eventually(lambda: bool(consent.can_market(user_id, "email")), within=SOON)


def killed(far: Service, upstream: Proxy) -> Callable[[], None]:
    """The far service is killed; it ends by being started again."""
    far.end(signal.SIGKILL)
    return far.start


def frozen(far: Service, upstream: Proxy) -> Callable[[], None]:
    """The far service is stopped in mid-air."""
    far.signal(signal.SIGSTOP)
    return lambda: far.signal(signal.SIGCONT)


def black_hole(far: Service, upstream: Proxy) -> Callable[[], None]:
    """Nothing from the far service arrives."""
    return _with(upstream, faults.black_hole)


def frozen_feed(far: Service, upstream: Proxy) -> Callable[[], None]:
    """Loads arrive, the feed does not."""
    return _with(upstream, only("/v1/changes", faults.black_hole))


def replayed_feed(far: Service, upstream: Proxy) -> Callable[[], None]:
    """The feed's answer is replayed again and again."""
    return _with(upstream, only("/v1/changes", faults.Replay()))


def replay(far: Service, upstream: Proxy) -> Callable[[], None]:
    """Everything says the same again and again."""
    return _with(upstream, faults.Replay())


def _with(upstream: Proxy, fault: faults.Fault) -> Callable[[], None]:
    upstream.fault = fault

    def heal() -> None:
        upstream.fault = faults.healthy

    return heal


@pytest.mark.parametrize("begin", [killed, frozen, black_hole, frozen_feed, replayed_feed, replay])
def test_the_bound_holds_over_a_relay(
    begin: Callable[[Service, Proxy], Callable[[], None]],
    relay: Service,
    own_service: Service,
    upstream: Proxy,
    user_id: str,
) -> None:
    """Whatever is between the relay and the far service: no yes past the bound, quick answers, and soon right ones."""
    with (
        signed_up(patient(own_service), user_id) as far,
        client_of(relay.url, relay.token) as consent,
        watching(consent, user_id) as watch,
    ):
        if begin in (killed, frozen):
            far.append(user_id, WITHDRAWN)
            acknowledged = time.monotonic()
            end = begin(own_service, upstream)
        else:
            end = begin(own_service, upstream)
            time.sleep(B / 4)
            far.append(user_id, WITHDRAWN)
            acknowledged = time.monotonic()
        time.sleep(1.5 * B)
        end()
        comes_back(watch, Reason.WITHDRAWN)
    check(watch, acknowledged)


@pytest.mark.parametrize("fault", [faults.black_hole, faults.black_hole_after, faults.reset_after, faults.error_503])
def test_a_write_over_a_relay_is_never_wrongly_done_or_undone(
    fault: faults.Fault, relay: Service, own_service: Service, upstream: Proxy, user_id: str
) -> None:
    """The relay hands on that an outcome is unknown; the same key ends it well, through the relay or past it."""
    near, far = patient(relay), patient(own_service)
    upstream.fault = fault
    short = HttpStore(relay.url, token=relay.token, deadline=3)
    with pytest.raises((StoreUnavailable, OutcomeUnknown)) as failed:
        short.append(user_id, SIGNED_UP, idempotency_key="k")
    if failed.type is StoreUnavailable:
        assert far.history(user_id) == []
    upstream.fault = faults.healthy
    assert near.append(user_id, SIGNED_UP, idempotency_key="k").version == len(far.history(user_id)) == 2
    for store in (near, far, short):
        store.close()


def test_a_relay_of_a_restored_ledger(relay: Service, own_service: Service, user_id: str) -> None:
    """Another history at the far service is another history for the relay's clients."""
    with signed_up(patient(own_service), user_id), client_of(relay.url, relay.token) as consent:
        with watching(consent, user_id) as watch:
            own_service.end(signal.SIGKILL)
            for path in Path(own_service.folder).glob("c.db*"):
                path.unlink()
            restored = time.monotonic()
            own_service.start()
            comes_back(watch, Reason.UNKNOWN_USER)
            time.sleep(max(0.0, restored + 1.2 * B - time.monotonic()))
        check(watch, restored)


def test_a_relay_says_whether_it_can_do_its_work(relay: Service, upstream: Proxy) -> None:
    """`/healthz` is about the far ledger too."""
    with httpx.Client(timeout=20) as http:
        assert http.get(f"{relay.url}/healthz").status_code == 200
        upstream.fault = faults.black_hole
        assert http.get(f"{relay.url}/healthz").status_code == 503
        upstream.fault = faults.healthy
        assert eventually(lambda: http.get(f"{relay.url}/healthz").status_code == 200)
