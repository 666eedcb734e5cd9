"""Who may open a centre, in which language, and what a form may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, State
from litestar.exceptions import ClientException, PermissionDeniedException
from litestar.response import Redirect

from diijam_consent_sdk.vocabulary import LANGUAGES, Language

Asking = Request[Any, Any, State]
Identify = Callable[[Asking], str | None]

ELSEWHERE = "a demo answers on its own machine alone"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
MAX_VERSION_DIGITS = 15


def only_here(connection: ASGIConnection[Any, Any, Any, Any], _: object) -> None:
    """
    Let a demo, where everybody can be anybody, answer on this machine's loopback address alone, and under its names
    alone: a page of elsewhere could give its own name that address.

    Raises:
        PermissionDeniedException: the connection came in at another address, or under another name.
    """
    host, _ = connection.scope.get("server") or ("", None)
    if connection.app.state.identify is None and not LOOPBACK.issuperset({host, connection.url.hostname}):
        raise PermissionDeniedException(ELSEWHERE)


def language_of(request: Asking) -> Language:
    """The language the visitor chose; Vietnamese unless it was English."""
    return "en" if request.cookies.get("language") == "en" else "vi"


async def read_form(request: Asking) -> Mapping[str, str]:
    """The fields of a form, without files."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def version_in(form: Mapping[str, str]) -> int:
    """
    Return the version of the record that a form's page showed.

    Raises:
        ValueError: there is none.
    """
    version = form.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) <= MAX_VERSION_DIGITS):
        raise ValueError("the form's version is none")
    return int(version)


def kept_cookie(name: str, value: str) -> Cookie:
    """A cookie that no script reads and no other site sends."""
    return Cookie(key=name, value=value, httponly=True, samesite="strict")


def speak_on(form: Mapping[str, str], path: str) -> Redirect:
    """
    Go on at *path* in the language that a form chose.

    Raises:
        ClientException: it is none of ours.
    """
    language = form.get("language", "")
    if language not in LANGUAGES:
        raise ClientException
    return Redirect(path, status_code=303, cookies=[kept_cookie("language", language)])
