"""
The command line, `diijam-consent`.

It needs the extra `cli`: `pip install 'diijam-consent-sdk[cli]'`.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from .._extras import ExtraMissing, needs_extra
from .streams import flush_or_drop, use_utf_8


def main() -> None:
    """
    Run the command that the process was started with.

    Raises:
        SystemExit: always; its code is the exit status.
    """
    sys.stderr = use_utf_8(sys.stderr)
    try:
        with needs_extra("the command line", "cli", "cyclopts", "rich"):
            from .app import main as run  # noqa: PLC0415 - the library works without the extra
    except ExtraMissing as error:
        _fail(f"error: {error}\n")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:  # noqa: BLE001 - a package that is not whole
        _fail(traceback.format_exc())
    try:
        run()
    except Exception:  # noqa: BLE001 - a bug, told whole
        _fail(traceback.format_exc())


def _fail(text: str) -> NoReturn:
    """Print *text* on standard error, as far as it can be written, and exit with 2."""
    with suppress(OSError):
        sys.stderr.write(text)
    flush_or_drop(sys.stderr)
    sys.exit(2)
