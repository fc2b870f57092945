"""Zipkin's v1 span list, JSON and Thrift, as v2 spans: who called whom is in the annotations there.

Source: github.com/openzipkin/zipkin-api, zipkin-api.yaml and thrift/zipkinCore.thrift; zipkin.io, "Core annotations".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from obs.collector.receivers import thrift
from obs.collector.receivers.thrift import Struct, integer, member
from obs.collector.receivers.zipkin.messages import address, json_endpoint, parsed
from obs.collector.receivers.zipkin.model import (
    Annotation,
    Endpoint,
    ZipkinSpan,
    hex_id,
    objects,
    optional_id,
    text,
    whole,
)

NOWHERE = Endpoint()

_BEGINS = {"cs": "CLIENT", "sr": "SERVER", "ms": "PRODUCER", "mr": "CONSUMER"}
_ENDS = {"cr": "CLIENT", "ss": "SERVER"}
_REMOTE = {"sa": ("CLIENT", "PRODUCER"), "ca": ("SERVER",), "ma": ("PRODUCER", "CONSUMER")}
"""Addresses of the other side, and the kinds that it is the other side of."""


@dataclass(frozen=True, slots=True)
class Note:
    """An annotation (`value` is its text) or a binary one (a tag), and where it was made."""

    key: str
    value: Any
    time_us: int = 0
    at: Endpoint = NOWHERE


def from_json(body: bytes) -> Iterator[ZipkinSpan]:
    """The spans of a JSON list. Raises: UserError."""
    return (found for at, span in enumerate(parsed(body)) for found in _from_object(span, f"span {at}"))


def _from_object(span: Mapping[str, Any], where: str) -> Iterator[ZipkinSpan]:
    like = ZipkinSpan(
        hex_id(span.get("traceId"), 16), hex_id(span.get("id"), 8), optional_id(span.get("parentId")),
        text(span.get("name"), f'"name" of {where}'), "",
        whole(span.get("timestamp"), f'"timestamp" of {where}'), whole(span.get("duration"), f'"duration" of {where}'),
        debug=span.get("debug") is True,
    )  # fmt: skip
    given = objects(span.get("annotations"), f'"annotations" of {where}')
    notes = [_json_note(a, "value", where) for a in given]
    given = objects(span.get("binaryAnnotations"), f'"binaryAnnotations" of {where}')
    return _split(like, notes, [_json_note(a, "key", where) for a in given])


def _json_note(given: Mapping[str, Any], key: str, where: str) -> Note:
    where = f"an annotation of {where}"
    time_us = whole(given.get("timestamp"), where)
    return Note(text(given.get(key), where), given.get("value"), time_us, json_endpoint(given.get("endpoint"), where))


def from_thrift(body: bytes) -> Iterator[ZipkinSpan]:
    """The spans of a list in the binary protocol. Raises: UserError."""
    given = thrift.structs(thrift.Reader(body).whole_list(), "the body")
    return (found for span in given for found in _from_struct(span))


def _from_struct(span: Struct) -> Iterator[ZipkinSpan]:
    parent = integer(span, 5)
    like = ZipkinSpan(
        _word(integer(span, 12)) + _word(integer(span, 1)), _word(integer(span, 4)), _word(parent) if parent else b"",
        thrift.text(span, 3), "", integer(span, 10), integer(span, 11), debug=integer(span, 9) != 0,
    )  # fmt: skip
    notes = [
        Note(thrift.text(a, 2), None, integer(a, 1), _struct_endpoint(member(a, 3))) for a in thrift.members(span, 6)
    ]
    tags = [Note(thrift.text(b, 1), _tag(b), 0, _struct_endpoint(member(b, 4))) for b in thrift.members(span, 8)]
    return _split(like, notes, tags)


def _word(number: int) -> bytes:
    return (number & (1 << 64) - 1).to_bytes(8, "big")


def _struct_endpoint(given: Struct) -> Endpoint:
    v4 = integer(given, 1)
    ip = address(thrift.raw(given, 4)) or (address((v4 & 0xFFFFFFFF).to_bytes(4, "big")) if v4 else "")
    return Endpoint(thrift.text(given, 3), ip, integer(given, 2) & 0xFFFF)


_NUMBERS = {2: ">h", 3: ">i", 4: ">q", 5: ">d"}


def _tag(given: Struct) -> Any:
    """The value of a binary annotation by its type. Source: zipkinCore.thrift, AnnotationType."""
    kind, raw = integer(given, 3) if 3 in given else 6, thrift.raw(given, 2)
    if kind == 0:
        return raw != b"\0"
    if kind in _NUMBERS and len(raw) == struct.calcsize(_NUMBERS[kind]):
        return struct.unpack(_NUMBERS[kind], raw)[0]
    return raw if kind == 1 else raw.decode("utf-8", "replace")


def _split(like: ZipkinSpan, notes: list[Note], tags: list[Note]) -> Iterator[ZipkinSpan]:
    """One span of each kind that took part: a client and a server may have written into one v1 span."""
    times: dict[str, dict[str, Note]] = {}
    for note in notes:
        kind = _BEGINS.get(note.key) or _ENDS.get(note.key)
        if kind:
            times.setdefault(kind, {})["begin" if note.key in _BEGINS else "end"] = note
    kinds = list(times) or [_kind_of_address(tags)]
    ends = [_side(like, kind, times.get(kind, {}), notes, tags) for kind in kinds]
    first = ends[0]
    for note in notes:
        if note.key not in _BEGINS and note.key not in _ENDS:
            _owner(ends, note).annotations.append(Annotation(note.time_us, note.key))
    for tag in tags:
        if tag.key == "lc":
            first.tags.setdefault("component", tag.value or "")
        elif tag.key not in _REMOTE or not _is_address(tag):
            _owner(ends, tag).tags[tag.key] = tag.value
    yield from ends


def _is_address(tag: Note) -> bool:
    return tag.at != NOWHERE and tag.value in (True, "true", "\x01", b"\x01", 1)


def _kind_of_address(tags: list[Note]) -> str:
    """A span without core annotations is a client's where it knows its server's address, and the other way round."""
    known = [tag.key for tag in tags if tag.key in _REMOTE and _is_address(tag)]
    return {"sa": "CLIENT", "ca": "SERVER"}.get(known[0], "") if known else ""


def _side(like: ZipkinSpan, kind: str, times: Mapping[str, Note], notes: list[Note], tags: list[Note]) -> ZipkinSpan:
    """The span of one kind. The v1 span's own times are the client's where both sides wrote.

    A server that shares its client's id leaves them out, by which v1 says so. Source: zipkin-api.yaml, "timestamp".
    """
    own = next((n.at for n in times.values() if n.at != NOWHERE), NOWHERE)
    if own == NOWHERE:
        own = next((n.at for n in (*notes, *tags) if n.at != NOWHERE and n.key not in _REMOTE), NOWHERE)
    remote = next((t.at for t in tags if kind in _REMOTE.get(t.key, ()) and _is_address(t)), NOWHERE)
    both = kind == "SERVER" and any(n.key in ("cs", "cr") for n in notes)
    begin, end = times.get("begin"), times.get("end")
    start = begin.time_us if begin and (both or not like.timestamp_us) else like.timestamp_us
    duration = like.duration_us
    if (both or not duration) and begin and end:
        duration = max(end.time_us - begin.time_us, 0)
    return ZipkinSpan(
        like.trace_id, like.span_id, like.parent_id, like.name, kind, start, duration, own, remote,
        debug=like.debug, shared=both or (kind == "SERVER" and begin is not None and not like.timestamp_us),
    )  # fmt: skip


def _owner(ends: list[ZipkinSpan], note: Note) -> ZipkinSpan:
    """The side that made a note."""
    return next((end for end in ends if end.local.service == note.at.service), ends[0])
