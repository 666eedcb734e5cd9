"""The centre's pages: who may see what, in which language, and how they guard themselves."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from litestar.testing import TestClient

from diijam_consent_sdk import AsyncConsentClient
from diijam_consent_sdk.errors import OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.events import AccountOpened, Granted, Objected, Restricted
from diijam_consent_sdk.stores import MemoryStore
from examples.privacy_center import pages
from examples.privacy_center.app import create_app
from examples.privacy_center.customers import Customer
from tests.examples.visitor import FailingStore, Visitor

from .conftest import LAN, NAM, said


def test_nobody_signed_in(visitor: Visitor) -> None:
    """Without signing in every page leads to the choice of customers, and nothing can be said."""
    for path in (*pages.PAGES, "services"):
        visitor.open(f"/{path}")
        assert visitor.path == "/"
    form = visitor.page().forms[-1]
    visitor.send("/say", {**form, "say": "withdraw", "purpose": "surveys"})
    assert visitor.path == "/"


@pytest.mark.parametrize("who", ["7", "-1", "x", "", "1e0", "1" * 5000, "00", "0_0"])
def test_signed_in_as_nobody_there_is(visitor: Visitor, who: str) -> None:
    """A cookie or a form that names no customer is refused."""
    visitor.http.cookies.set("who", who)
    visitor.open("/choices")
    assert visitor.path == "/"
    visitor.send("/sign-in", {**visitor.page().forms[-1], "who": who})
    assert visitor.status == 400


def test_vietnamese_first(visitor: Visitor) -> None:
    """Pages are in Vietnamese until English is asked for, and again after Vietnamese is; the page stays the same."""
    visitor.sign_in(language="vi")
    assert '<html lang="vi">' in visitor.html
    assert "Bạn cho phép Diijam làm gì với dữ liệu của bạn?" in visitor.html
    assert "Bạn chưa đồng ý cho Diijam dùng dữ liệu vào mục đích này." in visitor.html
    visitor.open("/limits")
    visitor.press("language-en")
    assert visitor.path == "/limits"
    assert '<html lang="en">' in visitor.html
    assert "You have not consented to this purpose." in visitor.html
    visitor.press("language-vi")
    assert '<html lang="vi">' in visitor.html
    visitor.send("/language", {**visitor.page().forms[0], "language": "fr"})
    assert visitor.status == 400


def test_forged_form(lan: Visitor, store: MemoryStore) -> None:
    """A form without its token, or with another visitor's, is refused in words and writes nothing."""
    lan.open("/choices")
    action, form = lan.page().buttons["marketing-email"]
    for token in ("", "0" * 128):
        lan.send(action, {**form, "_csrf_token": token})
        assert lan.status == 403
        assert "Nothing changed" in lan.note()
    assert len(said(store)) == 2


def test_restarted(lan: Visitor, store: MemoryStore) -> None:
    """After a restart of the centre the visitor's page is refused once; opened again, it works."""
    app = create_app(lambda: AsyncConsentClient(store), [Customer(LAN, None, "other")])
    with TestClient(app, base_url="http://127.0.0.1", cookies=lan.http.cookies) as http:
        restarted = Visitor(http, lan.html)
        restarted.press("marketing-email")
        assert restarted.status == 403
        restarted.open("/choices")
        restarted.press("marketing-email")
        assert restarted.status == 200
    assert len(said(store)) == 3


@pytest.mark.parametrize("path", ["/", "/choices", "/nowhere", "/static/center.js", "/static/nothing.css"])
def test_headers(lan: Visitor, path: str) -> None:
    """Every answer, errors included, allows no script but the centre's own, no frame, and no copy."""
    headers = lan.http.get(path).headers
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_nothing_inline_and_nothing_from_elsewhere(lan: Visitor) -> None:
    """No page has a script, style or handler within it, nor an address of another host."""
    for page in pages.PAGES:
        lan.open(f"/{page}")
        for banned in ("<style", " style=", "onclick", "http://", "https://", "<script>"):
            assert banned not in lan.html


