"""Ask before you touch a customer's data: Diijam's privacy policy as a library that answers in memory."""

from .cache.user import UserConsent
from .client import AsyncConsentClient, ConsentClient
from .decisions import Decision, Explanation, Market, Process, Retain, Share, Show
from .events import Provenance
from .identifiers import is_user_id
from .notices import NoticeText
from .vocabulary import Channel, Field, HoldKind, Method, Origin, Outcome, Purpose, Reason, RequestKind

__all__ = [
    "AsyncConsentClient",
    "Channel",
    "ConsentClient",
    "Decision",
    "Explanation",
    "Field",
    "HoldKind",
    "Market",
    "Method",
    "NoticeText",
    "Origin",
    "Outcome",
    "Process",
    "Provenance",
    "Purpose",
    "Reason",
    "RequestKind",
    "Retain",
    "Share",
    "Show",
    "UserConsent",
    "__version__",
    "is_user_id",
]

__version__ = "0.1.0"
