"""Where to start in a file, given what an earlier run left: the one place that decides it.

Known file (same inode and fingerprint, not shorter): where we were. A path that we followed, with another file on it:
from its beginning, and the old file's rest is looked for beside it. Never seen: from the beginning if it is small
or appeared while we run, else the last part, from a line's start.
"""

from __future__ import annotations

import os
import re

from obs.agent.limits import FINGERPRINT_BYTES, FIRST_READ_BYTES
from obs.agent.logs.discover import Found, look_at, rotated_siblings
from obs.agent.logs.mark import FileMark


class Resume:
    """The marks of an earlier run that nothing has claimed yet."""

    def __init__(self, marks: dict[str, FileMark]) -> None:
        self._marks = dict(marks)
        self._paths = {m.path for m in marks.values()}

    def claim(self, found: Found, head: bytes) -> FileMark | None:
        """The mark of exactly this file, or None."""
        same = [
            m
            for m in self._marks.values()
            if (m.device, m.inode) == (found.device, found.inode)
            and m.fingerprint.matches(head)
            and m.offset <= found.size
        ]
        best = max(same, key=lambda m: m.offset, default=None)
        if best is not None:
            del self._marks[best.key]
        return best

    def was_followed(self, path: str) -> bool:
        """Whether an earlier run followed a file at this path."""
        return path in self._paths

    def leftovers(self) -> list[FileMark]:
        """Marks whose files no glob names any more: rotated or removed while we were away. Given out once."""
        marks, self._marks = list(self._marks.values()), {}
        return marks


def first_offset(fd: int, size: int, *, is_young: bool) -> int:
    """Where to start in a file that was never seen."""
    if is_young or size <= FIRST_READ_BYTES:
        return 0
    start = size - FIRST_READ_BYTES
    newline = os.pread(fd, FIRST_READ_BYTES, start).find(b"\n")
    return start if newline < 0 else start + newline + 1


def find_rest(mark: FileMark) -> Found | None:
    """The file that `mark` is of, under the name a rotation gave it: by inode where it was renamed, by its first
    bytes where it was copied."""
    by_content = None
    for found in [*rotated_siblings(mark.path), *filter(None, [look_at(mark.path)])]:
        head = head_of(found.path)
        if found.size < mark.offset or not mark.fingerprint.length or not mark.fingerprint.matches(head):
            continue
        if (found.device, found.inode) == (mark.device, mark.inode):
            return found
        by_content = by_content or found
    return by_content


def find_between(rest: Found, path: str) -> list[Found]:
    """Files that were rotated away after `rest` while nobody looked, oldest first: its name with other digits."""
    pattern = re.sub(r"\d+", "0", rest.path)
    candidates = [f for f in rotated_siblings(path) if f.path != rest.path and re.sub(r"\d+", "0", f.path) == pattern]
    newest_first = sorted(candidates, key=_modified, reverse=True)
    return [f for f in reversed(newest_first) if _modified(f) > _modified(rest)]


def _modified(found: Found) -> int:
    try:
        return os.stat(found.path).st_mtime_ns
    except OSError:
        return 0


def head_of(path: str) -> bytes:
    """The bytes that a fingerprint is of; none where the file cannot be read."""
    try:
        with open(path, "rb") as f:
            return f.read(FINGERPRINT_BYTES)
    except OSError:
        return b""
