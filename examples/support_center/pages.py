"""The work list and the pending erasures, and how a staff member gets from there to a customer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from litestar import get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException, NotFoundException
from litestar.response import Redirect, Template

from diijam_consent_sdk import is_user_id
from diijam_consent_sdk.vocabulary import RequestState

from ..centers.access import Asking, kept_cookie, read_form, speak_on
from .references import PATTERN
from .rendering import PAGES, render
from .staff import signed_in
from .views import STATES, make_erasure_list, make_work_list, tally_holders

MAX_PAGE_DIGITS = 6
PLACES = re.compile(rf"{'|'.join(PAGES)}|customers/{PATTERN}")


@get("/")
async def welcome(request: Asking, state: State) -> Template | Redirect:
    """Whom would you like to be? With an `identify` that is known, and the work list comes at once."""
    if state.identify is not None:
        signed_in(request)
        return Redirect("/requests", status_code=303)
    people = [(one.called, one.staff_id) for one in state.staff.values()]
    return render(request, "welcome.html", None, page="", people=people)


@post("/sign-in")
async def sign_in(request: Asking, state: State) -> Redirect:
    """Be that staff member: a demo asks for no password."""
    if state.identify is not None:
        raise NotFoundException
    who = (await read_form(request)).get("who", "")
    if who not in state.staff:
        raise ClientException
    return Redirect("/requests", status_code=303, cookies=[kept_cookie("staff", who)])


@post("/language")
async def speak(request: Asking) -> Redirect:
    """Go on in that language."""
    form = await read_form(request)
    place = form.get("page", "")
    return speak_on(form, f"/{place}" if PLACES.fullmatch(place) else "/")


@get("/requests")
async def requests(request: Asking) -> Template:
    """Show the open requests, of all states or of one."""
    return await render_requests(request)


async def render_requests(request: Asking, *, typed: str = "", note: str = "", status: int = 200) -> Template:
    """Make the page of the work list. Errors are those of `due`."""
    staff, query = signed_in(request), request.query_params
    chosen = query.get("state", "")
    state = RequestState(chosen) if chosen in set(STATES) else None
    work = make_work_list(await request.app.state.work.due(), state, _page_number(query))
    return render(
        request, "requests.html", staff, status=status,
        page="requests", work=work, chosen=state, states=STATES, typed=typed, note=note,
    )  # fmt: skip


def _page_number(query: Mapping[str, str]) -> int:
    number = query.get("page", "")
    return max(int(number), 1) if number.isascii() and number.isdigit() and len(number) <= MAX_PAGE_DIGITS else 1


@get("/erasures")
async def erasures(request: Asking, state: State) -> Template:
    """Show the pending erasures, and who still has to confirm them."""
    staff = signed_in(request)
    due, holders = await state.work.due(), await state.consent.holders()
    work = make_erasure_list(due, _page_number(request.query_params))
    return render(request, "erasures.html", staff, page="erasures", work=work, tally=tally_holders(due, holders))


@post("/open")
async def open_customer(request: Asking, state: State) -> Template | Redirect:
    """Open a customer's page. The id comes in the form, and goes into no address."""
    staff, form = signed_in(request), await read_form(request)
    typed = form.get("customer", "").strip()
    if not is_user_id(typed):
        return await render_requests(request, typed=typed, note="no_id", status=422)
    return Redirect(f"/customers/{state.references.open(staff.staff_id, typed)}", status_code=303)


HANDLERS = [welcome, sign_in, speak, requests, erasures, open_customer]
