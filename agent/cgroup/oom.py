"""OOM kills as the kernel's log tells them: the only word left of a container that died of one.

A cgroup vanishes with its last process, its counter with it, often before anybody reads it. What is kept here is given
out for a while after, under the same series, so that the count is seen to rise.
"""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import dataclass, field

from obs.agent.limits import OOM_CGROUPS_MAX, OOM_KEEP_S
from obs.agent.rootfs import HostRoot

log = logging.getLogger(__name__)

# Source: dump_oom_summary in mm/oom_kill.c; a task in the root cgroup is no container's.
_OOM_KILL = re.compile(r";oom-kill:constraint=[A-Z_]+,.*\btask_memcg=(/[^,]+),task=")
RECORD_BYTES = 8192  # one read gives one record; the kernel's own are shorter


def oom_cgroup(record: str) -> str | None:
    """The cgroup of the task that a record of `/dev/kmsg` (`level,number,time,flags;text`) says was killed."""
    found = _OOM_KILL.search(record)
    return found[1] if found else None


@dataclass(slots=True)
class OomWatch:
    """Counts kills by cgroup from now on; without access to the kernel's log there are none."""

    root: HostRoot
    _fd: int = -1
    _counts: dict[str, int] = field(default_factory=dict)
    _seen_s: dict[str, float] = field(default_factory=dict)

    def open(self) -> None:
        """Begin at the end of the log."""
        try:
            self._fd = os.open(self.root.at("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as e:
            log.info("cannot read the kernel's log: %s; OOM kills are taken from cgroups alone", e.strerror)

    def counts(self) -> dict[str, int]:
        """Kills by cgroup, of cgroups with one in the last minutes."""
        for record in self._records():
            cgroup = oom_cgroup(record)
            if cgroup is not None and (cgroup in self._counts or len(self._counts) < OOM_CGROUPS_MAX):
                self._counts[cgroup] = self._counts.get(cgroup, 0) + 1
                self._seen_s[cgroup] = time.monotonic()
        oldest = time.monotonic() - OOM_KEEP_S
        for cgroup in [c for c, seen in self._seen_s.items() if seen < oldest]:
            del self._counts[cgroup], self._seen_s[cgroup]
        return self._counts

    def _records(self) -> list[str]:
        out: list[str] = []
        while self._fd >= 0:
            try:
                record = os.read(self._fd, RECORD_BYTES)
            except BlockingIOError:
                break
            except BrokenPipeError:  # records were overwritten before we read them; the next read goes on after
                continue
            except OSError:
                break
            if not record:
                break
            out.append(record.decode("utf-8", "replace"))
        return out

    def close(self) -> None:
        """Release the log."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