def test_cookies(lan: Visitor) -> None:
    """Cookies are kept from scripts and from other sites, and hold no user id."""
    lan.http.cookies.clear()
    answers = [lan.http.get("/")]
    ((_, token),) = answers[0].cookies.items()
    form = {"_csrf_token": token, "who": "0"}
    answers.append(lan.http.post("/sign-in", data=form, follow_redirects=False))
    for cookie in (answer.headers["set-cookie"] for answer in answers):
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert LAN not in cookie


def test_only_its_own_hosts(store: MemoryStore) -> None:
    """Under a name that is not its own, as after a DNS rebinding, the centre answers nothing."""
    app = create_app(lambda: AsyncConsentClient(store), [Customer(LAN, None, "other")], hosts=["127.0.0.1:8765"])
    with TestClient(app, base_url="http://127.0.0.1:8765") as http:
        assert http.get("/").status_code == 200
        assert http.get("/", headers={"host": "evil.example:8765"}).status_code == 400


def test_no_such_page(visitor: Visitor) -> None:
    """An unknown path is a 404 in words."""
    visitor.open("/nowhere")
    assert visitor.status == 404
    assert "Không có trang này" in visitor.html


def test_note_from_the_address(lan: Visitor) -> None:
    """Only the centre's own notes are shown, whatever the address says."""
    for query in ("note=<b>", "note=heard", "note=heard&ms=<b>", "note=heard&ms=99999", "note="):
        lan.open(f"/choices?{query}")
        assert lan.note() == ""
    lan.open("/choices?note=unheard")
    assert "in 60 seconds at the latest" in lan.note()


def test_standing(lan: Visitor, store: MemoryStore) -> None:
    """What makes a yes void is said at the top, and beside the switch that is on."""
    lan.press("surveys")
    store.append(LAN, [Objected("surveys"), Restricted()])
    lan.open("/choices")
    assert "You restricted all your data" in lan.html
    assert '<span class="remark">You restricted the use of this data.</span>' in lan.html
    lan.open("/requests")
    lan.press("file-erasure")
    lan.open("/profile")
    assert "You asked for your data to be erased" in lan.html


def test_names_are_escaped(store: MemoryStore) -> None:
    """A name is text, whatever is in it."""
    people = [Customer(LAN, "<script>alert(1)</script>", "other")]
    with TestClient(create_app(lambda: AsyncConsentClient(store), people), base_url="http://127.0.0.1") as http:
        visitor = Visitor(http)
        visitor.sign_in()
        assert "&lt;script&gt;alert(1)" in visitor.html
        assert "<script>alert" not in visitor.html


def test_store_out_of_reach_for_a_form(lan: Visitor, store: FailingStore) -> None:
    """When nothing could be written, the visitor reads that nothing changed; and nothing has."""
    store.failure = StoreUnavailable("out of reach")
    lan.press("marketing-email")
    assert lan.status == 503
    assert "so nothing was changed" in lan.note()
    store.failure = None
    assert len(said(store)) == 2
    assert not lan.open("/choices").on["marketing-email"]


def test_store_out_of_reach_for_a_page(lan: Visitor, store: FailingStore) -> None:
    """When nothing can be read, the visitor reads so in both languages, and can try again."""
    store.failure, store.all_fail = StoreUnavailable("out of reach"), True
    lan.open("/sharing")
    assert lan.status == 503
    assert "Your choices cannot be shown right now" in lan.html
    assert 'href="/sharing"' in lan.html
    lan.http.cookies.delete("language")
    lan.open("/sharing")
    assert "Hiện chưa xem được lựa chọn của bạn" in lan.html


def test_outcome_unknown(lan: Visitor, store: FailingStore) -> None:
    """When nobody knows whether it was written, that is what the visitor reads, not that it was or was not."""
    store.failure = OutcomeUnknown("lost", "key")
    lan.press("marketing-email")
    assert lan.status == 503
    assert "It is not clear yet whether your choice was recorded" in lan.html
    store.failure = None


