"""The documents do not lie: their tables name what exists. (`test_pages.py` runs what they show.)"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import diijam_consent_sdk
from diijam_consent_sdk.vocabulary import Reason

ROOT = Path(__file__).parent.parent


def test_the_decision_table_names_every_reason() -> None:
    """docs/decision-table.md and `Reason` name the same words."""
    table = (ROOT / "docs" / "decision-table.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z_]+)`", table))
    assert {reason.name for reason in Reason} <= named


def test_the_public_names_are_sorted_and_there() -> None:
    """`__all__` is sorted, complete and importable."""
    names = diijam_consent_sdk.__all__
    assert names == sorted(names)
    assert all(hasattr(diijam_consent_sdk, name) for name in names)


def test_the_core_stays_small() -> None:
    """The pure core is below 1,320 lines, blank ones not counted."""
    core = ("vocabulary", "policy", "events", "record", "decisions")
    lines = [
        line
        for name in core
        for line in (ROOT / "diijam_consent_sdk" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    ]
    assert sum(bool(line.strip()) for line in lines) < 1_320


def test_what_the_pages_write_is_no_part_of_the_repository() -> None:
    """The files that a shown command writes, with customers' ids in them or tokens, are ignored by git."""
    pages = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]
    shown = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    written = set(re.findall(r"^\$ .*(?:--output|--tokens|>) ([a-z-]+\.[a-z]+)\b", shown, re.MULTILINE))
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").split("\n")
    assert {"mailable.csv", "tokens.json"} <= written
    for name in written:
        assert any(fnmatch(f"/{name}", pattern) or fnmatch(name, pattern) for pattern in patterns), name


def test_what_the_pages_import_is_in_the_reference() -> None:
    """A name that a page imports from the library can be looked up."""
    reference = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    whole = set(re.findall(r"automodule:: diijam_consent_sdk\.([\w.]+)\n   :members:\n", reference))
    for page in [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]:
        code = page.read_text(encoding="utf-8")
        for module, names in re.findall(
            r"^from diijam_consent_sdk\.?([\w.]*) import \(?([\w,\s]+?)\)?$", code, re.MULTILINE
        ):
            missing = {name for name in re.findall(r"\w+", names) if not re.search(rf"\b{name}\b", reference)}
            assert not missing or module in whole, (page.name, missing)


def test_shown_postgresql_urls_ask_for_tls() -> None:
    """A URL to another machine has an sslmode, without which it is refused."""
    sources = [
        *ROOT.glob("README*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "diijam_consent_sdk" / "cli").rglob("*.py"),
    ]
    texts = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    found = re.findall(r"postgresql://[^\s\"'`,…]+@[^\s\"'`…]+", texts)
    shown = {url.rstrip(".,") for url in found} - {"postgresql://user@host/database"}
    assert len(shown) > 3
    assert {url for url in shown if "sslmode=" not in url and "@127.0.0.1:" not in url} == set()


def test_the_glossary_is_sorted() -> None:
    """Under each heading of docs/glossary.md the terms are in order, each once."""
    terms = [
        re.findall(r"^(.+)\n: ", part, re.MULTILINE)
        for part in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split("\n## ")[1:]
    ]
    assert [len(part) > 10 for part in terms] == [True] * 3
    for part in terms:
        assert part == sorted(set(part), key=str.casefold)


def lines_of_the_tree() -> Iterator[tuple[str, list[str], str]]:
    """Each line of the tree in docs/architecture.md: the folder it is in, the names in its first column, its text."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders: list[str] = []
    for line in re.findall(r"```\n(.*?)```", page, re.DOTALL)[1].splitlines():
        column, text = line[:24], line[24:]
        names = column.replace(",", " ").split()
        if names:
            folders = folders[: (len(line) - len(line.lstrip())) // 2]
        if column.rstrip().endswith("/"):
            folders += names
        yield "".join(folders), names, text


def test_the_architecture_page_has_every_module() -> None:
    """The tree names every module and folder of the package in its folder's lines, and none that is gone."""
    package = ROOT / "diijam_consent_sdk"
    words: dict[str, set[str]] = {}
    for folder, names, text in lines_of_the_tree():
        words.setdefault(folder, set()).update(re.findall(r"\w+", " ".join([*names, text])))
        for name in names:
            there = package / folder / name.removesuffix("/") if not name.endswith("/") else package / folder
            assert there.with_suffix(".py").exists() or there.is_dir(), name
    for module in sorted(package.rglob("*.py")):
        folder = f"{module.parent.relative_to(package)}/".removeprefix("./")
        if module.stem not in {"__init__", "__main__"} and not folder.startswith("cli/commands/"):
            assert module.stem in words[folder], module


def test_the_pages_name_what_exists() -> None:
    """`Class.name` and `folder/module.py` in the pages on the protocol and the architecture are in the code."""
    classes: dict[str, list[type]] = {}
    for module in pkgutil.walk_packages(diijam_consent_sdk.__path__, "diijam_consent_sdk."):
        if not module.name.startswith(("diijam_consent_sdk.integrations.", "diijam_consent_sdk.cli.__main__")):
            for found in vars(importlib.import_module(module.name)).values():
                if isinstance(found, type):
                    classes.setdefault(found.__name__, []).append(found)
    for page in ("protocol.md", "architecture.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for owner, name in re.findall(r"`([A-Z]\w+)\.(\w+)(?:\(\))?`", text):
            assert any(hasattr(found, name) for found in classes.get(owner, ())), f"{owner}.{name}"
        for path in re.findall(r"`([\w/]+\.py)`", text):
            assert (ROOT / "diijam_consent_sdk" / path).exists(), path
