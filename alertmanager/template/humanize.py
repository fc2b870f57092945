"""Numbers for people: Prometheus's humanize functions. A number may come as text.

Source: prometheus.io/docs/prometheus/latest/configuration/template_reference, section "Numbers".
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from obs.gotemplate.gotext import not_finite

LARGE, SMALL = ("", "k", "M", "G", "T", "P", "E", "Z", "Y"), ("", "m", "u", "n", "p", "f", "a", "z", "y")
BINARY = ("", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def number(value: Any) -> float:
    """A number or a text that holds one. Raises: ValueError."""
    if isinstance(value, str) and not re.fullmatch(r"[-+]?(\d.*|\.\d.*|inf|infinity|nan)", value, re.IGNORECASE):
        raise ValueError(f"cannot read {value!r} as a number")
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        raise ValueError("can't convert to a number")
    return float(value)


def _short(value: float, unit: str = "") -> str:
    return not_finite(value) if not math.isfinite(value) else f"{value:.4g}{unit}"


def humanize(value: Any) -> str:
    """Metric prefixes: 1234567 → 1.235M."""
    v = number(value)
    if v == 0 or not math.isfinite(v):
        return _short(v)
    step, prefixes = 0, LARGE if abs(v) >= 1 else SMALL
    while step < 8 and (abs(v) >= 1000 if prefixes is LARGE else abs(v) < 1):
        v, step = (v / 1000 if prefixes is LARGE else v * 1000), step + 1
    return _short(v, prefixes[step])


def humanize1024(value: Any) -> str:
    """Binary prefixes: 1048576 → 1Mi."""
    v, step = number(value), 0
    while step < 8 and math.isfinite(v) and abs(v) >= 1024:
        v, step = v / 1024, step + 1
    return _short(v, BINARY[step])


def humanize_duration(value: Any) -> str:
    """Seconds as 1h 2m 3s, or with a metric prefix below one second."""
    v = number(value)
    if not math.isfinite(v):
        return _short(v)
    if abs(v) < 1:
        return humanize(v) + "s"
    sign, whole = ("-" if v < 0 else ""), int(abs(v))
    if whole < 60:
        return f"{sign}{abs(v):.4g}s"
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next(i for i, (n, _) in enumerate(parts) if n)
    return sign + " ".join(f"{n}{unit}" for n, unit in parts[first:])


def humanize_percentage(value: Any) -> str:
    """A ratio as a percentage."""
    return _short(number(value) * 100, "%")


def humanize_timestamp(value: Any) -> str:
    """Unix seconds as Go prints a UTC time, to the millisecond."""
    v = number(value)
    if not math.isfinite(v):
        return _short(v)
    seconds, ms = divmod(math.floor(v * 1000), 1000)
    fraction = f".{ms:03d}".rstrip("0") if ms else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def parse_duration(value: str) -> float:
    """Seconds of 1h30m. Raises: ValueError."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", value)
    if value != "0" and (not parts or "".join(n + u for n, u in parts) != value):
        raise ValueError(f"not a valid duration string: {value!r}")
    return float(sum(int(n) * _UNITS[u] for n, u in parts))
