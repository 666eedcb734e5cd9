"""What every page of the centre is made with, and the page for a form that could not be recorded."""

from __future__ import annotations

from collections.abc import Mapping

from litestar.response import Template

from diijam_consent_sdk import Outcome

from ..centers.access import Asking, language_of
from ..centers.problems import problem_of
from ..centers.words import LANGUAGES
from .staff import Staff
from .words import Words

PAGES = ("requests", "erasures")
KEPT = ("customer", "act", "request", "outcome", "reason", "other", "version", "key")  # what a form may hold
ACTS = {"reply": "act.reply", "extend": "act.extend_send", "resolve": "act.resolve_send"}
SHOWN = ("customer", "act", "outcome", "reason", "other")  # and what of it a staff member typed or chose


def words_of(request: Asking) -> Words:
    """The words in the visitor's language."""
    return Words(language_of(request))


def render(request: Asking, name: str, staff: Staff | None, *, status: int = 200, **context: object) -> Template:
    """Make a page from a template."""
    shared = {**request.app.state.shown, "t": words_of(request), "languages": LANGUAGES}
    who = staff.called if staff else ""
    return Template(template_name=name, status_code=status, context={**shared, "who": who, **context})


def render_unsent(request: Asking, staff: Staff, form: Mapping[str, str], error: Exception) -> Template:
    """
    Make the page that keeps a form while the store is away: it can be sent again as it is.

    It is safe whether or not the form was recorded, as the form's key makes it count once.
    """
    status, problem = problem_of("POST", error)
    return render_kept(request, staff, form, problem, status=status, action=request.url.path)


def render_kept(
    request: Asking, staff: Staff | None, form: Mapping[str, str], problem: str, *, status: int, action: str = ""
) -> Template:
    """Make a page that shows what was filled in, with a button to send it again if there is an *action* for it."""
    words = words_of(request)
    kept = {name: form[name] for name in KEPT if form.get(name)}
    shown = [(words(f"kept.{name}"), _said(request, words, name, kept[name])) for name in SHOWN if name in kept]
    return render(
        request, "kept.html", staff, status=status,
        page="requests", problem=problem, kept=kept, shown=shown, action=action,
    )  # fmt: skip


def _said(request: Asking, words: Words, name: str, value: str) -> str:
    """A field of a form in words, if it is one that the centre has words for."""
    keys = {"act": ACTS.get(value), "outcome": f"outcome.{value}" if value in set(Outcome) else None}
    key = keys.get(name)
    if key:
        return words(key)
    return str(request.app.state.reasons.label(value, words.language)) if name == "reason" else value
