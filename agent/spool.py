"""Requests on disk while the server is away: a folder of numbered files, oldest first, bounded in bytes.

Used by one thread. A damaged file is set aside as counted loss, never an error.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import OrderedDict
from pathlib import Path

from obs.agent.filenames import SPOOL_SUFFIX, TEMPORARY_SUFFIX, write_atomically
from obs.agent.request import Request

log = logging.getLogger(__name__)


class Spool:
    """A first-in, first-out queue of requests in `folder`."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.damaged = 0
        self._sizes: OrderedDict[int, int] = OrderedDict()
        self._read_folder()
        self.bytes = sum(self._sizes.values())
        self._next = max(self._sizes, default=0) + 1

    def _read_folder(self) -> None:
        numbers = []
        for name in os.listdir(self.folder):
            if name.endswith(TEMPORARY_SUFFIX):
                (self.folder / name).unlink(missing_ok=True)
            elif name.endswith(SPOOL_SUFFIX) and name.removesuffix(SPOOL_SUFFIX).isdigit():
                numbers.append(int(name.removesuffix(SPOOL_SUFFIX)))
        for number in sorted(numbers):
            self._sizes[number] = self._path(number).stat().st_size

    def __len__(self) -> int:
        return len(self._sizes)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}{SPOOL_SUFFIX}"

    def append(self, request: Request) -> None:
        """Put a request last. Raises: OSError where the disk does not take it."""
        data = request.to_bytes()
        write_atomically(self._path(self._next), data)
        self._sizes[self._next] = len(data)
        self.bytes += len(data)
        self._next += 1

    @property
    def is_over(self) -> bool:
        """Whether it holds more than its limit."""
        return self.bytes > self.limit_bytes

    def head(self) -> Request | None:
        """The oldest request, or None when empty."""
        while self._sizes:
            number = next(iter(self._sizes))
            try:
                return Request.from_bytes(self._path(number).read_bytes())
            except (OSError, ValueError) as e:
                log.warning("cannot read spooled request %r: %s; it is dropped", str(self._path(number)), e)
                self.damaged += 1
                self.remove_head()
        return None

    def remove_head(self) -> None:
        """Forget the oldest request."""
        number, size = self._sizes.popitem(last=False)
        self.bytes -= size
        with contextlib.suppress(OSError):
            self._path(number).unlink(missing_ok=True)

    def requests(self) -> list[Request]:
        """All that can be read, oldest first, without their bodies: for what they say of log positions."""
        out = []
        for number in self._sizes:
            try:
                request = Request.from_bytes(self._path(number).read_bytes())
            except (OSError, ValueError):
                continue
            out.append(Request(b"", request.items, request.marks))
        return out
