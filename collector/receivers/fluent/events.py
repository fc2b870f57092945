"""Fluentd's forward protocol: messages of msgpack as log records. Pure.

Source: github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from obs.collector import limits
from obs.collector.inflate import Grow, inflate
from obs.collector.receivers import documents
from obs.errors import UserError
from obs.otlp.records import Record

_EVENT_TIME = 0
"""The type of msgpack's extension for times with nanoseconds: two big-endian uint32."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of any mode: its events not yet read, and what the sender wants to have acknowledged."""

    tag: str
    entries: Any  # [[time, record], …] or bytes of such
    chunk: Any = None
    compressed: str = ""


def unpacker(max_bytes: int = limits.MAX_BODY_BYTES) -> msgpack.Unpacker:
    """Reads messages from a stream; texts that are no UTF-8 are mended."""
    return msgpack.Unpacker(
        max_buffer_size=max_bytes, ext_hook=_extension, raw=False, unicode_errors="replace", strict_map_key=False
    )


def _extension(kind: int, data: bytes) -> Any:
    if kind == _EVENT_TIME and len(data) == 8:
        return int.from_bytes(data[:4], "big") * 10**9 + int.from_bytes(data[4:], "big"), "ns"
    return data


def message(value: Any) -> Message:
    """A message: [tag, time, record, option], [tag, [[time, record] …], option] or [tag, bytes, option].

    Raises: UserError.
    """
    if not isinstance(value, list) or len(value) < 2 or not isinstance(value[0], str):
        raise UserError("cannot read fluent message: it is no array that begins with a tag")
    tag, second, *more = value
    if isinstance(second, (list, bytes, str)):
        option = more[0] if more and isinstance(more[0], dict) else {}
        entries = second.encode() if isinstance(second, str) else second
        kind = str(option.get("compressed") or "")
        return Message(tag, entries, option.get("chunk"), "" if kind == "text" else kind)
    if not more or not isinstance(more[0], dict):
        raise UserError(f"cannot read fluent message of tag {tag!r}: its record is no map")
    option = more[1] if len(more) > 1 and isinstance(more[1], dict) else {}
    return Message(tag, [[second, more[0]]], option.get("chunk"))


def records(of: Message, grow: Grow, limit: int = limits.MAX_INFLATED_BYTES) -> Iterator[Record]:
    """A record for each event. Raises: UserError, TooLarge, and what `grow` raises."""
    entries: Iterable[Any] = of.entries
    if isinstance(of.entries, bytes):
        entries = unpacked(inflate(of.entries, of.compressed, limit, grow), of.tag)
    resource = {"tag": of.tag}
    for entry in entries:
        if not isinstance(entry, list) or len(entry) < 2 or not isinstance(entry[1], dict):
            raise UserError(f"cannot read fluent event of tag {of.tag!r}: it is no [time, record]")
        yield _record(entry[0], entry[1], resource)


def unpacked(data: bytes, tag: str) -> Iterator[Any]:
    """The values that stand one after the other in packed bytes. Raises: UserError."""
    reader = unpacker(max(len(data), 1))
    reader.feed(data)
    try:
        yield from reader
    except (ValueError, msgpack.UnpackException) as e:
        raise UserError(f"cannot read fluent events of tag {tag!r}: they are no msgpack ({e})") from None
    if reader.tell() != len(data):
        raise UserError(f"cannot read fluent events of tag {tag!r}: they end in the middle of one")


def _record(time: Any, event: Mapping[Any, Any], resource: Mapping[str, str]) -> Record:
    if isinstance(time, list) and len(time) > 0:  # version 2: [time, metadata]
        time = time[0]
    if isinstance(time, tuple):
        return documents.record(event, resource, time[0])
    return documents.record(event, resource, documents.time_ns(time))
