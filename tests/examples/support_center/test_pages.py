"""The work list, customers and erasures: what is shown, to whom, and what never leaves the pages."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from litestar.testing import TestClient

from diijam_consent_sdk import AsyncConsentClient, Field, HoldKind, RequestKind
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.events import AccountOpened, ErasureConfirmed, HoldPlaced, RequestFiled
from examples.support_center import references
from examples.support_center.app import create_app
from tests.examples.visitor import FailingStore

from .conftest import HA, LAN, NAM, Clock, Desk

TITLE = re.compile(r"<title>(.*?)</title>")


def labels(html: str) -> list[str]:
    """The customers of the rows, in order."""
    return re.findall(r'name="customer" value="([^"]+)"', html)


def test_the_most_urgent_first(ha: Desk, store: FailingStore) -> None:
    """The work list has the overdue ones first, then by what is due first, and each state can be picked."""
    now = datetime.now(UTC)
    for user_id, days in (("u-late", 3), ("u-soon", 1.8), ("u-later", 5.5)):
        received_at = now - timedelta(days=days)
        store.append(user_id, [RequestFiled("q", RequestKind.COMPLAINT, received_at=received_at)])
    ha.open("/requests")
    assert labels(ha.html) == ["u-later", "u-late", "u-soon", LAN]
    assert "3 days late" in ha.html
    for state, listed in (("overdue", ["u-later", "u-late"]), ("due_soon", ["u-soon"]), ("on_track", [LAN])):
        ha.open(f"/requests?state={state}")
        assert labels(ha.html) == listed
        assert 'aria-current="true"' in ha.html
    ha.open("/requests?state=nowhere&page=x")
    assert len(labels(ha.html)) == 4


def test_pages_of_the_list(ha: Desk, store: FailingStore) -> None:
    """A long list comes in pages; a page past the end is the last."""
    for number in range(60):
        store.append(f"u-{number}", [RequestFiled("q", RequestKind.ACCESS)])
    ha.open("/requests")
    assert (len(labels(ha.html)), "Page 1 of 2" in ha.html) == (50, True)
    for page in ("2", "999999", "2&state="):
        ha.open(f"/requests?page={page}")
        assert len(labels(ha.html)) == 11, page
    for page in ("0", "-1", "1" * 5000, "\u0661"):
        ha.open(f"/requests?page={page}")
        assert len(labels(ha.html)) == 50, page


def test_pages_of_the_erasures(ha: Desk, store: FailingStore, clock: Clock) -> None:
    """Those that wait come first; a page has what is left of either kind, and says how many there are in all."""
    for number in range(30):
        store.append(f"u-{number}", [RequestFiled("q", RequestKind.ERASURE)])
    ha.open("/erasures")
    assert ("Nothing is waiting" in ha.html, "Can be erased now (30)" in ha.html) == (True, True)
    clock.now += timedelta(seconds=1)  # whoever joins later owes nothing of what began before
    store.register_holder("mailer")
    for number in range(30, 60):
        store.append(f"u-{number}", [RequestFiled("q", RequestKind.ERASURE)])
    for page, held, ready in (("1", 30, 20), ("2", 0, 10), ("3", 0, 10)):
        ha.open(f"/erasures?page={page}")
        parts = ha.html.split('id="ready"')
        assert [len(labels(part)) for part in parts] == [held, ready]
        assert "Nothing is waiting" not in ha.html
        assert ("Waiting (30)" in ha.html) == bool(held)


def test_no_id_in_an_address(ha: Desk, store: FailingStore, caplog: pytest.LogCaptureFixture) -> None:
    """A customer's id is on the page alone: in no address, cookie, title or log, whatever is opened."""
    caplog.set_level(logging.DEBUG)
    ha.open_customer(LAN)
    assert LAN in ha.html
    addresses = re.findall(r'(?:href|action)="([^"]*)"', ha.html)
    assert len(addresses) > 8
    titles = [*TITLE.findall(ha.html), *TITLE.findall(ha.http.get(f"{ha.path}/file").text)]
    assert len(titles) == 2
    for shown in (ha.path, *titles, *addresses, *ha.http.cookies.values(), caplog.text):
        assert LAN not in shown
    answer = ha.http.get(f"{ha.path}/file?as=json")
    assert LAN not in answer.headers["content-disposition"]


