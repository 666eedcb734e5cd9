"""Where results go: onto the terminal, and into docs/performance.md between marks, so that its other text stays."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .people import QUICK
from .timing import Spread

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
PYTHON = ".".join(platform.python_version_tuple()[:2])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column left, the others right."""
    lines = [list(columns), ["---", *["---:"] * (len(columns) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def publish(name: str, title: str, *parts: str) -> None:
    """
    Print a section, and put it into the document in the place of the one that this Python wrote before.

    Args:
        name: The comparison's.

        title: What the section is called.

        parts: Its paragraphs, tables and pictures.
    """
    text = "\n\n".join([f"### {title}, Python {PYTHON}", *parts, f"*{_circumstances()}*"])
    print(f"\n{text}\n")
    if QUICK:
        return
    begin, end = f"<!-- {name} {PYTHON} -->", f"<!-- end {name} {PYTHON} -->"
    section = f"{begin}\n{text}\n{end}"
    known = DOCUMENT.read_text(encoding="utf-8")
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text = place.sub(lambda _: section, known) if place.search(known) else f"{known.rstrip()}\n\n{section}\n"
    DOCUMENT.write_text(text, encoding="utf-8")


def bars(name: str, label: str, values: Mapping[str, Spread]) -> str:
    """Draw horizontal bars on a logarithmic scale beside the document; the Markdown that shows them."""
    if QUICK:
        return ""
    import matplotlib as mpl  # noqa: PLC0415 - not for a quick look

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "font.size": 9})
    figure, axes = plt.subplots(figsize=(7, 0.5 + 0.28 * len(values)))
    names = list(values)[::-1]
    medians = [values[each].median for each in names]
    beside = [
        [values[each].median - values[each].low for each in names],
        [values[each].high - values[each].median for each in names],
    ]
    ours = ["#1f6f54" if "consent" in each else "#9aa5a0" for each in names]
    drawn = axes.barh(names, medians, xerr=beside, color=ours, error_kw={"ecolor": "#555555", "elinewidth": 0.8})
    axes.bar_label(drawn, [f"{median:,.1f}" for median in medians], padding=6)
    axes.set_xscale("log")
    axes.set_xlim(right=max(medians) * 4)
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path = DOCUMENT.with_name(f"performance-{name}-{PYTHON}.svg")
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return f"![{label}]({path.name})"


def _circumstances() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} at commit {commit.stdout.strip() or 'unknown'} with Python"
        f" {platform.python_version()} on {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}."
        " Medians; in brackets where four fifths of the rounds lie."
    )
