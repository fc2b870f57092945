"""Log records from documents: nested fields of any sender, as Elasticsearch, Splunk and Fluentd take them.

A document becomes a record under the names of OpenTelemetry: its message the body, its level the severity, its time the
time, what names its service, host, container or pod the resource. All else are attributes, under keys joined by dots.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from obs.collector.receivers.levels import line_severity, severity
from obs.otlp.records import BODY_JSON, BODY_TEXT, Record, cell, json_text, mended
from obs.otlp.values import Cell

MESSAGE_KEYS = ("message", "log", "msg", "MESSAGE", "short_message", "event", "text")
LEVEL_KEYS = ("level", "log.level", "severity", "loglevel", "log_level", "levelname", "lvl", "severity_text")
TIME_KEYS = ("@timestamp", "timestamp", "time", "ts", "datetime")
TRACE_KEYS = ("trace_id", "trace.id", "traceId", "traceid", "TraceId")
SPAN_KEYS = ("span_id", "span.id", "spanId", "spanid", "SpanId")

RESOURCE_KEYS: Mapping[str, Sequence[str]] = {
    "service.name": ("service.name", "service", "app", "application"),
    "host.name": ("host.name", "hostname", "host", "beat.hostname", "kubernetes.host"),
    "container.id": ("container.id", "container_id", "kubernetes.docker_id", "docker.container_id"),
    "container.name": ("container.name", "container_name", "docker.container_name"),
    "k8s.pod.name": ("k8s.pod.name", "kubernetes.pod_name", "kubernetes.pod.name"),
    "k8s.namespace.name": ("k8s.namespace.name", "kubernetes.namespace_name", "kubernetes.namespace"),
    "k8s.container.name": ("k8s.container.name", "kubernetes.container_name", "kubernetes.container.name"),
}
"""OpenTelemetry's name → the fields that senders use for it, the first that is there."""

SERVICE_FROM = ("k8s.container.name", "container.name", "tag", "index", "source")
"""What a service is called that does not say so: the first of these in its resource."""

MAX_DEPTH = 16
"""Levels of a document that become keys of their own; what lies deeper is one value, as JSON."""

SECONDS_END = 10**11
"""Numbers from here on are no seconds but ms, µs or ns: as seconds it is the year 5138, as ms it was 1973."""

_NUMBER = re.compile(r"(\d{1,20})(?:\.(\d+))?")
_HEX = re.compile(r"[0-9a-fA-F]+")


def record(document: Mapping[str, Any], resource: Mapping[str, str], time_ns: int = 0) -> Record:
    """The record of one document. `resource`: what its envelope says; `time_ns`: likewise, 0 where it does not."""
    fields = flat(document)
    message = _first(fields, MESSAGE_KEYS, str)
    level = _level(fields)
    body = mended(fields.pop(message)) if message else json_text(document)
    found = Record(
        body=body,
        time_ns=time_ns or _time(fields),
        severity_number=severity(level) or line_severity(body),
        severity_text=level or None,
        body_type=BODY_TEXT if message else BODY_JSON,
        trace_id=_id(fields, TRACE_KEYS, 32),
        span_id=_id(fields, SPAN_KEYS, 16),
        resource=_resource(fields, resource),
    )
    found.attributes = {mended(key): cell(value) for key, value in fields.items()}
    return found


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Fields under keys joined by dots; nulls left out."""
    found: dict[str, Any] = {}
    _flatten(document, "", found, 0)
    return found


def _flatten(document: Mapping[str, Any], prefix: str, found: dict[str, Any], depth: int) -> None:
    for key, value in document.items():
        name = f"{prefix}{_text(key)}"
        if isinstance(value, dict) and value and depth < MAX_DEPTH:
            _flatten(value, f"{name}.", found, depth + 1)
        elif value is not None:
            found[name] = _text(value) if isinstance(value, bytes) else value


def time_ns(value: Any) -> int:
    """A time in Unix ns: seconds, ms, µs or ns told apart by their size, or ISO 8601; 0 where it is none."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, (int, float)):
        return _from_number(value)
    if not isinstance(value, str):
        return 0
    number = _NUMBER.fullmatch(value)
    if number is None:
        return _from_iso(value)
    whole, fraction = int(number[1]), number[2] or ""
    if fraction and whole < SECONDS_END:
        return whole * 10**9 + int(fraction[:9].ljust(9, "0"))
    return _from_number(whole)


def service(resource: Mapping[str, Cell]) -> Mapping[str, Cell]:
    """The resource, with a service's name where something else names it."""
    if "service.name" in resource:
        return resource
    name = next((resource[key][1] for key in SERVICE_FROM if key in resource), None)
    return resource if name is None else {**resource, "service.name": ("str", name)}


def _from_number(number: float) -> int:
    """A double has room for a microsecond of seconds since 1970, and no more."""
    if not math.isfinite(number) or number <= 0:
        return 0
    for limit, factor in ((SECONDS_END, 10**9), (SECONDS_END * 10**3, 10**6), (SECONDS_END * 10**6, 10**3)):
        if number < limit:
            return number * factor if isinstance(number, int) else round(number * (factor // 1000)) * 1000
    return int(number)


def _from_iso(text: str) -> int:
    fraction = re.search(r"[.,](\d+)", text)
    try:
        whole = datetime.fromisoformat(text if fraction is None else text[: fraction.start()] + text[fraction.end() :])
    except ValueError:
        return 0
    whole = whole if whole.tzinfo else whole.replace(tzinfo=UTC)
    digits = fraction[1][:9].ljust(9, "0") if fraction else "0"
    return max(int(whole.timestamp()) * 10**9 + int(digits), 0)


def _first(fields: Mapping[str, Any], keys: Sequence[str], kind: type) -> str | None:
    return next((key for key in keys if isinstance(fields.get(key), kind)), None)


def _level(fields: Mapping[str, Any]) -> str:
    key = _first(fields, LEVEL_KEYS, str)
    return mended(fields[key]) if key and len(fields[key]) <= 32 else ""


def _time(fields: dict[str, Any]) -> int:
    for key in TIME_KEYS:
        found = time_ns(fields.get(key))
        if found:
            del fields[key]
            return found
    return 0


def _id(fields: dict[str, Any], keys: Sequence[str], digits: int) -> bytes | None:
    key = _first(fields, keys, str)
    if key is None or len(fields[key]) != digits or not _HEX.fullmatch(fields[key]):
        return None
    found = bytes.fromhex(fields[key])
    if not any(found):
        return None
    del fields[key]
    return found


def _resource(fields: dict[str, Any], given: Mapping[str, str]) -> Mapping[str, Cell]:
    found: dict[str, Cell] = {key: ("str", mended(value)) for key, value in given.items() if value}
    for name, keys in RESOURCE_KEYS.items():
        key = _first(fields, keys, str)
        if key is not None and fields[key]:
            value = mended(fields.pop(key))
            found[name] = ("str", value.removeprefix("/") if name == "container.name" else value)
    return service(found)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
