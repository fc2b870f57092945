"""Durations and sizes as LogQL and Go write them: `1h30m`, `250ms`, `10KB`, `1.5MiB`."""

from __future__ import annotations

import re

_NS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
    "d": 86_400 * 10**9, "w": 7 * 86_400 * 10**9, "y": 365 * 86_400 * 10**9,
}  # fmt: skip
"""Source: PromQL, "Time durations": a day has 24 hours, a year 365 days."""

_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w|y)")
_WHOLE = re.compile(rf"[+-]?(?:{_PART.pattern})+")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtpe]?)(i?)b?", re.IGNORECASE)


LONGEST_NS = (1 << 63) - 1
"""292 years: what 64 bits of nanoseconds hold."""


def duration_ns(text: str) -> int:
    """A duration in nanoseconds. Raises: ValueError."""
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"cannot read duration {text[:40]!r}: it is not like 1h30m or 250ms")
    parts = [float(number) * _NS[unit] for number, unit in _PART.findall(text)]
    if sum(parts) > LONGEST_NS:
        raise ValueError(f"cannot read duration {text[:40]!r}: it is longer than 292 years; write a shorter one")
    total = sum(map(round, parts))
    return -total if text.startswith("-") else total


def bytes_value(text: str) -> float:
    """A size in bytes; k is 1000 and Ki is 1024, as Loki's. Raises: ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"cannot read size {text!r}: it is not like 10KB or 1.5MiB")
    number, prefix, binary = found.groups()
    return float(number) * float((1024 if binary else 1000) ** (" kmgtpe".index(prefix.lower()) if prefix else 0))


def duration_text(ns: int) -> str:
    """A duration as LogQL reads it back, in the largest unit that holds it exactly."""
    for unit in ("h", "m", "s", "ms", "us"):
        if ns % _NS[unit] == 0:
            return f"{ns // _NS[unit]}{unit}"
    return f"{ns}ns"
