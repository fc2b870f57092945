"""A string of bits, and the variable-width integers of Prometheus's histogram chunks.

Source: prometheus tsdb/docs/bstream.md and tsdb/docs/format/chunks.md, "Histogram chunk data".
"""

from __future__ import annotations

WIDTHS = (3, 6, 9, 12, 18, 25, 56)
"""Bits of an integer after as many ones as its place in this list plus one, and a zero."""


class Bits:
    """Bits in the order in which they are put."""

    __slots__ = ("_size", "_value")

    def __init__(self) -> None:
        self._value = self._size = 0

    def put(self, value: int, width: int) -> None:
        """The low `width` bits of a number, the highest first."""
        self._value = self._value << width | value & (1 << width) - 1
        self._size += width

    def put_bytes(self, data: bytes) -> None:
        """Whole bytes, wherever the last bit stands."""
        self.put(int.from_bytes(data, "big"), 8 * len(data))

    def put_int(self, value: int) -> None:
        """A signed integer; of each width the range leans to the positive side."""
        self._put_varbit(value, [w for w in WIDTHS if -(1 << (w - 1)) < value <= 1 << (w - 1)])

    def put_uint(self, value: int) -> None:
        """An unsigned integer."""
        self._put_varbit(value, [w for w in WIDTHS if value < 1 << w])

    def _put_varbit(self, value: int, fitting: list[int]) -> None:
        if value == 0:
            self.put(0, 1)
        elif fitting:
            ones = WIDTHS.index(fitting[0]) + 1
            self.put((1 << ones) - 1 << 1, ones + 1)
            self.put(value, fitting[0])
        else:
            self.put(0xFF, 8)
            self.put(value, 64)

    def to_bytes(self) -> bytes:
        """All of them, filled with zeros to a whole byte."""
        pad = -self._size % 8
        return (self._value << pad).to_bytes((self._size + pad) // 8, "big")


def fits(value: int, width: int) -> bool:
    """Whether a signed integer has room in so many bits."""
    return -(1 << (width - 1)) < value <= 1 << (width - 1)
