"""OTLP names as Prometheus names: metrics with unit and type suffixes, labels escaped.

Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", section "OTLP Metric points to
Prometheus" (names, units) and "Resource Attributes", "Instrumentation Scope" (labels).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# Unified Code for Units of Measure → the words that the specification lists under "Unit".
UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
PER_UNITS = {"s": "second", "min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}

_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def unit_words(unit: str) -> list[str]:
    """The words a unit adds to a name: `By/s` → bytes, per_second; annotations in braces add none."""
    main, _, per = unit.partition("/")
    words = [_unit_word(main, UNITS)]
    per_word = _unit_word(per, PER_UNITS)
    words.append(f"per_{per_word}" if per_word else "")
    return [w for w in words if w]


def _unit_word(unit: str, known: Mapping[str, str]) -> str:
    unit = unit.strip()
    if "{" in unit or "}" in unit:
        return ""
    return "_".join(_tokens(known.get(unit, unit)))


def _tokens(name: str) -> list[str]:
    return [t for t in _NOT_IN_NAME.sub("_", name).split("_") if t]


def family_name(name: str, unit: str, kind: str) -> str:
    """A metric's name without `_total`: escaped, its unit appended unless it is there; `kind` as in METADATA.

    A sum that may fall is a gauge there, and has another `kind` here: no `ratio` is appended to it.
    """
    tokens = _tokens(name) or ["_" * len(name)]
    tokens += [w for w in unit_words(unit) if w not in tokens]
    if kind == "counter":
        tokens = [t for t in tokens if t != "total"] or ["total"]
    if kind == "gauge" and unit == "1":
        tokens = [*(t for t in tokens if t != "ratio"), "ratio"]
    joined = "_".join(tokens)
    return f"_{joined}" if joined[0].isdigit() else joined


def label_name(key: str) -> str:
    """An attribute's key as a label name; the empty key has none and gives ""."""
    name = _NOT_IN_LABEL.sub("_", key)
    if name[:1] == "_" != name[1:2]:  # one underscore alone begins names that are kept for others
        return f"key{name}"
    return f"key_{name}" if name[:1].isdigit() else name


def escaped_labels(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Attributes as labels; where keys fall together their values are joined by `;` in the keys' order."""
    labels: dict[str, str] = {}
    for key, value in sorted(attributes):
        name = label_name(key)
        if name and value:
            labels[name] = f"{labels[name]};{value}" if name in labels else value
    return labels
