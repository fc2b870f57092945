"""Texts that every match of a regex contains: what filters can use of a regex query.

Careful rather than clever: what is not plainly a literal cuts the text, and a pattern that Python cannot take
apart gives none.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any

_parser: Any = re._parser  # type: ignore[attr-defined]


def required_literals(pattern: str) -> list[str]:
    """Literal runs that must occur in any text the pattern matches."""
    if "[:" in pattern:  # a class of RE2 that Python reads as something else
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        return []
    runs: list[str] = []
    _walk(tree, runs, [])
    folds = "(?" in pattern and not pattern.isascii()  # letters past ASCII may be in either case
    return [run for run in runs if run and not folds]


def exact_case(pattern: str) -> bool:
    """Whether literals of a pattern stand in a text as they are: no flag may be set in it but by groups without any."""
    return "(?" not in re.sub(r"\(\?(:|P?<\w)", "(", pattern)


def _walk(nodes: Iterable[tuple[Any, Any]], runs: list[str], run: list[str]) -> None:
    """Collect runs of literals; anything else ends a run, and a group or repetition is entered where it must occur."""
    for op, value in nodes:
        name = str(op)
        if name == "LITERAL":
            run.append(chr(value))
            continue
        runs.append("".join(run))
        run.clear()
        if name == "SUBPATTERN":
            _walk(value[3], runs, [])
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and value[0] > 0:
            _walk(value[2], runs, [])
    runs.append("".join(run))
