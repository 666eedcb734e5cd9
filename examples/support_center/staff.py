"""Who acts: the staff member that the sign-in proved, or in a demo the one that the visitor picked."""

from __future__ import annotations

import attrs
from litestar.exceptions import NotAuthorizedException

from diijam_consent_sdk import is_user_id

from ..centers.access import Asking


@attrs.frozen
class Staff:
    """
    Somebody of Diijam's support.

    Args:
        staff_id: The opaque id that the ledger keeps as evidence: a number of yours, no name and no mail address.

        name: What the pages call this person; the id without one.
    """

    staff_id: str
    name: str | None = attrs.field(default=None, repr=False)

    @property
    def called(self) -> str:
        """What to call this person."""
        return self.name or self.staff_id


MADE_UP = (Staff("staff-0417", "Trịnh Hà Vy"), Staff("staff-0932", "Lê Quốc Bảo"))


def signed_in(request: Asking) -> Staff:
    """
    Return who acts.

    Raises:
        NotAuthorizedException: nobody.
    """
    state = request.app.state
    if state.identify is None:
        found = state.staff.get(request.cookies.get("staff", ""))
    else:
        staff_id = state.identify(request)
        found = Staff(staff_id) if is_user_id(staff_id) else None
    if not isinstance(found, Staff):
        raise NotAuthorizedException
    return found
