"""mypy sees what docs/how-to/misuse.md promises, with the flags that it names and no others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
IGNORED = re.compile(r"  # type: ignore\[([\w-]+)\](?:  # pyright: .+)?$", re.MULTILINE)
REPORTED = re.compile(r"^\S+\.py:(\d+): error: .*\[([\w-]+)\]$", re.MULTILINE)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy remembers from one test to the next."""
    return tmp_path_factory.mktemp("mypy")


def reported(cache: Path, source: str, *flags: str) -> set[tuple[int, str]]:
    """The lines and codes that mypy reports of *source*, with no configuration but these flags."""
    page = cache / "page.py"
    page.write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file=", f"--cache-dir={cache}", *flags, str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode in {0, 1}, done.stderr
    return {(int(line), code) for line, code in REPORTED.findall(done.stdout)}


def test_misuse_is_reported(cache: Path) -> None:
    """Each slip is reported on its line: uncalled guards and most forgotten awaits by mypy as it comes."""
    source = (HERE / "misuse.py").read_text(encoding="utf-8")
    expected = {
        (number, found[1])
        for number, line in enumerate(source.splitlines(), 1)
        if (found := IGNORED.search(line)) and found[1] != "unreachable"
    }
    bare = IGNORED.sub("", source)
    assert reported(cache, bare) == {one for one in expected if one[1] != "truthy-bool"}
    assert reported(cache, bare, "--enable-error-code=truthy-bool") == expected
    assert {code for _, code in expected} == {
        "truthy-function", "truthy-bool", "unused-coroutine", "attr-defined", "arg-type",
    }  # fmt: skip


def test_the_public_types(cache: Path) -> None:
    """What users get has the types written in public.py, and a called guard is nowhere complained of."""
    source = (HERE / "public.py").read_text(encoding="utf-8")
    asked = "\n\ndef asked(user: UserConsent) -> bool:\n    return True if user.can_market('email') else False\n"
    assert reported(cache, source + asked, "--strict", "--enable-error-code=truthy-bool") == set()
