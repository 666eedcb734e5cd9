"""
The program `diijam-consent`.

It lies beside the package, so that Ctrl-C while the package is imported, much of the time of a short command, ends it
as it does later on.
"""

from __future__ import annotations

import sys


def main() -> None:
    """
    Run the command that the process was started with.

    Raises:
        SystemExit: always; its code is the exit status.
    """
    try:
        from diijam_consent_sdk.cli import main as run  # noqa: PLC0415 - see above

        run()
    except KeyboardInterrupt:
        sys.exit(130)
