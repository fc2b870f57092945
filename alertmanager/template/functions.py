"""The functions of Prometheus's templates, by name.

Source: prometheus.io/docs/prometheus/latest/configuration/template_reference.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any


def number(value: Any) -> float:
    """A value as a number. Raises: ValueError."""
    return float(value)


def text(value: Any) -> str:
    """A value as Go prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    return "" if value is None else str(value)


def go_float(value: float) -> str:
    """A float as Go's %v has it: shortest digits, exponent below 1e-4 and from 1e21."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    digits = repr(value)
    return re.sub(r"e([+-])(\d)$", r"e\g<1>0\2", digits)


def _four_digits(value: float, unit: str) -> str:
    return f"{value:.4g}".replace("e+0", "e+0") + unit


def humanize(value: Any) -> str:
    """Metric prefixes: 1234567 → 1.235M."""
    v = number(value)
    if v == 0 or math.isnan(v) or math.isinf(v):
        return _four_digits(v, "")
    prefixes, factor = (["", "k", "M", "G", "T", "P", "E", "Z", "Y"], 1000.0)
    if abs(v) < 1:
        prefixes, factor = ["", "m", "u", "n", "p", "f", "a", "z", "y"], 0.001
    step = 0
    while step < 8 and (abs(v) >= 1000 if factor > 1 else abs(v) < 1):
        v, step = v / factor, step + 1
    return _four_digits(v, prefixes[step])


def humanize1024(value: Any) -> str:
    """Binary prefixes: 1048576 → 1Mi."""
    v = number(value)
    step = 0
    while abs(v) >= 1024 and step < 8 and not math.isinf(v):
        v, step = v / 1024, step + 1
    return _four_digits(v, ["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"][step])


def humanize_duration(value: Any) -> str:
    """Seconds as 1h 2m 3s, or with a metric prefix below one second."""
    v = number(value)
    if math.isnan(v) or math.isinf(v) or abs(v) < 1:
        return humanize(v) + "s"
    sign, whole = ("-" if v < 0 else ""), int(abs(v))
    days, hours, minutes, seconds = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{abs(v):.4g}s"


def humanize_percentage(value: Any) -> str:
    """A ratio as a percentage."""
    return f"{number(value) * 100:.4g}%"


def humanize_timestamp(value: Any) -> str:
    """Unix seconds as Go prints a UTC time."""
    return datetime.fromtimestamp(number(value), UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def printf(pattern: str, *values: Any) -> str:
    """Go's verbs %s %q %v %d %f %g %e %x %t with flags, width and precision."""
    rest = list(values)

    def verb(match: re.Match[str]) -> str:
        flags, kind = match[1], match[2]
        if kind == "%":
            return "%"
        if not rest:
            return f"%!{kind}(MISSING)"
        value = rest.pop(0)
        if kind == "q":
            return '"' + text(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
        if kind in "svt":
            return str(f"%{flags}s" % text(value))
        return str(f"%{flags}{kind}" % (int(value) if kind in "dx" else number(value)))

    return re.sub(r"%([-+ 0#]*\d*(?:\.\d+)?)([sqvdfgext%])", verb, pattern)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "humanize": humanize,
    "humanize1024": humanize1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
    "humanizeTimestamp": humanize_timestamp,
    "printf": printf,
    "title": lambda s: text(s).title(),
    "toUpper": lambda s: text(s).upper(),
    "toLower": lambda s: text(s).lower(),
    "stripPort": lambda s: re.sub(r":\d+$", "", text(s)),
    "stripDomain": lambda s: re.sub(r"^([^.:]+)\.[^:]*", r"\1", text(s)),
    "match": lambda pattern, s: re.search(pattern, text(s)) is not None,
    "reReplaceAll": lambda pattern, to, s: re.sub(pattern, re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", to), text(s)),
    "parseDuration": lambda s: sum(
        float(n) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[u]
        for n, u in re.findall(r"(\d+)(ms|[smhdw])", text(s))
    ),
    "eq": lambda a, *others: any(a == b for b in others),
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "and": lambda *values: next((v for v in values if not v), values[-1]),
    "or": lambda *values: next((v for v in values if v), values[-1]),
    "not": lambda v: not v,
    "len": len,
    "index": lambda of, key: of.get(key, "") if isinstance(of, Mapping) else of[int(key)],
    "print": lambda *values: "".join(text(v) for v in values),
}
