"""Pages of records in the total order of `firstrows`.

A cursor (a time, and how many records of that time were given) goes on where a page ended, however many records share
the time and whatever is flushed in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from obs.errors import QueryError, QueryLimit
from obs.logstore import limits
from obs.logstore.firstrows import Cursor
from obs.logstore.logql.records import LogEntry

Find = Callable[[int, int, int, Cursor | None], list[LogEntry]]
"""The first records of start_ns <= time < end_ns in the direction asked for: from, until, how many, behind what."""

_CURSOR = re.compile(r"(-?\d{1,19})\.(\d{1,9})")


def first_page(
    find: Find, start_ns: int, end_ns: int, limit: int, newest_first: bool, after: str = ""
) -> tuple[list[LogEntry], str | None]:
    """At most `limit` records behind the cursor `after`, and the cursor of what follows; None where nothing does.

    Raises: QueryError where the cursor cannot be read, QueryLimit where too many records of one time lie before it.
    """
    behind = _read(after) if after else None
    if behind is not None:
        at = behind.time_ns
        behind = behind if start_ns <= at < end_ns else None
        start_ns, end_ns = (start_ns, min(end_ns, at + 1)) if newest_first else (max(start_ns, at), end_ns)
    if start_ns >= end_ns:
        return [], None
    found = find(start_ns, end_ns, limit + 1, behind)
    return found[:limit], _cursor(found[:limit], behind) if len(found) > limit else None


def _cursor(page: Sequence[LogEntry], behind: Cursor | None) -> str:
    """The cursor behind a page that began behind another."""
    last = page[-1].time_ns
    given = sum(1 for _ in takewhile(lambda entry: entry.time_ns == last, reversed(page)))
    if behind is not None and behind.time_ns == last:
        given += behind.given
    return f"{last}.{given}"


def _read(cursor: str) -> Cursor:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise QueryError(f"cannot go on after {cursor[:60]!r}: it is no cursor; take the one that the page before gave")
    if int(found[2]) > limits.TIED_ENTRIES:
        raise QueryLimit(
            f"cannot page through more than {limits.TIED_ENTRIES} records of the time {found[1]}: filter further"
        )
    return Cursor(int(found[1]), int(found[2]))
