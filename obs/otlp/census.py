"""How many items a large body holds, counted on the wire before the slow path makes objects of them.

An empty item takes two bytes on the wire and a hundred or more once parsed.
"""

from __future__ import annotations

from obs.errors import UserError
from obs.model.batch import Signal
from obs.otlp.limits import MAX_ITEMS

Path = tuple[tuple[int, ...], ...]
"""The field numbers that lead from a message to what is counted, level by level."""

_ITEM_PATH = ((1,), (2,), (2,))
_PATHS: dict[Signal, Path] = {
    Signal.TRACES: _ITEM_PATH,
    Signal.LOGS: _ITEM_PATH,
    Signal.METRICS: (*_ITEM_PATH, (5, 7, 9, 10, 11), (1,)),
}
"""The field numbers that lead from a request to its items."""


def check_items(items: int, most: int | None = None) -> None:
    """Raises: UserError where one body holds too many items."""
    most = most or MAX_ITEMS
    if items > most:
        raise UserError(f"cannot decode a request of more than {most} items at once; send smaller batches")


def check_body(signal: Signal, body: bytes) -> None:
    """Raises: UserError where a body holds too many items; malformed bytes are left to the parser."""
    check_wire(body, _PATHS[signal], MAX_ITEMS)


def check_wire(body: bytes, path: Path, most: int) -> None:
    """The same of any message, for what `path` leads to."""
    if len(body) > 2 * most:
        try:
            check_items(_count(body, 0, len(body), path, most), most)
        except IndexError:
            pass


def _count(body: bytes, at: int, end: int, path: Path, most: int) -> int:
    """Items below `body[at:end]`. Raises: IndexError where it is cut off or too odd to follow."""
    items = 0
    while at < end and items <= most:
        tag, at = _number(body, at)
        kind = tag & 7
        if kind == 0:
            _, at = _number(body, at)
            continue
        if kind in (1, 5):
            at += 8 if kind == 1 else 4
            continue
        size, at = _number(body, at)
        if kind != 2 or at + size > end:
            raise IndexError(at)
        if tag >> 3 in path[0]:
            items += 1 if len(path) == 1 else _count(body, at, at + size, path[1:], most)
        at += size
    return items


def _number(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise IndexError(at)
