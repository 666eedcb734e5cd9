"""Whatever the network does, a withdrawal ends every yes within the bound, and a guard is a quick answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.stores import HttpStore
from tests.client.conftest import SIGNED_UP, eventually
from tests.faults import proxy as faults
from tests.faults.conftest import Service
from tests.faults.proxy import Fault, Proxy, Replay, only
from tests.faults.stream_faults import ALTERED
from tests.faults.watching import DEADLINE, B, check, client_of, comes_back, watching

OF_ANSWERS: dict[str, Callable[[], Fault]] = {
    "other user": lambda: faults.other_user,
    "stripped": lambda: faults.stripped,
    "replay": Replay,
    "frozen feed": lambda: only("/v1/changes", faults.black_hole),
    "replayed feed": lambda: only("/v1/changes", Replay()),
    "feed of another place": lambda: only("/v1/changes", faults.other_after),
    "cached feed": lambda: only("/v1/changes", faults.cached),
    "replayed loads": lambda: only("/v1/records/load", Replay()),
}
OF_EVERYTHING: dict[str, Callable[[], Fault]] = {
    "black hole": lambda: faults.black_hole,
    "black hole after": lambda: faults.black_hole_after,
    "reset": lambda: faults.reset,
    "reset after": lambda: faults.reset_after,
    "drip": lambda: faults.drip,
    "truncation": lambda: faults.truncation,
    "500": lambda: faults.error_500,
    "503": lambda: faults.error_503,
    "html": lambda: faults.html,
    "html as json": lambda: faults.html_as_json,
    "huge": lambda: faults.huge,
    "gzip bomb": lambda: faults.gzip_bomb,
    "redirect": lambda: faults.redirect,
    "cached": lambda: faults.cached,
}
FAULTS = OF_ANSWERS | OF_EVERYTHING


@pytest.fixture
def direct(service: Service) -> Iterator[HttpStore]:
    """The store without the proxy, patient."""
    store = HttpStore(service.url, token=service.token, deadline=10)
    yield store
    store.close()


@pytest.fixture
def behind(service: Service, proxy: Proxy) -> Iterator[HttpStore]:
    """The store behind the proxy."""
    store = HttpStore(proxy.url, token=service.token, deadline=DEADLINE)
    yield store
    store.close()


@pytest.mark.parametrize("name", FAULTS)
def test_a_withdrawal_ends_every_yes_within_the_bound(
    name: str, service: Service, proxy: Proxy, direct: HttpStore, user_id: str
) -> None:
    """
    From B after the store acknowledged a no, no guard behind the fault says yes; none takes longer than its deadline
    and 0.3 s, none raises; and once the fault ended, the right answers are back.
    """
    direct.append(user_id, SIGNED_UP)
    with client_of(proxy.url, service.token) as consent, watching(consent, user_id) as watch:
        proxy.fault = FAULTS[name]()
        consent.can_market(f"{user_id}-other", "email")  # lets a replaying fault see an exchange of each kind
        time.sleep(B / 4)
        direct.append(user_id, [e.Withdrawn("marketing")])
        acknowledged = time.monotonic()
        time.sleep(1.5 * B)
        proxy.fault = faults.healthy
        comes_back(watch, Reason.WITHDRAWN)
    check(watch, acknowledged)


@pytest.mark.parametrize("name", ALTERED)
def test_a_withdrawal_ends_every_yes_whatever_happens_to_the_parts_of_a_stream(
    name: str, service: Service, proxy: Proxy, direct: HttpStore, user_id: str
) -> None:
    """The same where streams begin well, and each part after the first is silent, lost, late, doubled or another's."""
    direct.append(user_id, SIGNED_UP)
    proxy.fault = faults.of_stream(ALTERED[name]())
    with client_of(proxy.url, service.token) as consent, watching(consent, user_id) as watch:
        assert eventually(lambda: consent.status().is_streaming)
        time.sleep(B / 4)
        direct.append(user_id, [e.Withdrawn("marketing")])
        acknowledged = time.monotonic()
        comes_back(watch, Reason.WITHDRAWN)
        time.sleep(B)
    check(watch, acknowledged)


@pytest.mark.parametrize("name", OF_EVERYTHING)
def test_a_write_behind_a_fault_is_never_wrongly_done_or_undone(
    name: str, proxy: Proxy, direct: HttpStore, behind: HttpStore, user_id: str
) -> None:
    """`StoreUnavailable` means that nothing was written; `OutcomeUnknown` ends well by the same key: written once."""
    proxy.fault = FAULTS[name]()
    with pytest.raises((StoreUnavailable, OutcomeUnknown)) as failed:
        behind.append(user_id, SIGNED_UP, idempotency_key="k")
    if failed.type is StoreUnavailable:
        assert direct.history(user_id) == []
    proxy.fault = faults.healthy
    appended = direct.append(user_id, SIGNED_UP, idempotency_key="k")
    assert appended.version == len(direct.history(user_id)) == 2


@pytest.mark.parametrize("name", ["html", "gzip bomb", "cached", "redirect", "500", "truncation"])
def test_an_append_without_a_key_is_sent_once(name: str, proxy: Proxy, behind: HttpStore, user_id: str) -> None:
    """What may have been written and has no key is not repeated."""
    proxy.fault = FAULTS[name]()
    with pytest.raises(OutcomeUnknown):
        behind.append(user_id, SIGNED_UP)
    assert proxy.requests == ["/v1/events/append"]


def test_a_load_is_tried_again_within_its_deadline(proxy: Proxy, direct: HttpStore, user_id: str) -> None:
    """A single hiccup costs a moment, not an answer."""
    hiccups = [faults.error_500, faults.reset, faults.healthy]
    proxy.fault = lambda exchange: hiccups.pop(0)(exchange)  # noqa: PLW0108 - each exchange has its own
    store = HttpStore(proxy.url, token=direct._transport._credentials._token, deadline=5)
    assert store.load([user_id]).records[0].version == 0
    assert len(proxy.requests) == 3
    store.close()
