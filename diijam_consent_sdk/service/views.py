"""Narrows standings to what a token is entitled to ask, so that nothing else of a user leaves the service."""

from __future__ import annotations

import functools

from ..errors import StoreUnusable
from ..standing import View
from ..stores.standings import decode_standing, encode_standing
from ..stores.strict_json import Malformed

# Many users share a few standings, so narrowed ones are kept: at most 32 MiB of them, with what they were made of.
MAX_KEPT = 2**13
MAX_KEPT_BYTES = 2**11  # of a standing; larger ones are rare, and narrowed each time


def narrow(standing: bytes, present: View, view: View) -> bytes:
    """
    Narrow a standing. Safe to use from several threads.

    Args:
        standing: Its canonical JSON, made for the view *present*.

        present: The view that the standing was made for.

        view: The view to narrow it to.

    Returns:
        The canonical JSON for what both views have; the same bytes, unread, if *view* leaves out nothing.

    Raises:
        StoreUnusable: *standing* cannot be read.
    """
    if present <= view:
        return standing
    make = _narrowed if len(standing) <= MAX_KEPT_BYTES else _narrowed.__wrapped__
    return make(standing, present, view)


@functools.lru_cache(MAX_KEPT)
def _narrowed(standing: bytes, present: View, view: View) -> bytes:
    try:
        whole = decode_standing(standing, present)
    except Malformed:
        raise StoreUnusable("a standing that the store holds cannot be read: look at the store") from None
    return encode_standing(whole.narrowed(view))
