"""Positions of followed files on disk, as far as the server acknowledged them; written atomically.

`acknowledge` is called by the sending thread, everything else by the reading one.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from obs.agent.filenames import write_atomically
from obs.agent.logs.mark import FileMark

log = logging.getLogger(__name__)


class Checkpoints:
    """The last acknowledged mark of each followed file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._marks = self._load()
        self._retired: dict[str, int] = {}
        self._dirty = False

    def _load(self) -> dict[str, FileMark]:
        try:
            values = json.loads(self._path.read_text())
            return {m.key: m for m in map(FileMark.from_json, values["files"])}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as e:
            log.warning("cannot read positions %r: %s; log files are taken as new", str(self._path), e)
            return {}

    def marks(self) -> dict[str, FileMark]:
        """A copy of all marks, by key."""
        with self._lock:
            return dict(self._marks)

    def acknowledge(self, marks: Iterable[FileMark]) -> None:
        """The server has everything before these marks."""
        with self._lock:
            for mark in marks:
                self._dirty = True
                if self._retired.get(mark.key, mark.offset + 1) <= mark.offset:
                    del self._retired[mark.key]
                    self._marks.pop(mark.key, None)
                else:
                    self._marks[mark.key] = mark

    def retire(self, mark: FileMark) -> None:
        """The file is gone and read to its end, `mark`; forget it once that is acknowledged."""
        with self._lock:
            known = self._marks.get(mark.key)
            if known is None or known.offset >= mark.offset:
                self._dirty = self._marks.pop(mark.key, None) is not None or self._dirty
            if known is None or known.offset < mark.offset:
                self._retired[mark.key] = mark.offset

    def save(self) -> None:
        """Write what changed since the last time."""
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            values = {"version": 1, "files": [m.to_json() for m in self._marks.values()]}
        try:
            write_atomically(self._path, json.dumps(values).encode(), sync=True)
        except OSError as e:
            self._dirty = True
            log.warning("cannot write positions %r: %s; trying again", str(self._path), e)
