"""The clients that services call: `ConsentClient` for threads, `AsyncConsentClient` for asyncio."""

from __future__ import annotations

from .async_client import AsyncConsentClient
from .base import Options
from .sync_client import ConsentClient

__all__ = ["AsyncConsentClient", "ConsentClient", "Options"]
