"""`python -m tests.conformance.generate`: write the JSON that is shipped from the cases written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .grammar import cases_in

HERE = Path(__file__).parent
SHIPPED = HERE.parent.parent / "diijam_consent_sdk" / "testing" / "conformance" / "cases"


def shipped(source: Path) -> tuple[Path, str]:
    """The file that ships the cases of *source*, and its text."""
    heading = source.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    cases = ",\n".join(_laid_out(case) for case in cases_in(source))
    text = f'{{\n"format": 1,\n"heading": {_json(heading)},\n"cases": [\n{cases}\n]\n}}\n'
    return SHIPPED / f"{source.stem}.json", text


def _laid_out(case: dict[str, Any]) -> str:
    """A case with a line for each step, so that a difference is read in a diff."""
    head = ", ".join(f'"{name}": {_json(case[name])}' for name in ("id", "clause", "title"))
    return f'{{{head}, "steps": [\n' + ",\n".join("  " + _json(step) for step in case["steps"]) + "\n]}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    for one in sorted(HERE.glob("clause_*.txt")):
        path, text = shipped(one)
        path.write_text(text, encoding="utf-8")
