"""One OTLP request that waits to be delivered, in memory or as a file of the spool."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass

from obs.agent.logs.mark import FileMark


@dataclass(frozen=True, slots=True)
class Request:
    """A serialized export request; `marks` are the log positions that its delivery acknowledges."""

    body: bytes
    items: int
    marks: tuple[FileMark, ...] = ()

    def to_bytes(self) -> bytes:
        """A line of JSON (items, CRC-32 of the body, marks), then the body."""
        head = {"items": self.items, "crc": zlib.crc32(self.body), "marks": [m.to_json() for m in self.marks]}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> Request:
        """The inverse of `to_bytes`. Raises: ValueError where the bytes are damaged."""
        line, newline, body = data.partition(b"\n")
        try:
            head = json.loads(line)
            marks = tuple(FileMark.from_json(m) for m in head["marks"])
            items, crc = int(head["items"]), int(head["crc"])
        except (ValueError, KeyError, TypeError) as e:
            raise ValueError(f"the head does not parse: {e}") from None
        if not newline or zlib.crc32(body) != crc:
            raise ValueError("the checksum of the body differs")
        return cls(body, items, marks)