def test_error_nobody_foresaw(lan: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An unforeseen error is a 500 in words and is logged; neither tells who it was about."""

    def broken(*_: object) -> None:
        raise RuntimeError("oh no")

    monkeypatch.setattr(pages, "parse_event", broken)
    with caplog.at_level(logging.ERROR):
        lan.press("marketing-email")
    assert lan.status == 500
    assert "oh no" not in lan.html
    assert [(record.message, LAN in record.getMessage()) for record in caplog.records] == [("center.broken", False)]


def test_services_that_have_not_heard(lan: Visitor, store: FailingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a service does not follow in time, the page shows that, and until when an old answer may last."""

    async def nobody(*_: object) -> None:
        """Nobody has heard in time."""

    monkeypatch.setattr(pages, "heard_after", nobody)
    lan.press("marketing-email")
    assert "Some service has not heard yet" in lan.note()


def test_services_fragment(lan: Visitor, store: MemoryStore) -> None:
    """The panel alone can be fetched, and follows what is said elsewhere."""
    lan.open("/services")
    assert lan.html.lstrip().startswith("<aside")
    assert lan.answers()["username"] == "not_published"
    store.append("u-other", [AccountOpened()])
    assert LAN not in lan.html


ODD = [
    "1" * 5000,
    "-1",
    "1e3",
    "x" * 100_000,
    "",
    "\0",
    "\u0661",
    "\ud7ff\U0001f600",
    "a\u0301",
    "\ufeff",
    "../..",
    "{{7*7}}",
]


@pytest.mark.parametrize("value", ODD, ids=ascii)
def test_odd_values_of_a_form(lan: Visitor, store: MemoryStore, value: str) -> None:
    """Whatever a field of a form holds, the answer is a page that is no failure of ours."""
    lan.open("/requests")
    for key in ("say", "page", "version", "purpose", "channel", "data", "field", "notice", "request", "kind"):
        form = {
            **lan.open("/requests").forms[0], "purpose": "surveys", "version": "2", "field": "avatar", "kind": "access",
            "request": "r", "data": "email", "notice": "n",
        }  # fmt: skip
        for say in ("grant", "withdraw", "object", "restrict", "agree", "refuse", "publish", "file", "cancel"):
            answer = lan.http.post("/say", data={**form, "say": say, key: value})
            assert answer.status_code < 500, (key, say)
    for path in ("/language", "/sign-in"):
        for key in ("language", "who", "page"):
            answer = lan.http.post(path, data={**lan.open("/requests").forms[0], key: value})
            assert answer.status_code < 500, (path, key)


@pytest.mark.parametrize("value", [value.encode() for value in ODD] + [b"\xff\xfe", b'"', b"a;b=c"], ids=ascii)
@pytest.mark.parametrize("name", ["who", "language"])
def test_odd_cookies(visitor: Visitor, name: str, value: bytes) -> None:
    """Whatever a cookie holds, the answer is a page that is no failure of ours."""
    for path in ("/", "/choices", "/services"):
        answer = visitor.http.get(path, headers={b"cookie": name.encode() + b"=" + value.replace(b"\0", b"")})
        assert answer.status_code < 500, path


@pytest.mark.parametrize("token", ["\u00e9", "", "0", "x" * 10_000, "0" * 128])
def test_odd_tokens(lan: Visitor, token: str) -> None:
    """A malformed token is refused in words, in the form and in the cookie."""
    form = {**lan.open("/choices").forms[0], "language": "vi"}
    assert lan.http.post("/language", data={**form, "_csrf_token": token}).status_code == 403
    (name,) = [name for name in lan.http.cookies if name.startswith("csrf-")]
    lan.http.cookies.clear()
    cookie = f"{name}={token}".encode()
    answer = lan.http.post("/language", data={**form, "_csrf_token": token}, headers={b"cookie": cookie})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"--y\r\nnothing"),
        ("multipart/form-data", b"--x"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"say=file"),
        ("application/x-www-form-urlencoded", b"say=%ff%fe&say=%"),
        ("application/x-www-form-urlencoded", b"&=" * 100_000),
        ("application/json", b"{"),
        ("\x01", b"say=file"),
    ],
    ids=str,
)
def test_odd_bodies(lan: Visitor, kind: str, body: bytes) -> None:
    """Whatever is sent in place of a form is refused, and not as a failure of ours."""
    token = lan.open("/choices").forms[0]["_csrf_token"]
    for path in ("/say", "/language", "/sign-in"):
        headers = {"content-type": kind, "x-csrftoken": token}
        assert 400 <= lan.http.post(path, content=body, headers=headers).status_code < 500, path


