"""Zipkin's v2 span list, JSON and protobuf. Raises: UserError that says where it is none.

Source: github.com/openzipkin/zipkin-api, zipkin2-api.yaml; zipkin.proto for field numbers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from google.protobuf.message import DecodeError

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
from obs.errors import TooLarge, UserError
from obs.otlp.census import Path, check_wire
from obs.otlp.limits import MAX_ITEMS
from obs.otlp.messages import text as mended
from obs.wire_messages import Fields, message_class

MAX_PARTS = 8_000_000
"""Objects and lists of one JSON body, annotations and tags of one protobuf body, counted before it is parsed: each
takes two bytes there and a hundred here."""

_KINDS = ("", "CLIENT", "SERVER", "PRODUCER", "CONSUMER")
_REPEATED, _OPTIONAL = 3, 1
_INT32, _UINT64, _FIXED64, _BOOL, _BYTES, _MESSAGE = 5, 4, 6, 8, 12, 11
_FIELDS: Fields = {
    "Endpoint": (
        ("service_name", 1, _BYTES, _OPTIONAL, ""),
        ("ipv4", 2, _BYTES, _OPTIONAL, ""),
        ("ipv6", 3, _BYTES, _OPTIONAL, ""),
        ("port", 4, _INT32, _OPTIONAL, ""),
    ),
    "Annotation": (("timestamp", 1, _FIXED64, _OPTIONAL, ""), ("value", 2, _BYTES, _OPTIONAL, "")),
    "Tag": (("key", 1, _BYTES, _OPTIONAL, ""), ("value", 2, _BYTES, _OPTIONAL, "")),
    "Span": (
        ("trace_id", 1, _BYTES, _OPTIONAL, ""),
        ("parent_id", 2, _BYTES, _OPTIONAL, ""),
        ("id", 3, _BYTES, _OPTIONAL, ""),
        ("kind", 4, _INT32, _OPTIONAL, ""),
        ("name", 5, _BYTES, _OPTIONAL, ""),
        ("timestamp", 6, _FIXED64, _OPTIONAL, ""),
        ("duration", 7, _UINT64, _OPTIONAL, ""),
        ("local_endpoint", 8, _MESSAGE, _OPTIONAL, "Endpoint"),
        ("remote_endpoint", 9, _MESSAGE, _OPTIONAL, "Endpoint"),
        ("annotations", 10, _MESSAGE, _REPEATED, "Annotation"),
        ("tags", 11, _MESSAGE, _REPEATED, "Tag"),
        ("debug", 12, _BOOL, _OPTIONAL, ""),
        ("shared", 13, _BOOL, _OPTIONAL, ""),
    ),
    "ListOfSpans": (("spans", 1, _MESSAGE, _REPEATED, "Span"),),
}


_SPANS: Path = ((1,),)
_PARTS: Path = ((1,), (10, 11))
"""Where spans are, and their annotations and tags."""

ListOfSpans = message_class("obs.zipkin", _FIELDS, "ListOfSpans")


def from_protobuf(body: bytes) -> Iterator[ZipkinSpan]:
    """The spans of a ListOfSpans. Raises: UserError."""
    check_wire(body, _SPANS, MAX_ITEMS)
    check_wire(body, _PARTS, MAX_PARTS)
    spans = ListOfSpans()
    try:
        spans.ParseFromString(body)
    except DecodeError:
        raise UserError(f"cannot decode spans: {len(body)} bytes are no zipkin.proto3.ListOfSpans") from None
    return map(_from_message, spans.spans)


def _from_message(span: Any) -> ZipkinSpan:
    return ZipkinSpan(
        _padded(span.trace_id, 16), _padded(span.id, 8), _padded(span.parent_id, 8) if span.parent_id else b"",
        mended(span.name), _KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else "",
        span.timestamp, span.duration, _endpoint(span.local_endpoint), _endpoint(span.remote_endpoint),
        [Annotation(a.timestamp, mended(a.value)) for a in span.annotations],
        {mended(tag.key): mended(tag.value) for tag in span.tags},
        span.debug, span.shared,
    )  # fmt: skip


def _padded(raw: bytes, size: int) -> bytes:
    return raw.rjust(size, b"\0") if raw else b""


def _endpoint(given: Any) -> Endpoint:
    return Endpoint(mended(given.service_name), address(given.ipv4 or given.ipv6), given.port)


def address(raw: bytes) -> str:
    """An IP address of 4 or 16 bytes as text; empty where it is none."""
    return str(ipaddress.ip_address(raw)) if len(raw) in (4, 16) else ""


def parsed(body: bytes) -> list[Mapping[str, Any]]:
    """The objects of a JSON list of spans. Raises: UserError, TooLarge."""
    if body.count(b"{") + body.count(b"[") > MAX_PARTS:
        raise TooLarge(f"cannot decode spans: the list has more than {MAX_PARTS} parts; send smaller ones")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise UserError(f"cannot decode spans: {len(body)} bytes are no JSON ({e})") from None
    return objects(found, "the body") if found is not None else objects({}, "the body")


def from_json(body: bytes) -> Iterator[ZipkinSpan]:
    """The spans of a JSON list."""
    return from_objects(parsed(body))


def from_objects(spans: Sequence[Mapping[str, Any]]) -> Iterator[ZipkinSpan]:
    """The same of its objects. Raises: UserError."""
    return (_from_object(span, f"span {at}") for at, span in enumerate(spans))


def _from_object(span: Mapping[str, Any], where: str) -> ZipkinSpan:
    tags = span["tags"] if span.get("tags") is not None else {}
    if not isinstance(tags, dict):
        raise UserError(f'cannot decode spans: "tags" of {where} are no object')
    return ZipkinSpan(
        hex_id(span.get("traceId"), 16), hex_id(span.get("id"), 8), optional_id(span.get("parentId")),
        text(span.get("name"), f'"name" of {where}'), text(span.get("kind"), f'"kind" of {where}').upper(),
        whole(span.get("timestamp"), f'"timestamp" of {where}'), whole(span.get("duration"), f'"duration" of {where}'),
        json_endpoint(span.get("localEndpoint"), where), json_endpoint(span.get("remoteEndpoint"), where),
        notes(span, where), tags, span.get("debug") is True, span.get("shared") is True,
    )  # fmt: skip


def notes(span: Mapping[str, Any], where: str) -> list[Annotation]:
    """What happened within a span. Raises: UserError."""
    where = f'"annotations" of {where}'
    return [
        Annotation(whole(a.get("timestamp"), where), text(a.get("value"), where))
        for a in objects(span.get("annotations"), where)
    ]


def json_endpoint(given: Any, where: str) -> Endpoint:
    """An endpoint of JSON. Raises: UserError."""
    if given is None:
        return Endpoint()
    if not isinstance(given, dict):
        raise UserError(f"cannot decode spans: an endpoint of {where} is no object")
    where = f"an endpoint of {where}"
    ip = text(given.get("ipv4"), where) or text(given.get("ipv6"), where)
    return Endpoint(text(given.get("serviceName"), where), ip, whole(given.get("port"), where))
