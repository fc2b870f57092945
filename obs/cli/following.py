"""`obs logs -f`: the last records, then new ones for ever; what a lost connection missed is fetched, none comes twice.

Records are told apart by time, line and labels: of those equal in all, as many are written as there are.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

from obs.cli.output import note
from obs.client import ClientError, ObsClient, QueryResult
from obs.client.loki import LOST

RETRY_S = 1.0
LATE_NS = 60 * 10**9
"""How far before the end of a connection records may lie that came while there was none."""

REMEMBERED = 100_000
"""Records that are known as written: some 10 MB."""

PAGE = 1_000
FAR_NS = 1 << 62

Record = tuple[int, str, dict[str, str]]  # time_ns, line, labels and attributes


def records(result: QueryResult, forward: bool = False) -> list[Record]:
    """The streams' records in the order of time; those of equal times as they were taken in."""
    found = [record for stream in result.result for record in of_stream(stream)]
    return sorted(found if forward else reversed(found), key=lambda r: r[0])


def of_stream(stream: Mapping[str, Any]) -> Iterator[Record]:
    """The records of a stream of an answer."""
    for entry in stream["values"]:
        attributes: dict[str, Any] = entry[2] if len(entry) > 2 else {}
        own = {**attributes.get("structuredMetadata", {}), **attributes.get("parsed", {})}
        yield int(entry[0]), entry[1], {**stream["stream"], **own}


class Written:
    """The latest records that were written, and from when on all of them are known."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._order: deque[tuple[int, int]] = deque()  # key, time
        self.count: Counter[int] = Counter()
        self.floor_ns = 0

    def add(self, new: list[Record]) -> None:
        """Some more."""
        for record in new:
            key = key_of(record)
            self._order.append((key, record[0]))
            self.count[key] += 1
        while len(self._order) > self._most:
            key, time_ns = self._order.popleft()
            self.count[key] -= 1
            if not self.count[key]:
                del self.count[key]
            self.floor_ns = max(self.floor_ns, min(time_ns, time.time_ns()) + 1)


def key_of(record: Record) -> int:
    """What tells a record from others."""
    time_ns, line, labels = record
    return hash((time_ns, line, *sorted(labels.items())))


def beyond(found: list[Record], known: Counter[int]) -> list[Record]:
    """The records that are not among the known ones; those that are, are taken off these."""
    new = []
    for record in found:
        key = key_of(record)
        if known[key] > 0:
            known[key] -= 1
        else:
            new.append(record)
    return new


def follow(client: ObsClient, logql: str, since_ns: int, limit: int) -> Iterator[list[Record]]:
    """The last records and then new ones for ever; a lost connection is made again. Raises: ClientError."""
    written, alive_ns = Written(), 0  # when the connection was there last
    while True:
        start_ns = max(since_ns, written.floor_ns, alive_ns - LATE_NS) if alive_ns else since_ns
        try:
            for found in _connected(client, logql, start_ns, limit, written.count if alive_ns else None):
                if not alive_ns and len(found) >= limit:  # older ones were left out for good
                    written.floor_ns = found[0][0] + 1
                alive_ns = time.time_ns()
                written.add(found)
                yield found
        except ClientError as e:
            if not alive_ns or not (e.kind == LOST or e.status is None or e.status >= 500):
                raise
            note(f"{e}; trying again")
            time.sleep(RETRY_S)


def _connected(
    client: ObsClient, logql: str, start_ns: int, limit: int, written: Counter[int] | None
) -> Iterator[list[Record]]:
    """What one connection brings; `written`: what was written before, None for the first connection.

    A tail knows what is taken in from its first message on, so what came before is asked for behind that; what both
    tell is taken off the tail's.
    """
    messages = client.loki.tail(logql, start_ns, limit)
    fetched: Counter[int] = Counter()
    first = next(messages)
    if written is None:
        yield _records_of(first)
    else:
        known = written.copy()
        for page in _pages(client, logql, start_ns):
            new = beyond(page, known)
            fetched.update(map(key_of, new))
            yield new
    for message in messages:
        yield beyond(_records_of(message), fetched)
        dropped = sum(entry.get("count", 1) for entry in message.get("dropped_entries", ()))
        if dropped:
            note(f"{dropped} records were left out: they came faster than they were read")


def _records_of(message: Mapping[str, Any]) -> list[Record]:
    return sorted((r for s in message["streams"] for r in of_stream(s)), key=lambda r: r[0])


def _pages(client: ObsClient, logql: str, start_ns: int) -> Iterator[list[Record]]:
    """All records since a time, oldest first."""
    after: str | None = None
    while True:
        found = client.loki.query_range(logql, start_ns, FAR_NS, limit=PAGE, direction="forward", after=after)
        yield records(found, forward=True)
        after = found.next
        if after is None:
            return
