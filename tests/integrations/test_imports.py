"""Nobody pays for a framework that is not used."""

from __future__ import annotations

import subprocess
import sys

FRAMEWORKS = ("celery", "django", "fastapi", "openfeature", "pandas", "polars", "pytest", "starlette")


def test_the_library_imports_no_framework() -> None:
    """A plain import, the test kit and the column functions import none."""
    code = (
        "import sys, diijam_consent_sdk, diijam_consent_sdk.testing, diijam_consent_sdk.integrations.frames;"
        f"print([name for name in {FRAMEWORKS} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
