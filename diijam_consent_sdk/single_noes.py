"""Single noes, such as the withdrawal of one channel: what each is about, and whether it is in force. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from . import events as e
from .record import Consent, ConsentRecord, Notice, Permission, Said, consent_key
from .vocabulary import Account, Channel, Purpose


def single_noes(event: e.Event) -> Iterator[e.Event]:
    """Yield the single noes that an event says."""
    match event:
        case e.Withdrawn(Purpose.MARKETING, channels):
            for channel in sorted(channels or Channel):
                yield e.Withdrawn(Purpose.MARKETING, [channel])
        case e.Restricted(data) if data is not None:
            for field in sorted(data):
                yield e.Restricted([field])
        case _ if e.is_no(event):
            yield event


def no_to(permission: Consent | Notice) -> e.Event:
    """Make the no to one permission."""
    if isinstance(permission, Notice):
        return e.AgreementWithdrawn(permission.notice)
    return e.Withdrawn(permission.purpose, [] if permission.channel is None else [permission.channel])


def is_in_force(record: ConsentRecord, no: e.Event) -> bool:
    """Whether a single no is in force in a record; a yes that is not there, or was ended, counts as one."""
    match no:
        case e.Withdrawn() | e.AgreementWithdrawn():
            known = permission_on(record, no)
            return known is not None and (known.withdrawn_at is not None or known.given_at is None)
        case e.Objected(purpose):
            return purpose in record.objected
        case e.Restricted(data):
            return record.all_restricted if data is None else data <= record.restricted
        case e.Hidden(field):
            return field in record.publications and field not in record.published
        case e.AccountClosed():
            return record.account is Account.CLOSED
        case _:
            return record.is_erasing()


def word_on(record: ConsentRecord, no: e.Event) -> Said | None:
    """Find the user's word on what a single no is about."""
    return record.publications.get(no.field) if isinstance(no, e.Hidden) else permission_on(record, no)


def permission_on(record: ConsentRecord, no: e.Event) -> Permission | None:
    """Find what a single withdrawal is about."""
    match no:
        case e.Withdrawn(purpose, channels):
            return record.consents.get(consent_key(purpose, next(iter(channels), None)))
        case e.AgreementWithdrawn(notice):
            return record.notices.get(notice)
        case _:
            return None


def noes_against(event: e.Event) -> Iterator[e.Event]:
    """Yield the single withdrawals that a yes speaks against."""
    match event:
        case e.Granted(purpose, channels=channels):
            yield from single_noes(e.Withdrawn(purpose, channels))
        case e.Agreed(notice):
            yield e.AgreementWithdrawn(notice)
        case _:
            pass
