"""Reads a Jaeger batch with the tags of a span as one dict: they are nearly all there is, and a struct each costs most.

Source: github.com/jaegertracing/jaeger-idl, thrift/jaeger.thrift.
"""

from __future__ import annotations

import struct
from typing import Any

from obs.collector.receivers.tag_columns import Unusual
from obs.collector.receivers.thrift import BOOL, DOUBLE, I32, I64, LIST, STOP, STRING, STRUCT, Reader, Struct

_SPANS, _TAGS = 2, 10
_HEAD, _FIELD = struct.Struct(">bi").unpack_from, struct.Struct(">bh").unpack_from
_SIZED, _TYPED, _LONG = (struct.Struct(form).unpack_from for form in (">bhi", ">bhibhi", ">bhq"))
_BINARY = 4
_VALUES = {
    1: (struct.Struct(">bhd").unpack_from, DOUBLE, 4, 11),
    2: (struct.Struct(">bhb").unpack_from, BOOL, 5, 4),
    3: (struct.Struct(">bhq").unpack_from, I64, 6, 11),
}
"""Of a tag's type: what reads its value, the field's kind, its number, its bytes."""


class TagReader(Reader):
    """Raises: Unusual, struct.error, IndexError, UserError where it is not as it mostly is."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._keys: dict[bytes, str] = {}

    def batch(self) -> tuple[Struct, list[dict[int, Any]]]:
        """(process, spans); tags of a span stand under their number as values by key."""
        process: Struct = {}
        spans: list[dict[int, Any]] = []
        while (kind := self._body[self._at]) != STOP:
            _, number = _FIELD(self._body, self._at)
            self._at += 3
            if (kind, number) == (LIST, _SPANS):
                spans = [self._span() for _ in range(self._length())]
            elif (kind, number) == (STRUCT, 1):
                process = self._value(STRUCT, 1)
            else:
                self._value(kind, 1)
        return process, spans

    def _length(self) -> int:
        """Of a list of structs."""
        kind, size = _HEAD(self._body, self._at)
        self._at += 5
        if size and kind != STRUCT:
            raise Unusual
        self._fits(size)
        self._count(size)
        return int(size)

    def _span(self) -> dict[int, Any]:
        """Numbers are read here: a call for each would cost as much again."""
        found: dict[int, Any] = {}
        body, at = self._body, self._at
        while (kind := body[at]) != STOP:
            if kind == I64:
                _, number, found[number] = _LONG(body, at)  # the target's index is the number just read
                at += 11
                continue
            _, number = _FIELD(body, at)
            self._at = at + 3
            found[number] = self._tags() if (kind, number) == (LIST, _TAGS) else self._value(kind, 2)
            at = self._at
        self._at = at + 1
        return found

    def _tags(self) -> dict[str, Any]:
        count, body, keys, tags = self._length(), self._body, self._keys, dict[str, Any]()
        at, end = self._at, len(self._body)
        self._count(3 * count)
        for _ in range(count):
            kind, number, size = _SIZED(body, at)
            if kind != STRING or number != 1 or size < 0:
                raise Unusual
            at += 7
            raw = body[at : at + size]
            key = keys.get(raw)
            if key is None:
                key = keys[raw] = raw.decode()
            at += size
            type_kind, type_number, type_, kind, number, size = _TYPED(body, at)
            if type_kind != I32 or type_number != 2:
                raise Unusual
            if type_ == 0 and kind == STRING and number == 3 and size >= 0:
                at += 14
                tags[key] = body[at : at + size].decode()
                at += size
            else:
                tags[key], at = self._other(type_, at + 7)
            if at >= end or body[at] != STOP:
                raise Unusual
            at += 1
        self._at = at
        return tags

    def _other(self, type_: int, at: int) -> tuple[Any, int]:
        """What is no text: the value, and where it ends."""
        if type_ == _BINARY:
            kind, number, size = _SIZED(self._body, at)
            if kind != STRING or number != 7 or size < 0:
                raise Unusual
            return self._body[at + 7 : at + 7 + size], at + 7 + size
        if type_ not in _VALUES:
            raise Unusual
        unpack, wanted, place, size = _VALUES[type_]
        kind, number, value = unpack(self._body, at)
        if kind != wanted or number != place:
            raise Unusual
        return bool(value) if wanted == BOOL else value, at + size
