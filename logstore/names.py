"""Names: from attribute keys to the labels that LogQL shows, and the labels every record has.

A label name is the attribute's key with everything but letters, digits and `_` as `_`; several columns may share
one label (two types of one key, or the same key on record and resource): the record's own comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from obs.model.schema import OVERFLOW, parse_attribute_column

STREAM_ID = "stream_id"
DETECTED_LEVEL = "detected_level"

LEVELS = ("unknown", "trace", "debug", "info", "warn", "error", "fatal")
"""Values of `detected_level`; OTLP's severity numbers come in fours from 1.
Source: OpenTelemetry logs data model, "Displaying Severity"."""

LEVEL_WORDS: Mapping[str, int] = {
    "trace": 1, "trc": 1, "debug": 2, "dbg": 2, "info": 3, "information": 3, "inf": 3, "notice": 3,
    "warn": 4, "warning": 4, "wrn": 4, "error": 5, "err": 5, "fatal": 6, "critical": 6, "crit": 6,
    "alert": 6, "emerg": 6, "emergency": 6, "panic": 6,
}  # fmt: skip
"""Severity texts of records without a number, lower case, as positions in LEVELS."""

FIXED_LABELS = {
    "severity_text": "severity_text",
    "severity_number": "severity_number",
    "trace_id": "trace_id",
    "span_id": "span_id",
    "flags": "flags",
    "event_name": "event_name",
    "scope_name": "scope_name",
    "scope_version": "scope_version",
    "observed_timestamp": "observed_ns",
}
"""Labels of a record's fixed columns: label → column; Loki's names for OTLP."""

LABEL_ALIASES = {"level": DETECTED_LEVEL, "severity": "severity_text"}
"""What people type, where no column bears the name."""

IMPLIED = frozenset((DETECTED_LEVEL, *LABEL_ALIASES))
"""Labels that a record may have though none of their name is stored."""

_SCOPE_ORDER = {"attr": 0, "scope": 1, "resource": 2}
_NOT_LABEL = re.compile(r"[^A-Za-z0-9_]")


@lru_cache(maxsize=16_384)
def label_name(key: str) -> str:
    """The label under which attribute `key` is seen."""
    name = _NOT_LABEL.sub("_", key)
    return f"_{name}" if name[:1].isdigit() else name


def attribute_columns(columns: Iterable[str]) -> dict[str, list[str]]:
    """Label name → its columns, the record's before the scope's before the resource's."""
    found: dict[str, list[tuple[int, str]]] = {}
    for column in columns:
        attribute = parse_attribute_column(column) if column != OVERFLOW else None
        if attribute is not None:
            found.setdefault(label_name(attribute.key), []).append((_SCOPE_ORDER[attribute.scope], column))
    return {label: [c for _, c in sorted(pairs)] for label, pairs in found.items()}
