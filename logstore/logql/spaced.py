"""Records at least an interval apart, as a graph with too many lines wants them.

Source: Loki, "HTTP API", Query logs within a range of time: `interval`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from obs.logstore import limits
from obs.logstore.logql.query import Entries
from obs.logstore.logql.records import LogEntry
from obs.logstore.selection import Stats

if TYPE_CHECKING:
    from obs.logstore.logql.query import LogQL


def spaced_records(
    logql: LogQL, query: str, span: tuple[int, int], limit: int, newest_first: bool, apart_ns: int
) -> Entries:
    """The first record, and each first one that is `apart_ns` behind the last taken. Raises: QueryError, QueryLimit.

    A page is read from where the next may be; the last one of it is taken or too near to the last taken.
    """
    start_ns, end_ns = span
    found: list[LogEntry] = []
    stats = Stats()
    while len(found) < limit and start_ns < end_ns:
        page = logql.records(query, start_ns, end_ns, max(limit, limits.DEFAULT_ENTRIES), newest_first)
        stats.add(page.stats)
        for entry in page.entries:
            if not found or abs(entry.time_ns - found[-1].time_ns) >= apart_ns:
                found.append(entry)
        if page.next is None:
            break
        if newest_first:
            end_ns = found[-1].time_ns - apart_ns + 1
        else:
            start_ns = found[-1].time_ns + apart_ns
    return Entries(found[:limit], stats)
