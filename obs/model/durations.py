"""Durations as Prometheus writes them in queries, configurations and answers: 90000 ms → `1m30s`.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations
"""

from __future__ import annotations

_WHOLE = (("y", 31_536_000_000), ("w", 604_800_000))
"""Units that are used where nothing is left over: 90d reads easier than 12w6d."""

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def duration_text(ms: int) -> str:
    """Milliseconds as text, the largest unit first."""
    if ms == 0:
        return "0s"
    parts, left = [], abs(ms)
    for unit, size in _WHOLE:
        if left and left % size == 0:
            parts.append(f"{left // size}{unit}")
            left = 0
    for unit, size in _UNITS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return ("-" if ms < 0 else "") + "".join(parts)
