"""Loki's streams as log records: labels are the resource, structured metadata the attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from obs.collector.receivers.levels import line_severity, severity
from obs.collector.receivers.loki.messages import Stream
from obs.errors import UserError
from obs.model.quoting import unquoted
from obs.model.resource import NAMING_ATTRIBUTES
from obs.otlp.records import Record, mended, texts
from obs.otlp.values import Cell

SERVICE_LABELS = (
    "service_name", "service", "app", "application", "name", "app_kubernetes_io_name", "container", "container_name",
    "component", "workload", "job",
)  # fmt: skip
"""What a stream's service is called: the first of these labels that is there, as in Loki."""

LEVEL_LABELS = ("detected_level", "level", "severity", "severity_text", "lvl")
TRACE_LABELS = ("trace_id", "traceID", "traceid")

_ATTRIBUTES = {key.replace(".", "_"): key for key in NAMING_ATTRIBUTES}
_PAIR = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*("(?:[^"\\]|\\.)*")\s*(,|$)')
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")


def records(streams: Iterator[Stream]) -> Iterator[Record]:
    """A record for each line. Raises: UserError where labels cannot be read."""
    for stream in streams:
        labels = selector_labels(stream.labels) if isinstance(stream.labels, str) else dict(stream.labels)
        resource = _resource(labels)
        of_stream = _level(labels)
        for time_ns, line, metadata in stream.entries:
            level = _level(metadata) or of_stream
            yield Record(
                mended(line), time_ns, severity(level) or line_severity(line), level or None,
                trace_id=_trace_id(metadata) if metadata else None,
                resource=resource, attributes=texts(metadata),
            )  # fmt: skip


@lru_cache(maxsize=16_384)
def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    inside = text.strip()
    if not (inside.startswith("{") and inside.endswith("}")):
        raise UserError(f"cannot read labels {text[:200]!r}: they do not stand between {{ and }}")
    inside, at, found = inside[1:-1].rstrip(), 0, []
    while at < len(inside):
        match = _PAIR.match(inside, at)
        if match is None:
            raise UserError(f'cannot read labels {text[:200]!r}: column {at + 2} is no name="value"')
        found.append((match[1], mended(unquoted(match[2]))))
        at = match.end()
    return tuple(found)


def selector_labels(text: str) -> dict[str, str]:
    """The labels of a stream's text, `{name="value", …}` with Go's escapes. Raises: UserError."""
    return dict(_pairs(text))


def _resource(labels: Mapping[str, str]) -> Mapping[str, Cell]:
    if not any(labels.values()):
        raise UserError("cannot take stream without labels: give each at least one")
    named = {_ATTRIBUTES.get(name, name): value for name, value in labels.items()}
    service = next((labels[name] for name in SERVICE_LABELS if labels.get(name)), None)
    return texts({**named, "service.name": service} if service else named)


def _level(pairs: Mapping[str, str]) -> str:
    return next((pairs[name] for name in LEVEL_LABELS if pairs.get(name)), "")


def _trace_id(metadata: Mapping[str, str]) -> bytes | None:
    found = next((metadata[name] for name in TRACE_LABELS if name in metadata), "")
    return bytes.fromhex(found) if _TRACE_ID.fullmatch(found) and found.strip("0") else None