@pytest.mark.parametrize(
    "query", ["?note=" + "x" * 50_000, "?note=heard&ms=" + "1" * 5000, "?note=%ff&ms=%00", "?&&=&=="]
)
def test_odd_queries(lan: Visitor, query: str) -> None:
    """Whatever a query holds, it is a page without a note."""
    lan.open("/choices" + query)
    assert (lan.status, lan.note()) == (200, "")


@pytest.mark.parametrize(
    "path", ["/%ff", "/choices%00", "/" + "x" * 60_000, "/choices/..", "//", "/static/%2e%2e/app.py"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "OPTIONS"])
def test_odd_paths(lan: Visitor, path: str, method: str) -> None:
    """No path is a failure of ours."""
    assert lan.http.request(method, path).status_code < 500


@pytest.mark.parametrize("address", ["10.0.0.5", "0.0.0.0", "consent.example.vn"])
def test_a_demo_answers_nobody_from_outside(store: MemoryStore, address: str) -> None:
    """Where anybody can be anybody, the centre says only that it answers on its own machine alone."""
    app = create_app(lambda: AsyncConsentClient(store), [Customer(LAN, "Nguyễn Thị Lan", "other")])
    with TestClient(app, base_url=f"http://{address}") as http:
        http.cookies.set("who", "0")
        for path in ("/", "/choices"):
            answer = http.get(path)
            assert answer.status_code == 403
            assert "chỉ mở được trên máy đang chạy nó" in answer.text
            assert "Lan" not in answer.text
        assert http.post("/say").status_code == 403


def test_with_a_sign_in(store: MemoryStore) -> None:
    """With `identify` the visitor is the user it finds, from anywhere; nobody picks, and no one else gets in."""
    app = create_app(lambda: AsyncConsentClient(store), identify=lambda request: request.headers.get("x-signed-in"))
    with TestClient(app, base_url="https://consent.example.vn") as http:
        http.cookies.set("who", "0")
        for path in ("/", "/choices", "/services"):
            assert http.get(path).status_code == 401
        assert http.get("/choices", headers={"x-signed-in": "x" * 300}).status_code == 401
        http.headers["x-signed-in"] = LAN
        visitor = Visitor(http)
        visitor.open("/")
        assert (visitor.status, visitor.path) == (200, "/choices")
        visitor.press("language-en")
        assert "You" in visitor.html
        assert "Sign out" not in visitor.html
        visitor.press("marketing-email")
        assert len(said(store)) == 3
        visitor.send("/sign-in", {**visitor.page().forms[0], "who": "0"})
        assert visitor.status == 404


def test_another_account_in_another_window(lan: Visitor, store: MemoryStore) -> None:
    """A press on a page that was shown to Lan is recorded for nobody once Nam has signed in, and the page says so."""
    form = lan.open("/choices").buttons["surveys"][1]
    before = said(store)
    lan.send("/sign-in", {**lan.open("/").forms[-1], "who": "1"})
    lan.send("/say", form)
    assert lan.note() == (
        "You switched to another account in another window, so what you just pressed was recorded for nobody."
        " Below is the account you are signed in to now."
    )
    assert said(store) == before
    assert not any(isinstance(event, Granted) for event in said(store, NAM))


def test_the_language_of_a_word_is_that_of_its_page(lan: Visitor, store: MemoryStore) -> None:
    """Another window may have switched the language since, and the customer read the words of this page."""
    form = lan.open("/choices").buttons["surveys"][1]
    lan.send("/language", {**lan.open("/choices").forms[0], "language": "vi"})
    lan.send("/say", form)
    assert store.history(LAN)[-1].provenance.language == "en"


def test_an_end_of_time(lan: Visitor, store: MemoryStore) -> None:
    """A consent that ends with the year 9999, which is past it in Vietnam, leaves the pages open."""
    store.append(LAN, [Granted("surveys", "n", expires_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))])
    for path in ("/choices", "/timeline"):
        assert lan.http.get(path).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("127.0.0.1", 200), ("localhost:8000", 200), ("evil.example", 403)])
def test_a_demo_answers_under_the_names_of_this_machine_alone(visitor: Visitor, name: str, status: int) -> None:
    """A page of elsewhere could give its own name this machine's address, and be anybody."""
    assert visitor.http.get("/", headers={"host": name}).status_code == status
