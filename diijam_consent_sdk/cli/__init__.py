"""
The command line, `diijam-consent`.

It needs the extra `cli`: `pip install 'diijam-consent-sdk[cli]'`.
"""

from __future__ import annotations

import sys

from .._extras import ExtraMissing, needs_extra


def main() -> None:
    """
    Run the command that the process was started with.

    Raises:
        SystemExit: always; its code is the exit status.
    """
    try:
        with needs_extra("the command line", "cli", "cyclopts", "rich"):
            from .app import main as run  # noqa: PLC0415 - the library works without the extra
    except ExtraMissing as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    run()
