"""All followed files: finds new ones, reads those that grew, sees rotations, and hands on records with their marks.

Rotation by renaming: the open descriptor is read to its end while the new file begins. By copying and truncating:
the copy is looked for and its rest read. What may have been lost is counted in `obs_agent_log_gaps_total`.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from obs.agent.limits import FINGERPRINT_BYTES, GLOB_EVERY_S, OPEN_FILES_MAX, ROTATED_DRAIN_S
from obs.agent.logs.assemble import TextRecord
from obs.agent.logs.discover import Found, find_files, is_binary, look_at
from obs.agent.logs.followed import FollowedFile
from obs.agent.logs.mark import FileMark, Fingerprint
from obs.agent.logs.resume import Resume, find_between, find_rest, first_offset, head_of
from obs.agent.own import OwnMetrics

log = logging.getLogger(__name__)

Emit = Callable[[FollowedFile, list[TextRecord], FileMark], None]
"""Takes records of one file, and the mark that their delivery acknowledges."""


class Follower:
    """Follows the files of `globs` from where `marks` left off. One thread."""

    def __init__(
        self,
        globs: Callable[[], Iterable[str]],
        marks: dict[str, FileMark],
        own: OwnMetrics,
        *,
        root: Path = Path("/"),
        first_line: re.Pattern[str] | None = None,
        retire: Callable[[FileMark], None] = lambda _: None,
    ) -> None:
        self._globs = globs
        self._resume = Resume(marks)
        self._own = own
        self._root = root
        self._first_line = first_line
        self._retire = retire
        self._files: dict[tuple[int, int], FollowedFile] = {}
        self._rests: list[FollowedFile] = []  # copies of truncated files, read once
        self._ignored: dict[tuple[int, int], Fingerprint] = {}  # binary files, and rotated ones read as rests
        self._scanned_at: float | None = None

    def poll(self, emit: Emit, may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """One look at everything; whether some file has more than one look may read.

        Stops between files when `may_go_on` says so, and goes on at the next poll.
        """
        if self._scanned_at is None or time.monotonic() - self._scanned_at >= GLOB_EVERY_S:
            self.scan()
        for rest in list(self._rests):
            if may_go_on() and not self._try(rest, self._read_rest, emit):
                self._rests.remove(rest)
        for file in list(self._files.values()):
            if not may_go_on():
                break
            if not self._try(file, self._poll_file, emit):
                del self._files[file.identity]
        self._own.set("obs_agent_log_files", len(self._files))
        return bool(self._rests) or any(file.has_more for file in self._files.values())

    def _try(self, file: FollowedFile, look: Callable[[FollowedFile, Emit], None], emit: Emit) -> bool:
        """Look at one file; an error costs no other its look. False: it is gone, and its rest cannot be read."""
        try:
            look(file, emit)
            file.is_failing = False
            return True
        except OSError as e:
            if not file.is_failing:
                self._cannot_read(file.path, e)
            file.is_failing = True
        if _leads_to(file):
            return True  # it is tried again at the next look
        self._own.add("obs_agent_log_gaps_total", reason="vanished")
        file.close()
        return False

    def _cannot_read(self, path: str, error: OSError) -> None:
        self._own.add("obs_agent_log_read_failures_total")
        log.warning("cannot read log file %r: %s; the others go on", path, error.strerror)

    def scan(self) -> None:
        """Expand the globs, begin to follow what is new."""
        is_first = self._scanned_at is None
        self._scanned_at = time.monotonic()
        for found in find_files(self._globs(), self._root):
            identity = (found.device, found.inode)
            known = self._files.get(identity)
            if known is not None and known.gone_since is not None:
                known.path = found.path  # renamed to a name that a glob covers too
            elif known is None and not self._is_ignored(found):
                self._follow(found, is_young=not is_first)
        if is_first:
            self._follow_leftovers()

    def close(self) -> None:
        """Release all descriptors; what is not emitted is read again by the next run."""
        for file in [*self._files.values(), *self._rests]:
            file.close()
        self._files.clear()
        self._rests.clear()

    def _is_ignored(self, found: Found) -> bool:
        """Whether this is a file to leave alone; another that got its inode is not."""
        fingerprint = self._ignored.get((found.device, found.inode))
        return fingerprint is not None and fingerprint.matches(head_of(found.path))

    def _follow(self, found: Found, *, is_young: bool) -> None:
        if len(self._files) >= OPEN_FILES_MAX:
            self._own.add("obs_agent_log_files_refused_total")
            return
        try:
            fd = os.open(found.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as e:
            if is_young is False:
                log.warning("cannot follow %r: %s", found.path, e.strerror)
            return
        try:
            self._begin(found, fd, is_young)
        except OSError as e:
            os.close(fd)
            self._cannot_read(found.path, e)
            self._ignored[found.device, found.inode] = Fingerprint.of(b"")

    def _begin(self, found: Found, fd: int, is_young: bool) -> None:
        """Follow an open file from its place, unless it is no text. Raises: OSError."""
        head = os.pread(fd, FINGERPRINT_BYTES, 0)
        if is_binary(head):
            self._ignored[found.device, found.inode] = Fingerprint.of(head)
            os.close(fd)
            return
        mark = self._resume.claim(found, head)
        if mark is not None:
            file = self._open(found.path, fd, mark.offset, mark.key)
        else:
            file = self._open(found.path, fd, self._first_offset(found, fd, is_young))
        self._files[file.identity] = file

    def _first_offset(self, found: Found, fd: int, is_young: bool) -> int:
        """Where to start in a file without a mark; in a copy of a followed file, where we are in that one."""
        head = os.pread(fd, FINGERPRINT_BYTES, 0)
        for file in self._files.values() if head else ():
            is_named_after = os.path.basename(found.path).startswith((f"{file.name}.", f"{file.name}-"))
            if is_named_after and file.fingerprint.length == len(head) and file.fingerprint.matches(head):
                return min(file.offset, found.size)
        return first_offset(fd, found.size, is_young=is_young or self._resume.was_followed(found.path))

    def _open(self, path: str, fd: int, offset: int, key: str = "") -> FollowedFile:
        return FollowedFile(path, fd, offset, key=key, first_line=self._first_line)

    def _follow_rest(self, mark: FileMark, reason: str) -> None:
        """Read the rest of a file that is no longer where it was, or count the gap."""
        found = find_rest(mark)
        if found is None:
            self._own.add("obs_agent_log_gaps_total", reason=reason)
            self._retire(mark)
            return
        self._add_rest(found, mark.path, mark.offset, mark.key)

    def _follow_leftovers(self) -> None:
        """Rests of files that were rotated while we were away; then, whole, those that came and went meanwhile."""
        marks = self._resume.leftovers()
        rests = [(mark, find_rest(mark)) for mark in marks]
        for mark in marks:
            self._follow_rest(mark, "vanished")
        for mark, rest in rests:
            for between in find_between(rest, mark.path) if rest else ():
                self._add_rest(between, mark.path, 0)

    def _add_rest(self, found: Found, path: str, offset: int, key: str = "") -> None:
        """Read a rotated file from `offset` to its end, once, under the name that it had."""
        if (found.device, found.inode) in self._files or self._is_ignored(found):
            return
        try:
            fd = os.open(found.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._own.add("obs_agent_log_gaps_total", reason="vanished")
            return
        try:
            rest = self._open(path, fd, offset, key)
        except OSError as e:
            os.close(fd)
            self._cannot_read(found.path, e)
            return
        self._rests.append(rest)
        self._ignored[rest.identity] = rest.fingerprint

    def _poll_file(self, file: FollowedFile, emit: Emit) -> None:
        try:
            status = os.stat(file.path)
        except OSError:
            status = None
        is_there = status is not None and (status.st_dev, status.st_ino) == file.identity
        if is_there and status is not None and file.is_unchanged(status):
            return
        if file.was_replaced():
            file = self._begin_again(file)
        self._emit(file, file.read(), emit)
        if is_there:
            file.gone_since = None
        elif file.gone_since is None:
            file.gone_since = time.monotonic()
            self._scanned_at = self._scanned_at and self._scanned_at - GLOB_EVERY_S  # look for its successor now
        elif self._is_drained(file):
            self._end(file, emit)
            del self._files[file.identity]

    def _is_drained(self, file: FollowedFile) -> bool:
        now = time.monotonic()
        quiet_s = min(now - (file.gone_since or now), now - file.last_data)
        return quiet_s >= ROTATED_DRAIN_S and file.unread_bytes == 0

    def _begin_again(self, file: FollowedFile) -> FollowedFile:
        """The file was truncated: what we had not read may be in a copy; then it is a new file."""
        self._follow_rest(file.mark, "truncated")
        self._own.add("obs_agent_log_truncations_total")
        fresh = file.again()
        self._files[fresh.identity] = fresh
        return fresh

    def _read_rest(self, rest: FollowedFile, emit: Emit) -> None:
        self._emit(rest, rest.read(), emit)
        if rest.unread_bytes == 0:
            self._end(rest, emit)
            self._rests.remove(rest)

    def _end(self, file: FollowedFile, emit: Emit) -> None:
        """Give out what is held back and forget the file."""
        self._emit(file, file.finish(), emit)
        if file.has_given:
            self._retire(file.mark)
        file.close()

    def _emit(self, file: FollowedFile, records: list[TextRecord], emit: Emit) -> None:
        counts, file.counts = file.counts, type(file.counts)()
        if counts.bytes:
            self._own.add("obs_agent_log_bytes_total", counts.bytes)
        if counts.lines:
            self._own.add("obs_agent_log_lines_total", counts.lines)
        if counts.cut:
            self._own.add("obs_agent_log_lines_cut_total", counts.cut)
        if records:
            self._own.add("obs_agent_log_records_total", len(records))
            file.has_given = True
            emit(file, records, file.mark)


def _leads_to(file: FollowedFile) -> bool:
    """Whether its path still leads to it."""
    found = look_at(file.path)
    return found is not None and (found.device, found.inode) == file.identity
