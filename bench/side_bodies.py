"""OTLP bodies that can be sent any number of times: with times of now and other trace ids each time.

In: a protobuf body of spans or log records, as a sender made it. Out: `Body`, which knows where times and ids stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
_TIMES = {"traces": (7, 8), "logs": (1, 11)}
_TRACE_ID = {"traces": 1, "logs": 9}


@dataclass(frozen=True, slots=True)
class Body:
    """`resources`: where each resource's part begins and ends."""

    data: npt.NDArray[np.uint8]
    items: int
    resources: list[tuple[int, int]]
    times: Places
    ids: Places
    last_ns: int

    def trace_id(self, turn: int) -> bytes:
        """Of the first item, in this turn."""
        found = self.data[self.ids[0] : self.ids[0] + 16].copy()
        found[:4] ^= _mask(turn)
        return found.tobytes()

    def parts(self, turn: int, now_ns: int) -> tuple[bytes, bytes]:
        """What every other resource sent, and what the others did; the last time is `now_ns`."""
        data = self.data.copy()
        data[self.ids[:, None] + np.arange(4)] ^= _mask(turn)
        at = self.times[:, None] + np.arange(8)
        shifted = data[at].view(np.int64)[:, 0] + (now_ns - self.last_ns)
        data[at] = shifted[:, None].view(np.uint8)
        pieces = [data[first:end].tobytes() for first, end in self.resources]
        return b"".join(pieces[::2]), b"".join(pieces[1::2])


def _mask(turn: int) -> npt.NDArray[np.uint8]:
    return np.array([turn], np.uint32).view(np.uint8)


def read_body(data: bytes, signal: str) -> Body:
    """A body of `traces` or `logs`."""
    resources, times, ids, items = [], [], [], 0
    for _, start, first, end in _fields(data, 0, len(data)):
        resources.append((start, end))
        for number, _, scope, scope_end in _fields(data, first, end):
            for field, _, item, item_end in _fields(data, scope, scope_end) if number == 2 else ():
                if field == 2:
                    items += 1
                    for name, _, value, _ in _fields(data, item, item_end):
                        times += [value] if name in _TIMES[signal] else []
                        ids += [value] if name == _TRACE_ID[signal] else []
    array = np.frombuffer(data, np.uint8)
    places = np.array(times, np.int64)
    last = int(array[places[:, None] + np.arange(8)].copy().view(np.int64).max())
    return Body(array, items, resources, places, np.array(ids, np.int64), last)


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, where it begins, where its value begins, where it ends) of a message's fields."""
    while at < end:
        start = at
        tag, at = _varint(data, at)
        kind, value = tag & 7, at
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 2:
            size, value = _varint(data, at)
            at = value + size
        else:
            at += 8 if kind == 1 else 4
        yield tag >> 3, start, value, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
        shift += 7
