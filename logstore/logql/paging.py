"""Pages of records in a total order: by time, and among equal times by stream, then by when they were taken in.

The order is the same in the head and in blocks, so that a cursor (a time, and how many records of that time were
given) goes on where a page ended, however many records share the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from obs.errors import QueryError, QueryLimit
from obs.logstore import limits
from obs.logstore.logql.records import LogEntry

Find = Callable[[int, int, int], list[LogEntry]]
"""The first records of start_ns <= time < end_ns in the direction asked for: start_ns, end_ns, how many."""

_CURSOR = re.compile(r"(-?\d{1,19})\.(\d{1,9})")


def first_page(
    find: Find, start_ns: int, end_ns: int, limit: int, newest_first: bool, after: str = ""
) -> tuple[list[LogEntry], str | None]:
    """At most `limit` records behind the cursor `after`, and the cursor of what follows; None where nothing does.

    Raises: QueryError where the cursor cannot be read, QueryLimit where too many records share one time.
    """
    page: list[LogEntry] = []
    if after:
        at, skip = _read(after)
        start_ns, end_ns = (start_ns, min(end_ns, at + 1)) if newest_first else (max(start_ns, at), end_ns)
        if start_ns >= end_ns:
            return [], None
        if at in range(start_ns, end_ns):
            page = _of_time(find, at, newest_first)[skip:]
            start_ns, end_ns = (start_ns, at) if newest_first else (at + 1, end_ns)
        if len(page) > limit:
            return page[:limit], f"{at}.{skip + limit}"
    room = limit - len(page)
    rest = find(start_ns, end_ns, room + 1) if start_ns < end_ns else []
    if len(rest) > room and room and rest[room].time_ns == rest[room - 1].time_ns:
        edge = rest[room].time_ns
        inner = list(takewhile(lambda entry: entry.time_ns != edge, rest))
        page += ordered(inner, newest_first) + _of_time(find, edge, newest_first)[: room - len(inner)]
        return page, _behind(page)
    page += ordered(rest[:room], newest_first)
    if len(rest) <= room:
        return page, None
    return page, _behind(page) if room else f"{after.partition('.')[0]}.{_read(after)[1] + limit}"


def ordered(entries: Sequence[LogEntry], newest_first: bool) -> list[LogEntry]:
    """Records as they were found, in the total order."""
    found = sorted(reversed(entries) if newest_first else entries, key=_key)
    return found[::-1] if newest_first else found


def _key(entry: LogEntry) -> tuple[object, ...]:
    return entry.time_ns, entry.stream, int(entry.metadata.get("observed_timestamp", "0"))


def _of_time(find: Find, time_ns: int, newest_first: bool) -> list[LogEntry]:
    """All records of one time."""
    found = find(time_ns, time_ns + 1, limits.TIED_ENTRIES + 1)
    if len(found) > limits.TIED_ENTRIES:
        raise QueryLimit(
            f"cannot page through more than {limits.TIED_ENTRIES} records of the time {time_ns}: filter further"
        )
    return ordered(found, newest_first)


def _behind(page: Sequence[LogEntry]) -> str:
    """The cursor behind a page that begins before its last time."""
    last = page[-1].time_ns
    return f"{last}.{sum(1 for _ in takewhile(lambda entry: entry.time_ns == last, reversed(page)))}"


def _read(cursor: str) -> tuple[int, int]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise QueryError(f"cannot go on after {cursor[:60]!r}: it is no cursor; take the one that the page before gave")
    return int(found[1]), int(found[2])
