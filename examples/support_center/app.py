"""The ASGI application: its pages, and the client they use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar

from diijam_consent_sdk import AsyncConsentClient

from ..centers.access import Identify
from ..centers.app import make_center
from .customer_pages import CUSTOMER_HANDLERS
from .pages import HANDLERS
from .reasons import Reasons, read_reasons
from .references import References
from .rendering import PAGES
from .staff import Staff
from .words import Words
from .work import Work


def create_app(
    connect: Callable[[], AsyncConsentClient],
    staff: Sequence[Staff] = (),
    *,
    hosts: Collection[str] = ("*",),
    identify: Identify | None = None,
    reasons: Reasons | None = None,
    made_up: bool = False,
) -> Litestar:
    """
    The support centre.

    Args:
        connect: Makes a client of the ledger, once, in the event loop. Over a consent service its token needs the
            scopes `read` and `write:requests`.

        staff: Whom a visitor can be, without a password. So a centre without `identify` answers only at this machine's
            loopback address.

        hosts: The hosts, with ports, that browsers may call the centre by; `*` is any.

        identify: From a request to the opaque id of its staff member, which the ledger keeps with each act; None for
            nobody. Return only an id that your sign-in proved, of somebody who may see customers' files.

        reasons: What staff may give as a reason; those of reasons.toml unless given.

        made_up: Whether no customer of the ledger is real.

    Returns:
        The application, to be run by one server process: references to customers are kept in its memory.
    """

    @asynccontextmanager
    async def connected(app: Litestar) -> AsyncIterator[None]:
        """A client for as long as the application runs."""
        async with connect() as app.state.consent:
            app.state.work = Work(app.state.consent)
            yield

    listed = reasons or read_reasons()
    shown = {"made_up": made_up, "picks": identify is None, "reasons": listed, "pages": PAGES}
    state = {
        "staff": {str(number): one for number, one in enumerate(staff)},
        "references": References(),
        "reasons": listed,
    }
    return make_center(
        Path(__file__).parent, Words, [*HANDLERS, *CUSTOMER_HANDLERS], connected, identify=identify, hosts=hosts,
        state=state, shown=shown,
    )  # fmt: skip
