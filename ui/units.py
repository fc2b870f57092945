"""Units: guessed from a metric's name and the functions around it, and numbers written in them. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """How an axis is labelled: Plotly's tick format and a suffix."""

    name: str
    tick: str = ".3~s"
    suffix: str = ""

    def text(self, value: float | None) -> str:
        """A number for people: three digits and the unit."""
        if value is None or math.isnan(value):
            return "–"
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if self.name == "percent":
            return f"{value * 100:.3g} %" if abs(value) < 9.995 else f"{value * 100:.0f} %"
        if self.name in ("seconds", "milliseconds"):
            return duration(value if self.name == "seconds" else value / 1e3)
        if self in (NONE, RATE) and abs(value) < 1000:
            return f"{value:.3g} {self.suffix}".rstrip()
        return _si(value, self.suffix)


NONE = Unit("none")
BYTES = Unit("bytes", suffix="B")
BYTES_S = Unit("bytes/s", suffix="B/s")
SECONDS = Unit("seconds", suffix="s")
MILLISECONDS = Unit("milliseconds", tick=".3~r", suffix=" ms")
RATE = Unit("rate", suffix="/s")
PERCENT = Unit("percent", tick=".3~p")

_RATED = re.compile(r"\b(rate|irate|deriv)\s*\(")
_PREFIXES = (
    (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"),
)  # fmt: skip


def unit_of(query: str) -> Unit:
    """The unit of a PromQL expression, as far as names tell; a product or quotient of metrics has none."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\{[^}]*\}|\[[^\]]*\]', "", query)
    metrics = set(re.findall(r"\b[a-zA-Z_:][\w:]*_[\w:]+\b(?!\s*\()", bare))
    metrics = {m for m in metrics if not re.search(rf"(?:by|without|on|ignoring)\s*\([^)]*\b{m}\b", bare)}
    units = {_of_name(m) for m in metrics}
    if len(units) != 1 or ("/" in bare and len(metrics) > 1):
        return NONE
    unit = units.pop()
    if not _RATED.search(bare) or "histogram_quantile" in bare:
        return unit
    return {BYTES: BYTES_S, SECONDS: NONE, MILLISECONDS: NONE}.get(unit, RATE)


def _of_name(metric: str) -> Unit:
    name = re.sub(r"_(total|sum|bucket|count)$", "", metric)
    if metric.endswith("_count"):
        return NONE
    if name.endswith(("_bytes", "_cache", "_rss")) or name.startswith("node_memory_"):
        return BYTES
    if name.endswith(("_seconds", "_milliseconds")):
        return SECONDS if name.endswith("_seconds") else MILLISECONDS
    return PERCENT if name.endswith("_ratio") else NONE


def _si(value: float, suffix: str) -> str:
    """`1.5 GB`: three digits, a space, prefix and suffix."""
    size = abs(value)
    factor, prefix = next(((f, p) for f, p in _PREFIXES if size >= f * 0.9995), (1.0, ""))
    return f"{value / factor:.3g} {prefix}{suffix}".rstrip()


def duration(seconds: float) -> str:
    """`1.25 s`, `340 ms`, `2 h 5 m`, `3 d 4 h`."""
    size = abs(seconds)
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1, 1e3, "ms"), (60, 1, "s")):
        if size < limit * 0.9995 or (unit == "s" and size < 60):
            return f"{seconds * factor:.3g} {unit}" if seconds else "0 s"
    whole = round(seconds)
    for big, small, big_name, small_name in ((86400, 3600, "d", "h"), (3600, 60, "h", "m"), (60, 1, "m", "s")):
        if size >= big:
            rest = whole % big // small
            return f"{whole // big} {big_name}" + (f" {rest} {small_name}" if rest else "")
    return f"{whole} s"


def count(value: float | None) -> str:
    """A number of things: `1.23 M`."""
    return NONE.text(value)