def test_references_end(ha: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference that is somebody else's, made up or past its time opens nothing, and its page says what to do."""
    ha.open_customer(LAN)
    address, page = ha.path, ha.html
    assert re.fullmatch(f"/customers/{references.PATTERN}", address)
    for path in (f"/customers/{'x' * 22}", "/customers/u-lan", f"/customers/{'x' * 22}/file"):
        ha.open(path)
        assert (ha.status, LAN in ha.html) == (410, False)
    ha.open("/")
    ha.press("who-1")
    ha.open(address)
    assert (ha.status, LAN in ha.html) == (410, False)
    ha.html = page
    ha.do("resolve", outcome="refused", reason="identity-not-shown")
    assert ha.status == 410
    assert "could not be verified" in ha.html  # what was filled in is still there to see
    assert "again" not in ha.page().buttons


def test_references_live_as_long_as_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference ends half an hour after it was last used."""
    monkeypatch.setattr(references, "LIVES_SECONDS", 0.0)
    ended = references.References()
    assert ended.find("staff-1", ended.open("staff-1", LAN)) is None
    monkeypatch.setattr(references, "LIVES_SECONDS", 1800.0)
    kept = references.References()
    reference = kept.open("staff-1", LAN)
    assert (kept.find("staff-1", reference), kept.find("staff-2", reference)) == (LAN, None)


def test_find_a_customer(ha: Desk) -> None:
    """An id that can be none is said so, and stays in the field; one that was never seen is shown as such."""
    for typed in ("", "a\u200bb", "x" * 300):
        ha.open_customer(typed)
        assert ha.status == 422
        assert "cannot be a customer" in ha.note()
    ha.open_customer(f"  {LAN} ")
    assert f'<span class="id">{LAN}</span>' in ha.html
    ha.open_customer("<b>nobody")
    assert "Never opened an account" in ha.html
    assert "&lt;b&gt;nobody" in ha.html
    assert "/file" not in ha.html


def test_the_whole_file(ha: Desk) -> None:
    """The customer's file is the library's, in the language of the page, as a page without scripts and as JSON."""
    ha.open_customer(LAN)
    page = ha.http.get(f"{ha.path}/file")
    assert "You filed a request for access" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert page.headers["cache-control"] == "no-store"
    kept = ha.http.get(f"{ha.path}/file?as=json")
    assert kept.json()["user_id"] == LAN
    assert kept.headers["content-disposition"] == 'attachment; filename="customer-file.json"'


def test_who_still_owes_an_erasure(ha: Desk, store: FailingStore, clock: Clock) -> None:
    """Each holder that has yet to confirm is named, beside holds; without either the erasure can be done."""
    clock.now = datetime.now(UTC)
    for holder in ("mailer", "warehouse"):
        store.register_holder(holder)
    clock.now += timedelta(seconds=1)
    store.append(LAN, [HoldPlaced("h", HoldKind.DEBT, {Field.PAYMENT}), RequestFiled("q-2", RequestKind.ERASURE)])
    store.append(LAN, [ErasureConfirmed("mailer")])
    store.append(NAM, [AccountOpened(), RequestFiled("q", RequestKind.ERASURE)])
    store.append(NAM, [ErasureConfirmed("mailer"), ErasureConfirmed("warehouse")])
    ha.open("/erasures")
    held, ready = ha.html.split('id="ready"')
    assert (labels(held), labels(ready)) == ([LAN], [NAM])
    assert re.search(r"mailer</dt><dd>no request waits for it", ha.html)
    assert re.search(r"warehouse</dt><dd>requests that wait for it: 1", ha.html)
    assert "an open debt" in held
    ha.open_customer(LAN)
    assert re.findall(r'Has not confirmed yet: <span class="id">(.*?)</span>', ha.html) == ["warehouse"]
    ha.open_customer(NAM)
    assert "it can be erased now" in ha.html


def test_nobody_signed_in(visitor: Desk, store: FailingStore) -> None:
    """Without signing in every page leads to the choice of staff, and nothing can be done."""
    for path in ("/requests", "/erasures", f"/customers/{'x' * 22}", f"/customers/{'x' * 22}/file"):
        visitor.open(path)
        assert visitor.path == "/"
    form = visitor.page().forms[0]
    for path in ("/open", f"/customers/{'x' * 22}"):
        visitor.send(path, {**form, "customer": LAN})
        assert visitor.path == "/"
    for who in ("2", "-1", "", "x", "1" * 5000):
        visitor.http.cookies.set("staff", who)
        visitor.open("/requests")
        assert visitor.path == "/"
        visitor.send("/sign-in", {**form, "who": who})
        assert visitor.status == 400


def test_with_a_sign_in(store: FailingStore) -> None:
    """With `identify` the visitor is whom it finds, from anywhere; an ended session gets nothing and loses nothing."""
    app = create_app(lambda: AsyncConsentClient(store), [HA], identify=lambda asked: asked.headers.get("x-staff"))
    with TestClient(app, base_url="https://support.example.vn") as http:
        desk = Desk(http)
        http.cookies.set("staff", "0")
        for headers in ({}, {"x-staff": "x" * 300}):
            assert http.get("/requests", headers=headers).status_code == 401
        http.headers["x-staff"] = "staff-77"
        desk.open("/")
        assert (desk.status, desk.path) == (200, "/requests")
        desk.open_customer(LAN)
        del http.headers["x-staff"]
        desk.do("resolve", outcome="refused", reason="identity-not-shown")
        assert desk.status == 401
        assert "Không xác minh được chủ tài khoản" in desk.html  # what was filled in, to be sent after signing in again
        http.headers["x-staff"] = "staff-77"
        desk.press("again")
        assert store.history(LAN)[-1].provenance.evidence == "staff-77"
        desk.send("/sign-in", {**desk.page().forms[0], "who": "0"})
        assert desk.status == 404


def test_a_demo_answers_nobody_from_outside(store: FailingStore) -> None:
    """Where anybody can be anybody, the centre says only that it answers on its own machine alone."""
    with TestClient(create_app(lambda: AsyncConsentClient(store), [HA]), base_url="http://10.0.0.5") as http:
        http.cookies.set("staff", "0")
        for path in ("/", "/requests", "/erasures"):
            answer = http.get(path)
            assert answer.status_code == 403
            assert "chỉ mở được trên máy đang chạy nó" in answer.text
        assert http.post("/open").status_code == 403


def test_store_away_for_a_page(ha: Desk, store: FailingStore) -> None:
    """With the store away each page says so, and can be tried again."""
    ha.open_customer(LAN)
    address = ha.path
    store.failure, store.all_fail = StoreUnavailable("away"), True
    for path in ("/requests", "/erasures", address, f"{address}/file"):
        ha.open(path)
        assert ha.status == 503
        assert "This page cannot be shown right now" in ha.html
        assert f'href="{path}"' in ha.html


def test_vietnamese_first(ha: Desk) -> None:
    """Pages are in Vietnamese unless English was asked for, and the page stays the same when it is."""
    ha.open_customer(LAN)
    address = ha.path
    ha.press("language-vi")
    assert ha.path == address
    assert '<html lang="vi">' in ha.html
    assert "Xem toàn bộ hồ sơ" in ha.html
    ha.http.cookies.delete("language")
    ha.open("/requests")
    assert "Yêu cầu đang chờ giải quyết" in ha.html
    for page in ("//evil.example", "https://evil.example", "customers/../x", "\\evil"):
        ha.send("/language", {**ha.page().forms[0], "language": "vi", "page": page})
        assert ha.path == "/"
        ha.open("/requests")


def test_headers(ha: Desk) -> None:
    """Every answer, errors included, allows no script but the centre's own, no frame, and no copy."""
    for path in ("/", "/requests", "/nowhere", "/static/support.css", "/static/center.css"):
        headers = ha.http.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
    for path in ("/requests", "/erasures"):
        ha.open(path)
        for banned in ("<style", " style=", "onclick", "http://", "https://", "<script"):
            assert banned not in ha.html


def test_a_form_too_large(ha: Desk) -> None:
    """A form larger than any of the centre's is refused."""
    ha.open_customer("x" * 1_100_000)
    assert ha.status == 413
