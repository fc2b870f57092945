"""Between followed files and the lane: records into requests of bounded size, marks with the last of each file's.

Reading stops while the lane is full: the files themselves hold what waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from obs.agent.lane import Lane
from obs.agent.limits import LOG_BYTES_PER_REQUEST, LOG_RECORDS_PER_REQUEST
from obs.agent.logs.assemble import TextRecord
from obs.agent.logs.followed import FollowedFile
from obs.agent.logs.follower import Follower
from obs.agent.logs.mark import FileMark
from obs.agent.otlp_logs import LogsRequest
from obs.agent.request import Request

ResourceOf = Callable[[str], Mapping[str, str]]
"""The path of a log file → the resource of its records."""


class LogShipper:
    """Polls the follower and submits what it finds."""

    def __init__(self, follower: Follower, lane: Lane, resource_of: ResourceOf) -> None:
        self._follower = follower
        self._lane = lane
        self._resource_of = resource_of
        self._open = LogsRequest()
        self._marks: dict[str, FileMark] = {}

    def poll(self) -> bool:
        """What is new since the last poll, as far as the lane takes it; whether there is more to read at once."""
        has_more = self._follower.poll(self._take, lambda: not self._lane.is_full)
        self._submit()
        return has_more and not self._lane.is_full

    def close(self) -> None:
        """Stop following."""
        self._follower.close()

    def _take(self, file: FollowedFile, records: list[TextRecord], mark: FileMark) -> None:
        resource = self._resource_of(file.path)
        now_ns = time.time_ns()
        for part in split_records(records):
            if self._open.records and self._open.chars + sum(len(r.text) for r in part) > LOG_BYTES_PER_REQUEST:
                self._submit()
            self._open.add(file.path, resource, part, now_ns)
            if part[-1] is records[-1]:  # a mark acknowledges all before it, so it travels with the last record
                self._marks[mark.key] = mark
            if self._open.records >= LOG_RECORDS_PER_REQUEST:
                self._submit()

    def _submit(self) -> None:
        if self._open.records:
            request = Request(self._open.serialize(), self._open.records, tuple(self._marks.values()))
            self._lane.submit(request)
            self._open, self._marks = LogsRequest(), {}


def split_records(records: list[TextRecord]) -> list[list[TextRecord]]:
    """Parts that each fit a request, by number and by size; a single record always fits."""
    parts: list[list[TextRecord]] = []
    chars = 0
    for record in records:
        chars += len(record.text)
        if not parts or chars > LOG_BYTES_PER_REQUEST or len(parts[-1]) >= LOG_RECORDS_PER_REQUEST:
            parts.append([])
            chars = len(record.text)
        parts[-1].append(record)
    return parts
