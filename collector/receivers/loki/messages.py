"""Loki's push request, protobuf and JSON, as streams.

Source: grafana.com/docs/loki/latest/reference/loki-http-api, "Ingest logs"; logproto's push.proto for field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf.message import DecodeError

from obs.errors import UserError
from obs.otlp.census import check_wire
from obs.otlp.limits import MAX_ITEMS
from obs.otlp.messages import text
from obs.wire_messages import Fields, message_class

MAX_METADATA = 8_000_000
"""Pairs of structured metadata of one body: each takes two bytes there and a hundred here."""

Entry = tuple[int, str, Mapping[str, str]]
"""Time in ns, line, structured metadata."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Lines of one label set; `labels` is the selector's text in protobuf, a mapping in JSON."""

    labels: str | Mapping[str, str]
    entries: Iterator[Entry]


_REPEATED, _OPTIONAL = 3, 1
_INT64, _INT32, _BYTES, _MESSAGE = 3, 5, 12, 11
_FIELDS: Fields = {
    "Pair": (("name", 1, _BYTES, _OPTIONAL, ""), ("value", 2, _BYTES, _OPTIONAL, "")),
    "Time": (("seconds", 1, _INT64, _OPTIONAL, ""), ("nanos", 2, _INT32, _OPTIONAL, "")),
    "Entry": (
        ("time", 1, _MESSAGE, _OPTIONAL, "Time"),
        ("line", 2, _BYTES, _OPTIONAL, ""),
        ("metadata", 3, _MESSAGE, _REPEATED, "Pair"),
    ),
    "Stream": (("labels", 1, _BYTES, _OPTIONAL, ""), ("entries", 2, _MESSAGE, _REPEATED, "Entry")),
    "PushRequest": (("streams", 1, _MESSAGE, _REPEATED, "Stream"),),
}

PushRequest = message_class("obs.loki", _FIELDS, "PushRequest")


def from_protobuf(body: bytes) -> Iterator[Stream]:
    """The streams of a PushRequest. Raises: UserError."""
    check_wire(body, ((1,),), MAX_ITEMS)
    check_wire(body, ((1,), (2,)), MAX_ITEMS)
    check_wire(body, ((1,), (2,), (3,)), MAX_METADATA)
    request = PushRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise UserError(f"cannot decode push of {len(body)} bytes: it is no logproto.PushRequest") from None
    for stream in request.streams:
        yield Stream(text(stream.labels), map(_entry, stream.entries))


def _entry(entry: Any) -> Entry:
    metadata = {text(pair.name): text(pair.value) for pair in entry.metadata}
    return entry.time.seconds * 10**9 + entry.time.nanos, text(entry.line), metadata


def from_json(body: bytes) -> Iterator[Stream]:
    """The streams of a push in JSON. Raises: UserError that says where it is none."""
    try:
        request = _loaded(body)
    except orjson.JSONDecodeError as e:
        raise UserError(f"cannot decode push of {len(body)} bytes: it is no JSON ({e})") from None
    streams = request.get("streams") if isinstance(request, dict) else None
    if not isinstance(streams, list):
        raise UserError('cannot decode push: it has no list "streams"')
    for at, stream in enumerate(streams):
        labels = stream.get("stream") if isinstance(stream, dict) else None
        values = stream.get("values") if isinstance(stream, dict) else None
        if not isinstance(labels, dict) or not isinstance(values, list):
            raise UserError(f'cannot decode push: streams[{at}] needs an object "stream" and a list "values"')
        yield Stream({name: str(value) for name, value in labels.items()}, _json_entries(values, at))


def _loaded(body: bytes) -> Any:
    """The JSON of a body; what is no UTF-8 in it is mended, as in protobuf. Raises: JSONDecodeError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        mended = body.decode("utf-8", "replace").encode()
        if mended == body:
            raise
        return orjson.loads(mended)


def _json_entries(values: list[Any], stream: int) -> Iterator[Entry]:
    for at, value in enumerate(values):
        where = f"streams[{stream}].values[{at}]"
        if not isinstance(value, list) or len(value) not in (2, 3) or not isinstance(value[1], str):
            raise UserError(f"cannot decode push: {where} is not [time, line] or [time, line, metadata]")
        metadata = value[2] if len(value) == 3 else {}
        if not isinstance(metadata, dict):
            raise UserError(f"cannot decode push: the metadata of {where} is no object")
        try:
            time_ns = int(value[0])
        except (ValueError, TypeError):
            raise UserError(f"cannot decode push: the time of {where} is not Unix time in ns as text") from None
        yield time_ns, value[1], {name: str(text) for name, text in metadata.items()}
