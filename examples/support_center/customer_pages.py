"""One customer: what is owed, the whole file, and what a staff member does about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from litestar import get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException, NotAuthorizedException
from litestar.response import Redirect, Response, Template

from diijam_consent_sdk import AsyncConsentClient, Method, Provenance
from diijam_consent_sdk.customer_file import CustomerFile
from diijam_consent_sdk.errors import ClientClosed, InvalidEvent, StoreError, VersionConflict
from diijam_consent_sdk.events import LedgerEntry
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.stores.protocol import Appended

from ..centers.access import Asking, language_of, read_form
from .acts import DONE, Act, Unfinished, parse_act, why_refused
from .references import References
from .rendering import KEPT, render, render_kept, render_unsent
from .staff import Staff, signed_in
from .views import CustomerView

FILE_POLICY = (  # a file has its style within it, and says itself that nothing else may be there
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
BLANK = dict.fromkeys(KEPT, "")
NOTES = {*DONE.values(), "repeated"}


@get("/customers/{reference:str}")
async def customer(request: Asking, state: State) -> Template:
    """Show what is owed to a customer, and what was."""
    staff = signed_in(request)
    user_id = _opened(request, staff)
    if user_id is None:
        return render_kept(request, staff, {}, "expired", status=410)
    note = request.query_params.get("note", "")
    return await _render(request, staff, await state.consent.load(user_id), note=note if note in NOTES else "")


@get("/customers/{reference:str}/file")
async def whole_file(request: Asking, state: State) -> Response[str] | Template:
    """Show all that the ledger has of a customer: the library's own file, as a page, or as JSON to keep."""
    staff = signed_in(request)
    user_id = _opened(request, staff)
    if user_id is None:
        return render_kept(request, staff, {}, "expired", status=410)
    file: CustomerFile = await state.consent.customer_file(user_id, language_of(request))
    if request.query_params.get("as") == "json":
        kept_as = {"Content-Disposition": 'attachment; filename="customer-file.json"'}
        return Response(file.to_json(), media_type="application/json", headers=kept_as)
    return Response(file.to_html(), media_type="text/html", headers={"Content-Security-Policy": FILE_POLICY})


@post("/customers/{reference:str}")
async def act(request: Asking) -> Template | Redirect:
    """Record what a staff member did, or show what came in between."""
    form = await read_form(request)
    try:
        staff = signed_in(request)
    except NotAuthorizedException:
        if request.app.state.identify is None:
            raise
        return render_kept(request, None, form, "signed_out", status=401, action=request.url.path)
    user_id = _opened(request, staff)
    if user_id is None:
        return render_kept(request, staff, form, "expired", status=410)
    try:
        return await _act(request, staff, user_id, form)
    except (StoreError, ClientClosed) as error:
        return render_unsent(request, staff, form, error)


def _opened(request: Asking, staff: Staff) -> str | None:
    """Find the customer of the page's address; None if the reference in it has ended."""
    reference: str = request.path_params["reference"]
    references: References = request.app.state.references
    return references.find(staff.staff_id, reference)


async def _act(request: Asking, staff: Staff, user_id: str, form: Mapping[str, str]) -> Template | Redirect:
    consent: AsyncConsentClient = request.app.state.consent
    try:
        what = parse_act(form, request.app.state.reasons)
    except Unfinished as unfinished:
        record = await consent.load(user_id)
        return await _render(request, staff, record, note=str(unfinished), kept=form, status=422)
    except (ValueError, TypeError) as error:
        raise ClientException from error
    try:
        is_repeat = await _record(request, staff, user_id, what)
    except VersionConflict:
        return await _render_conflict(request, staff, user_id, form, what.version)
    except ValueError as error:
        record = await consent.load(user_id)
        note = _refusal(error, what, record)
        return await _render(request, staff, record, note=note, kept=form, status=409)
    note = "repeated" if is_repeat else DONE[type(what.deed)]
    return Redirect(f"{request.url.path}?note={note}", status_code=303)


def _refusal(error: ValueError, what: Act, record: ConsentRecord) -> str:
    """Why the ledger did not take an act: the policy refused it, or its key was used for another form."""
    return why_refused(what.deed, record, datetime.now(UTC)) if isinstance(error, InvalidEvent) else "sent_already"


async def _record(request: Asking, staff: Staff, user_id: str, what: Act) -> bool:
    """Record an act with who did it. Returns whether it was recorded before."""
    state, said = request.app.state, Provenance(method=Method.STAFF, evidence=staff.staff_id)
    try:
        appended: Appended = await state.consent.record(
            user_id, what.deed, expected_version=what.version, idempotency_key=what.key, provenance=said
        )
    finally:  # what failed may have been recorded too
        state.work.forget()
    return appended.is_repeat


async def _render_conflict(request: Asking, staff: Staff, user_id: str, form: Mapping[str, str], seen: int) -> Template:
    """Show what was recorded since the page was opened, and keep what was filled in."""
    file = await request.app.state.consent.customer_file(user_id, language_of(request))
    since = [(entry, file.describe(entry)) for entry in file.entries if entry.version > seen]
    return await _render(request, staff, file.record, note="conflict", kept=form, since=since, status=409)


async def _render(
    request: Asking,
    staff: Staff,
    record: ConsentRecord,
    *,
    note: str = "",
    kept: Mapping[str, str] | None = None,
    since: Sequence[tuple[LedgerEntry, str]] = (),
    status: int = 200,
) -> Template:
    view = CustomerView(record, datetime.now(UTC), await request.app.state.work.erasure_of(record))
    return render(
        request, "customer.html", staff, status=status, page=request.url.path.strip("/"), view=view, note=note,
        is_good=note in NOTES, kept={**BLANK, **(kept or {})}, blank=BLANK, since=since, me=staff.staff_id,
    )  # fmt: skip


CUSTOMER_HANDLERS = [customer, whole_file, act]
