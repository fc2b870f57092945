"""Jaeger's Thrift batch as OpenTelemetry's spans: the process is the resource, tags are typed attributes, logs events.

Source: github.com/jaegertracing/jaeger-idl, thrift/jaeger.thrift for field numbers; opentelemetry.io/docs/specs/otel/
trace/sdk_exporters/jaeger for what becomes what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from obs.collector.receivers.thrift import Reader, Struct, integer, member, members, raw, text
from obs.otlp.records import cell
from obs.otlp.spans import ERROR, KINDS, OK, UNSET, UNSPECIFIED, Span, clean_cells, event, link, taken
from obs.otlp.values import Cell

_STRING, _DOUBLE, _BOOL, _LONG, _BINARY = range(5)
_CHILD_OF = 0
_STATUS = {"OK": OK, "ERROR": ERROR}


def from_thrift(body: bytes) -> Iterator[Span]:
    """The spans of a Batch. Raises: UserError."""
    batch = Reader(body).whole_struct()
    resource = resource_of(member(batch, 1))
    return (_span(span, resource) for span in members(batch, 2))


def resource_of(process: Struct) -> Mapping[str, Cell]:
    """The cells of a process."""
    found = _tags(process, 2)
    if "hostname" in found:
        found.setdefault("host.name", found.pop("hostname"))
    if text(process, 1):
        found["service.name"] = text(process, 1)
    return _typed(found)


def _span(given: Struct, resource: Mapping[str, Cell]) -> Span:
    trace_id, span_id = _word(given, 2) + _word(given, 1), _word(given, 3)
    references = members(given, 6)
    parent = parent_of(given, trace_id, references)
    tags = _tags(given, 10)
    kind = KINDS.get(taken(tags, "span.kind").lower(), UNSPECIFIED)
    status, message = status_of(tags)
    start_ns = integer(given, 8) * 1000
    scope, version = (taken(tags, f"otel.scope.{n}", f"otel.library.{n}") for n in ("name", "version"))
    return Span(
        trace_id, span_id, start_ns, start_ns + integer(given, 9) * 1000, text(given, 5),
        parent, kind, status, message, taken(tags, "w3c.tracestate"), scope, version,
        [span_event(log) for log in members(given, 11)],
        [found for ref in references if (found := link_of(ref, parent)) is not None],
        resource, _typed(tags),
    )  # fmt: skip


def _word(given: Struct, number: int) -> bytes:
    return (integer(given, number) & (1 << 64) - 1).to_bytes(8, "big")


def parent_of(given: Struct, trace_id: bytes, references: list[Struct]) -> bytes:
    """The parent it names, else the first reference within its trace, a child's before a follower's."""
    if integer(given, 4):
        return _word(given, 4)
    own = [ref for ref in references if _word(ref, 3) + _word(ref, 2) == trace_id]
    own.sort(key=lambda ref: integer(ref, 1) != _CHILD_OF)
    return _word(own[0], 4) if own else b""


def _tags(given: Struct, number: int) -> dict[str, Any]:
    return {text(tag, 1): _value(tag) for tag in members(given, number)}


def _value(tag: Struct) -> Any:
    """A tag's value by its type."""
    kind = integer(tag, 2)
    if kind == _STRING:
        return text(tag, 3)
    if kind == _DOUBLE:
        found = tag.get(4, 0.0)
        return found if isinstance(found, float) else float(integer(tag, 4))
    if kind == _BOOL:
        return bool(integer(tag, 5))
    if kind == _LONG:
        return integer(tag, 6)
    return raw(tag, 7) if kind == _BINARY else text(tag, 3)


def _typed(tags: Mapping[str, Any]) -> dict[str, Cell]:
    """Cells; bytes stay bytes."""
    found = clean_cells(tags)
    for key, value in tags.items():
        if type(value) is bytes:
            found[key] = "bytes", value
    return found


def status_of(tags: dict[str, Any]) -> tuple[int, str]:
    """Status and its message: a true `error` wins over the exporter's own word."""
    status = _STATUS.get(taken(tags, "otel.status_code").upper(), UNSET)
    if tags.get("error") in (True, "true"):
        status = ERROR
        del tags["error"]
    return status, taken(tags, "otel.status_description")


def span_event(log: Struct) -> dict[str, Any]:
    """A log as an event."""
    fields = {key: _in_json(value) for key, value in _tags(log, 2).items()}
    return event(integer(log, 1) * 1000, taken(fields, "event"), fields)


def _in_json(value: Any) -> Any:
    """A value as the JSON of events has it: NaN and infinities named, bytes as text."""
    return cell(value)[1] if isinstance(value, bytes) else special(value)


def special(value: Any) -> Any:
    """A float that JSON cannot say, by its name."""
    if isinstance(value, float) and value - value != 0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def link_of(ref: Struct, parent: bytes) -> dict[str, Any] | None:
    """A reference as a link; None: it is the parent."""
    child = integer(ref, 1) == _CHILD_OF
    if child and _word(ref, 4) == parent:
        return None
    return link(
        _word(ref, 3) + _word(ref, 2), _word(ref, 4), {"opentracing.ref_type": "child_of" if child else "follows_from"}
    )
