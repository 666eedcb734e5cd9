"""The pages, and what their forms are sent to."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from litestar import get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException, NotAuthorizedException, NotFoundException
from litestar.response import Redirect, Template

from diijam_consent_sdk import Method, Provenance, is_user_id
from diijam_consent_sdk.errors import InvalidEvent, VersionConflict
from diijam_consent_sdk.events import Event, RequestFiled
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.vocabulary import Account

from ..centers.access import Asking, kept_cookie, language_of, read_form, speak_on
from ..centers.words import LANGUAGES
from .customers import Customer
from .forms import parse_event, parse_version
from .services import BOUND_SECONDS, ask_all, heard_after
from .timeline import days
from .views import View
from .words import Words

PAGES = ("choices", "sharing", "profile", "limits", "requests", "timeline")
NOTES = {"heard", "unheard", "conflict", "refused", "many", "another"}


def signed_in(request: Asking) -> Customer:
    """
    Return the visitor's customer: the one that `identify` found, or in a demo the one that the visitor picked.

    Raises:
        NotAuthorizedException: nobody.
    """
    state = request.app.state
    if state.identify is None:
        customer = _picked(state.customers, request.cookies.get("who", ""))
    else:
        user_id = state.identify(request)
        customer = Customer(user_id, None, "yourself") if is_user_id(user_id) else None
    if customer is None:
        raise NotAuthorizedException
    return customer


def _picked(customers: Sequence[Customer], who: str) -> Customer | None:
    """The customer with that number, which anybody can write into a form or a cookie: it is compared as text."""
    return next((customer for number, customer in enumerate(customers) if str(number) == who), None)


@get("/")
async def welcome(request: Asking, state: State) -> Template | Redirect:
    """Whom would you like to be? With an `identify` that is known, and the first page comes at once."""
    if state.identify is not None:
        signed_in(request)
        return Redirect("/choices", status_code=303)
    words = Words(language_of(request))
    people = [(one.called(words), words(f"about.{one.about}")) for one in state.customers]
    return _template(request, "welcome.html", page="", who="", people=people)


@post("/sign-in")
async def sign_in(request: Asking, state: State) -> Redirect:
    """Be that customer: a demo asks for no password."""
    if state.identify is not None:
        raise NotFoundException
    who = (await read_form(request)).get("who", "")
    if _picked(state.customers, who) is None:
        raise ClientException
    return Redirect("/choices", status_code=303, cookies=[kept_cookie("who", who)])


@post("/language")
async def speak(request: Asking) -> Redirect:
    """Go on in that language."""
    form = await read_form(request)
    return speak_on(form, f"/{_page(form)}")


@get("/{page:str}")
async def show(request: Asking, state: State) -> Template:
    """One page of the centre, fresh from the store."""
    page: str = request.path_params["page"]
    if page not in PAGES:
        raise NotFoundException
    customer = signed_in(request)
    words, user_id = Words(language_of(request)), customer.user_id
    record, user = await state.consent.load(user_id), await state.consent.user(user_id)
    history = await state.consent.history(user_id) if page == "timeline" else []
    note, tone = _note(request.query_params, words)
    shown_to = _seal(request, user_id)
    return _template(
        request, f"{page}.html",
        page=page, pages=PAGES, who=customer.called(words), note=note, note_tone=tone,
        view=View(record, user, datetime.now(UTC), words, state.holders, shown_to), days=days(history, words),
        asked=await ask_all(state.services, user_id), shown_to=shown_to,
    )  # fmt: skip


@get("/services")
async def services(request: Asking, state: State) -> Template:
    """Render the services' answers of now: a part of every page, for its script to put in place."""
    user_id = signed_in(request).user_id
    asked = await ask_all(state.services, user_id)
    return _template(request, "_services.html", asked=asked, shown_to=_seal(request, user_id))


@post("/say")
async def say(request: Asking, state: State) -> Redirect:
    """Record what the customer says; show the page again once the services have heard."""
    user_id, form = signed_in(request).user_id, await read_form(request)
    page = _page(form)
    try:
        event, seen = parse_event(form), parse_version(form)
    except (ValueError, TypeError) as error:
        raise ClientException from error
    if form.get("shown_to") != _seal(request, user_id):
        return Redirect(f"/{page}?note=another", status_code=303)
    language = form.get("shown_in") if form.get("shown_in") in LANGUAGES else language_of(request)
    try:
        said = Provenance(method=Method.WEB, language=language)
        appended = await state.consent.record(user_id, event, expected_version=seen, provenance=said)
    except VersionConflict:
        return Redirect(f"/{page}?note=conflict", status_code=303)
    except InvalidEvent:
        note = _refusal(event, await state.consent.load(user_id))
        return Redirect(f"/{page}?note={note}", status_code=303)
    ms = await heard_after(state.services, user_id, appended.version)
    note = "unheard" if ms is None else f"heard&ms={ms}"
    return Redirect(f"/{page}?note={note}", status_code=303)


def _seal(request: Asking, user_id: str) -> str:
    """
    Stand for a customer in a page's forms, which are good for that customer alone: another may have signed in since, in
    another window.
    """
    return hmac.new(request.app.state.seal, user_id.encode(), "sha256").hexdigest()


def _refusal(event: Event, record: ConsentRecord) -> str:
    """Why the policy refused: a new request is refused only for the number of those there are, or after an erasure."""
    is_new = isinstance(event, RequestFiled) and event.request not in record.requests
    return "many" if is_new and record.account is not Account.ERASED else "refused"


HANDLERS = [welcome, sign_in, speak, show, services, say]


def _template(request: Asking, name: str, **context: object) -> Template:
    words = Words(language_of(request))
    return Template(
        template_name=name, context={**request.app.state.shown, "t": words, "languages": LANGUAGES, **context}
    )


def _page(form: Mapping[str, str]) -> str:
    """Return the page a form was on; the first page if the form names no page."""
    page = form.get("page", "")
    return page if page in PAGES else ""


def _note(query: Mapping[str, str], words: Words) -> tuple[str, str]:
    """What came of the last form, and whether that is good news. Anything else in the query says nothing."""
    note, ms = query.get("note", ""), query.get("ms", "")
    if note not in NOTES or (note == "heard" and not (ms.isascii() and ms.isdigit() and len(ms) < 5)):
        return "", ""
    return words(f"note.{note}", ms=ms, seconds=BOUND_SECONDS), "good" if note == "heard" else "bad"
