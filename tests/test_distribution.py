"""What people install: the wheel has all that the library needs, and the source archive all that its tests need."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "diijam_consent_sdk"


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """What a program prints; its errors are the test's."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive, built as `make dist` builds them, but with what is installed."""
    if not (ROOT / ".git").exists() or not SOURCE.exists():
        pytest.skip("no checkout: what is unpacked or installed here is under test")
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], folder)
    return folder


def test_the_wheel_alone_runs_the_first_lines_of_the_readme(dist: Path, tmp_path: Path) -> None:
    """In an environment that never saw the source tree, the README's first block runs from the wheel."""
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
    # The other packages come from this environment; its link to the source tree is not followed.
    (packages / "others.pth").write_text(str(Path(structlog.__file__).parent.parent), encoding="utf-8")
    (wheel,) = dist.glob("*.whl")
    run([sys.executable, "-m", "zipfile", "-e", wheel, packages], tmp_path)
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    where = "import diijam_consent_sdk\nprint(diijam_consent_sdk.__file__)\n"
    printed = run([python, "-c", where + block[1]], tmp_path)
    assert printed.startswith(str(packages))
    assert "send it" in printed


def test_the_source_archive_has_what_the_tests_need(dist: Path) -> None:
    """The tests can run from the unpacked archive, since every file that git tracks for them is inside."""
    tracked = run(
        ["git", "ls-files", "tests", "docs", "deploy", "examples", "benchmarks", "*.md", "Makefile", "LICENSE"], ROOT
    )
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        inside = {name.partition("/")[2] for name in files.getnames()}
    assert set(tracked.splitlines()) - inside == set()
