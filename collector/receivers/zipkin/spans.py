"""Zipkin's spans as OpenTelemetry's: endpoints become the resource and attributes, tags say kind, status and scope.

What OpenTelemetry has no field for is kept as an attribute of `zipkin.`, from which the read API gives it back.
Source: opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin; the Collector's Zipkin translation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from obs.collector.receivers.zipkin.model import Annotation, ZipkinSpan
from obs.otlp.spans import ERROR, KINDS, OK, UNSET, UNSPECIFIED, Span, clean_cells, event, taken

SHARED, DEBUG = "zipkin.shared", "zipkin.debug"
NO_START = "otel.zipkin.absentField.startTime"

RESOURCE = ("service.", "host.", "k8s.", "container.", "cloud.", "deployment.", "process.", "telemetry.", "os.")
"""Namespaces of resource attributes, which exporters write among the tags."""

_STATUS = {"OK": OK, "ERROR": ERROR, "STATUS_CODE_OK": OK, "STATUS_CODE_ERROR": ERROR, "UNSET": UNSET}


def spans(found: Iterable[ZipkinSpan], now_ns: int) -> Iterator[Span]:
    """A span for each; one without any time began at `now_ns`."""
    return (_span(span, now_ns) for span in found)


def _span(given: ZipkinSpan, now_ns: int) -> Span:
    tags = dict(given.tags)
    scope, version = (taken(tags, f"otel.scope.{n}", f"otel.library.{n}") for n in ("name", "version"))
    status, message = status_of(tags)
    kind = KINDS.get(given.kind.lower(), UNSPECIFIED) or KINDS.get(taken(tags, "span.kind"), UNSPECIFIED)
    start_ns = _start(given, tags, now_ns)
    resource = {key: tags.pop(key) for key in list(tags) if key.startswith(RESOURCE)}
    if given.local.service:
        resource["service.name"] = given.local.service
    _add_endpoints(given, tags)
    return Span(
        given.trace_id, given.span_id, start_ns, start_ns + given.duration_us * 1000, given.name,
        b"" if given.parent_id == given.span_id else given.parent_id, kind, status, message,
        taken(tags, "w3c.tracestate"), scope, version, [span_event(a) for a in given.annotations], [],
        clean_cells(resource), clean_cells(tags),
    )  # fmt: skip


def status_of(tags: dict[str, Any]) -> tuple[int, str]:
    """Status and its message. The tag `error` says that there was one, and may say which."""
    status = _STATUS.get(taken(tags, "otel.status_code").upper(), UNSET)
    message = taken(tags, "otel.status_description")
    error = tags.get("error")
    if error is None or str(error).lower() == "false":
        return status, message
    if error in (True, "true") or (error and error == message):
        del tags["error"]
    elif isinstance(error, str) and error and not message:
        message = tags.pop("error")
    return ERROR, message


def _start(given: ZipkinSpan, tags: dict[str, Any], now_ns: int) -> int:
    """When the span began: by itself, else by the first thing that happened in it, else now, which it says."""
    if given.timestamp_us:
        return given.timestamp_us * 1000
    known = [a.time_us for a in given.annotations if a.time_us > 0]
    tags[NO_START] = True
    return min(known) * 1000 if known else now_ns


def _add_endpoints(given: ZipkinSpan, tags: dict[str, Any]) -> None:
    pairs = (
        ("net.host.ip", given.local.ip), ("net.host.port", given.local.port),
        ("peer.service", given.remote.service), ("net.peer.ip", given.remote.ip), ("net.peer.port", given.remote.port),
        (SHARED, given.shared), (DEBUG, given.debug),
    )  # fmt: skip
    for key, value in pairs:
        if value:
            tags.setdefault(key, value)


def span_event(annotation: Annotation) -> dict[str, Any]:
    """An annotation; the Collector writes events with attributes as `name|{…}|dropped`."""
    time_ns = annotation.time_us * 1000
    name, _, rest = annotation.value.partition("|")
    text, bar, dropped = rest.rpartition("|")
    if bar and text.startswith("{") and dropped.isdecimal() and len(dropped) < 10:
        try:
            return event(time_ns, name, orjson.loads(text), int(dropped))
        except orjson.JSONDecodeError:
            pass
    return event(time_ns, annotation.value)
