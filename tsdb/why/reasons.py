"""The words of an explanation: a reason and its place, lists that end, the nearest names, times told as people do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from obs.model.durations import duration_text
from obs.tsdb.promql.plan import quote

SHOWN = 5
"""Names or values of a list that are shown; more would not be read."""

CANDIDATES = 20_000
"""Names that are compared letter by letter with the one asked for, some 20 µs each."""

SECOND, DAY = 1000, 86_400_000


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one part of the query gave nothing; the place counts from 1."""

    line: int
    column: int
    expression: str
    text: str


def listed(values: Sequence[str], quoted: bool = True) -> str:
    """Some of the values, and how many more there are."""
    shown = ", ".join(quote(v) if quoted else v for v in values[:SHOWN])
    return f"{shown} and {len(values) - SHOWN} more" if len(values) > SHOWN else shown


def nearest(wanted: str, there: Sequence[str]) -> list[str]:
    """Those that look most like it, the likest first: by letters, or because one holds the other."""
    alike = difflib.get_close_matches(wanted, there[:CANDIDATES], SHOWN, 0.6)
    low = wanted.lower()
    alike += [name for name in there if low and low in name.lower() and name not in alike][: SHOWN - len(alike)]
    return alike


def count(n: int, noun: str) -> str:
    """`1 series`, `3 samples`."""
    return f"{n:,} {noun}" if n == 1 or noun.endswith("s") else f"{n:,} {noun}s"


def moment(t_ms: int) -> str:
    """A time in UTC."""
    try:
        return f"{datetime.fromtimestamp(t_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):  # past what a calendar holds
        return f"{t_ms / 1000:.3f}"


def span(ms: int) -> str:
    """A duration in its two largest units."""
    unit = DAY if ms >= 2 * DAY else 60 * SECOND if ms >= 3600 * SECOND else SECOND
    return duration_text(ms // unit * unit) if ms >= SECOND else f"{ms} ms"
