"""The memory a kernel walk works in: the body with room for JSON behind it, the outline, the entries.

`with_room` tries arrays that fit what is usual, then arrays that fit anything the body can hold.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from obs.otlp import kernels as kn
from obs.otlp.census import check_items
from obs.otlp.limits import MAX_ITEMS

Array = npt.NDArray[np.integer[Any]]
Result = TypeVar("Result")


class Rare(Exception):
    """A kernel met what it leaves to the slow path: something rare, or bytes that are malformed."""


class Full(Exception):
    """The usual arrays were too small."""


def check(code: int) -> None:
    """Raises: Rare, Full."""
    if code == kn.FULL:
        raise Full
    if code != kn.OK:
        raise Rare


class Work:
    """One walk's memory. `roomy`: arrays for the worst that a body of this size can hold."""

    def __init__(self, body: bytes, roomy: bool = False) -> None:
        size = len(body)
        self.body, self.size, self.roomy = body, size, roomy
        self.buf = _scratch("buf", size + (8 * size if roomy else size // 2) + 4096, np.uint8)
        self.buf[:size] = np.frombuffer(body, np.uint8)
        self.t = self.words("t", kn.HARD + 4 * self.room(2, 256))
        self.t[kn.JSON_AT], self.t[kn.N_HARD] = size, 0
        counts = np.zeros(3, np.int64)
        check(kn.count(self.buf, size, counts))
        groups, scoped, items = counts.tolist()
        check_items(items)
        self.groups = self.table("groups", 2, groups)
        self.scoped = self.table("scoped", 5, scoped)
        self.items = self.table("items", 3, items)
        check(kn.fill(self.buf, size, self.groups, self.scoped, self.items))

    def room(self, least: int, usual: int) -> int:
        """How many things fit into the body that take at least `least` bytes, and usually `usual`."""
        return self.size // (least if self.roomy else usual) + 256

    def words(self, name: str, n: int) -> Array:
        """int64[n] of this thread's, not set to anything; the next body takes the same."""
        return _scratch(name, n, np.int64)[:n]

    def table(self, name: str, fields: int, n: int) -> Array:
        """int64[fields, n], as `words`."""
        return self.words(name, fields * n).reshape(fields, n)

    def keys(self, name: str, entries: int) -> Array:
        """Memory for the attributes of one scope, empty."""
        keys = self.words(name, kn.ENTRIES + kn.ENTRY_SIZE * entries)
        keys[: kn.KEYS] = 0
        return keys

    def group_keys(self, ranges: Array, number: int, kind: Any) -> Array:
        """The attributes (field `number`) of the resources or scopes at these ranges."""
        total = int((ranges[1] - ranges[0]).sum())
        keys = self.keys(f"keys{kind}", total // 2 + 16)
        check(kn.group_attributes(self.buf, ranges, number, keys, self.t, kind))
        return keys

    def write_hard(self, write: Callable[[int, bytes], str], place: Callable[[int, int, int, int], None]) -> None:
        """Let Python write the JSON that kernels could not: `write(kind, raw)`, then `place(kind, index, at, stop)`.

        A cell with index -1 belongs to a refused item: `write` sees it, since malformed bytes refuse the whole body.
        """
        for kind, index, at, stop in self.t[kn.HARD : kn.HARD + 4 * self.t[kn.N_HARD]].reshape(-1, 4).tolist():
            text = write(kind, self.body[at:stop]).encode()
            if index < 0:
                continue
            start = int(self.t[kn.JSON_AT])
            if start + len(text) + 8 > self.buf.size:
                self.buf = np.concatenate([self.buf, np.empty(len(text) + self.buf.size, np.uint8)])
            self.buf[start : start + len(text)] = np.frombuffer(text, np.uint8)
            self.t[kn.JSON_AT] = start + len(text)
            place(kind, index, start, start + len(text))


_local = threading.local()
_KEPT_BYTES = 8 << 20


def _scratch(name: str, size: int, kind: type[np.integer[Any]]) -> Array:
    """An array of this thread, used again by its next walk: fresh memory costs a fault a page."""
    kept: Array | None = getattr(_local, name, None)
    if kept is not None and kept.size >= size:
        return kept
    fresh = np.empty(size + size // 4, kind)
    if fresh.nbytes <= _KEPT_BYTES:
        setattr(_local, name, fresh)
    return fresh


def with_room(walk: Callable[[Work], Result], body: bytes) -> Result:
    """The result of `walk` over usual arrays, else over roomy ones. Raises: Rare, UserError."""
    try:
        return walk(Work(body))
    except Full:
        pass
    try:
        return walk(Work(body, roomy=True))
    except Full:  # only a table that is cut off at the limit can still be too small
        check_items(MAX_ITEMS + 1)
        raise
