"""
Standard streams that may be closed, or lead to a full disk.

Either must not change the exit status: Python's own for an error, 1, means that a customer said no.
"""

from __future__ import annotations

import os
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO


def use_utf_8(stream: TextIO | None) -> TextIO:
    """Return the stream set to UTF-8 whatever the locale; a stream that was closed is replaced by /dev/null."""
    if stream is None:
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - stays open as long as the process
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return stream


def flush_or_drop(stream: TextIO) -> None:
    """Flush a stream before the process exits; drop what cannot be written, or Python would exit with 120."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
