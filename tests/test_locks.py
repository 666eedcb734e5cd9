"""No lock is left held by a signal handler that raises."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import diijam_consent_sdk

SOURCE = Path(diijam_consent_sdk.__file__).parent
LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp)


def loops_under_locks(source: str) -> list[int]:
    """The lines of loops that stand in a `with` block of a lock itself, not in a function that it calls."""
    blocks = [
        block
        for block in ast.walk(ast.parse(source))
        if isinstance(block, ast.With) and any(ast.unparse(each.context_expr).endswith("_lock") for each in block.items)
    ]
    return [loop.lineno for block in blocks for loop in ast.walk(block) if isinstance(loop, LOOPS)]


def test_the_loops_are_found() -> None:
    """A loop in the block counts; one before it or in a function that it calls does not."""
    inside = "with self._lock:\n    while waiting:\n        go_on()\n    found = [x for x in y if x]\n"
    outside = "for x in y:\n    pass\nwith self._lock:\n    found = self._find()\n"
    assert loops_under_locks(inside) == [2, 4]
    assert loops_under_locks(outside) == []


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_loop_stands_in_the_block_of_a_lock(path: Path) -> None:
    """
    Python 3.12 and 3.13 leave the jump back of a loop out of the exception table, so a signal handler that raises there
    leaves the block without its end, and the lock held for ever. In a function that the block calls it does not.
    """
    assert loops_under_locks(path.read_text(encoding="utf-8")) == []
