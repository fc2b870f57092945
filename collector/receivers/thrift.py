"""Thrift's binary protocol: bytes become numbers, texts, lists and structs, which are values by field number.

Bounded in depth and in parts, so that no body costs more than it is long. Raises: UserError that names the byte.
Source: github.com/apache/thrift, doc/specs/thrift-binary-protocol.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from obs.errors import TooLarge, UserError

STOP, BOOL, BYTE, DOUBLE, I16, I32, I64, STRING, STRUCT, MAP, SET, LIST = 0, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15

MAX_DEPTH = 16
"""Structs and lists within each other: a span's tag is the fifth."""

MAX_PARTS = 4_000_000
"""Values of structs, lists and maps of one body: a quarter of a million spans with their tags."""

Struct = Mapping[int, Any]
"""Values by field number: int (truth values too), float, bytes, list, Struct. Maps come as lists of pairs."""

_SIZES: Mapping[int, tuple[str, int]] = {
    BOOL: (">B", 1), BYTE: (">b", 1), DOUBLE: (">d", 8), I16: (">h", 2), I32: (">i", 4), I64: (">q", 8),
}  # fmt: skip
_NUMBERS: Mapping[int, tuple[Callable[..., tuple[Any, ...]], int]] = {
    kind: (struct.Struct(form).unpack_from, size) for kind, (form, size) in _SIZES.items()
}
_FIELD, _LENGTH, _HEAD = (struct.Struct(form).unpack_from for form in (">bh", ">i", ">bi"))


class Reader:
    """Reads one body from its start."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at, self._parts = body, 0, 0

    def whole_struct(self) -> Struct:
        """The struct that the body is."""
        return self._whole(STRUCT)

    def whole_list(self) -> list[Any]:
        """The list that the body is."""
        return self._whole(LIST)

    def _whole(self, kind: int) -> Any:
        try:
            return self._value(kind, 0)
        except struct.error:
            raise self._fault("it is cut off") from None

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _NUMBERS:
            unpack, size = _NUMBERS[kind]
            (number,) = unpack(self._body, self._at)
            self._at += size
            return number
        if kind == STRING:
            return self._text()
        if depth == MAX_DEPTH:
            raise self._fault(f"it is nested deeper than {MAX_DEPTH}")
        if kind == STRUCT:
            return self._struct(depth + 1)
        if kind in (LIST, SET):
            return self._list(depth + 1)
        if kind == MAP:
            return self._map(depth + 1)
        raise self._fault(f"{kind} is no type")

    def _struct(self, depth: int) -> Struct:
        """Numbers and texts are read here: they are nearly all there is, and a call for each would double the time."""
        found: dict[int, Any] = {}
        body, at, end, fields = self._body, self._at, len(self._body), 0
        while at < end and body[at] != STOP:
            kind, number = _FIELD(body, at)
            at, fields = at + 3, fields + 1
            if kind == STRING:
                (size,) = _LENGTH(body, at)
                at += 4
                if not 0 <= size <= end - at:
                    self._at = at
                    raise self._no_length(size)
                found[number] = body[at : at + size]
                at += size
            elif kind in _NUMBERS:
                unpack, size = _NUMBERS[kind]
                (found[number],) = unpack(body, at)
                at += size
            else:
                self._at = at
                found[number] = self._value(kind, depth)
                at = self._at
        self._at = at + 1
        if at >= end:
            raise self._fault("it is cut off")
        self._count(fields)
        return found

    def _list(self, depth: int) -> list[Any]:
        kind, size = _HEAD(self._body, self._at)
        self._at += 5
        self._fits(size)
        self._count(size)
        return [self._value(kind, depth) for _ in range(size)]

    def _map(self, depth: int) -> list[tuple[Any, Any]]:
        keys = self._body[self._at : self._at + 1]
        self._at += 1
        values, size = _HEAD(self._body, self._at)
        self._at += 5
        self._fits(size)
        self._count(2 * size)
        return [(self._value(keys[0], depth), self._value(values, depth)) for _ in range(size)]

    def _text(self) -> bytes:
        (size,) = _LENGTH(self._body, self._at)
        self._at += 4
        self._fits(size)
        self._at += size
        return self._body[self._at - size : self._at]

    def _fits(self, size: int) -> None:
        """A length of bytes or of values, each at least a byte."""
        if not 0 <= size <= len(self._body) - self._at:
            raise self._no_length(size)

    def _no_length(self, size: int) -> UserError:
        return self._fault(f"a length of {size} is none")

    def _count(self, parts: int) -> None:
        self._parts += parts
        if self._parts > MAX_PARTS:
            raise TooLarge(f"cannot read Thrift: it has more than {MAX_PARTS} parts; send smaller batches")

    def _fault(self, why: str) -> UserError:
        size = len(self._body)
        return UserError(f"cannot read Thrift of {size} bytes: {why} at byte {self._at}; send the binary protocol")


class NotSo(UserError):
    """A field is of another type than its struct has there."""


def integer(given: Struct, number: int) -> int:
    """A number, 0 where it is not there. Raises: NotSo."""
    found = given.get(number, 0)
    return found if isinstance(found, int) else _not_so(number, "number")


def raw(given: Struct, number: int) -> bytes:
    """Bytes, none where they are not there. Raises: NotSo."""
    found = given.get(number, b"")
    return found if isinstance(found, bytes) else _not_so(number, "text")


def text(given: Struct, number: int) -> str:
    """A text, empty where it is not there; what is not UTF-8 becomes U+FFFD. Raises: NotSo."""
    found = given.get(number, b"")
    return found.decode("utf-8", "replace") if type(found) is bytes else _not_so(number, "text")


def member(given: Struct, number: int) -> Struct:
    """A struct, empty where it is not there. Raises: NotSo."""
    found = given.get(number, {})
    return found if isinstance(found, dict) else _not_so(number, "struct")


def members(given: Struct, number: int) -> list[Struct]:
    """Structs, none where they are not there. Raises: NotSo."""
    return structs(given.get(number, []), f"field {number}")


def structs(found: Any, where: str) -> list[Struct]:
    """A list of structs. Raises: NotSo."""
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise NotSo(f"cannot read Thrift: {where} is no list of structs; send the structs of the protocol")
    return found


def _not_so(number: int, kind: str) -> Any:
    raise NotSo(f"cannot read Thrift: field {number} of a struct is no {kind}; send the structs of the protocol")
