"""The functions of LogQL's templates, by name.

Source: Loki, "Template functions".
"""

from __future__ import annotations

import base64
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pyarrow as pa
import pyarrow.compute as pc

from obs.gotemplate.functions import GO_FUNCTIONS
from obs.gotemplate.walk import OF_THE_WALK, Function
from obs.logstore.logql.go_time import go_layout, moment, parse_layout
from obs.logstore.logql.units import bytes_value, duration_ns

LINE, TIMESTAMP = "__line__", "__timestamp__"


def _int(value: Any) -> int:
    try:
        return int(float(value)) if not isinstance(value, int) else value
    except (TypeError, ValueError):
        return 0


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _regex_replace(pattern: str, text: str, to: str) -> str:
    """By RE2; `${1}` and `$1` are groups."""
    rewrite = re.sub(r"\$\{?(\d+)\}?", r"\\\1", to.replace("\\", "\\\\"))
    return str(pc.replace_substring_regex(pa.array([text]), pattern, rewrite)[0].as_py())


def _regex_replace_literal(pattern: str, text: str, to: str) -> str:
    return str(pc.replace_substring_regex(pa.array([text]), pattern, to.replace("\\", "\\\\"))[0].as_py())


def _count(pattern: str, text: str) -> int:
    return int(pc.count_substring_regex(pa.array([text]), pattern)[0].as_py())


def _indent(spaces: int, text: str) -> str:
    pad = " " * _int(spaces)
    return pad + text.replace("\n", "\n" + pad)


def _substr(start: int, end: int, text: str) -> str:
    return text[:end] if start < 0 else text[start:] if end < 0 or end > len(text) else text[start:end]


def _trunc(count: int, text: str) -> str:
    return text[count:] if count < 0 and len(text) + count > 0 else text[:count] if 0 <= count < len(text) else text


def _title(text: str) -> str:
    return re.sub(r"(?<!\w)\w", lambda m: m[0].upper(), text)


def _aligned(count: int, text: str, right: bool) -> str:
    if len(text) >= count:
        return text[len(text) - count :] if right else text[:count]
    return text.rjust(count) if right else text.ljust(count)


def _division(a: Any, b: Any) -> int:
    return int(_int(a) / _int(b))


def _round(value: Any, places: Any, up: float = 0.5) -> float:
    factor = 10.0 ** _int(places)
    scaled = _float(value) * factor
    return (math.floor(scaled) if scaled - math.floor(scaled) < up else math.ceil(scaled)) / factor


def _product(*values: Any) -> int:
    return math.prod(map(_int, values))


def _difference(first: Any, *rest: Any) -> float:
    return _float(first) - sum(map(_float, rest))


def _quotient(first: Any, *rest: Any) -> float:
    value = _float(first)
    for divisor in rest:
        value /= _float(divisor)
    return value


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


_TEXTS: Mapping[str, Function] = {
    "ToLower": str.lower, "ToUpper": str.upper, "lower": str.lower, "upper": str.upper, "title": _title,
    "Title": _title, "Replace": lambda s, old, new, n: s.replace(old, new, _int(n)),
    "replace": lambda old, new, s: s.replace(old, new), "Trim": lambda s, cut: s.strip(cut),
    "TrimLeft": lambda s, cut: s.lstrip(cut), "TrimRight": lambda s, cut: s.rstrip(cut),
    "TrimPrefix": lambda s, p: s.removeprefix(p), "TrimSuffix": lambda s, p: s.removesuffix(p),
    "TrimSpace": str.strip, "trim": str.strip, "trimAll": lambda cut, s: s.strip(cut),
    "trimPrefix": lambda p, s: s.removeprefix(p), "trimSuffix": lambda p, s: s.removesuffix(p),
    "alignLeft": lambda n, s: _aligned(_int(n), s, False), "alignRight": lambda n, s: _aligned(_int(n), s, True),
    "indent": _indent, "nindent": lambda n, s: "\n" + _indent(n, s), "repeat": lambda n, s: s * min(_int(n), 10_000),
    "contains": lambda part, s: part in s, "hasPrefix": lambda p, s: s.startswith(p),
    "hasSuffix": lambda p, s: s.endswith(p), "substr": lambda a, b, s: _substr(_int(a), _int(b), s),
    "trunc": lambda n, s: _trunc(_int(n), s), "b64enc": lambda s: base64.b64encode(s.encode()).decode(),
    "b64dec": lambda s: base64.b64decode(s).decode(errors="replace"), "urlencode": quote_plus,
    "urldecode": unquote_plus, "regexReplaceAll": _regex_replace, "regexReplaceAllLiteral": _regex_replace_literal,
    "count": _count, "default": lambda other, value=None: value or other, "fromJson": _from_json,
    "line": lambda s: s, "sha256sum": lambda s: __import__("hashlib").sha256(s.encode()).hexdigest(),
}  # fmt: skip
_NUMBERS: Mapping[str, Function] = {
    "int": _int, "float64": _float, "add": lambda *v: sum(map(_int, v)), "sub": lambda a, b: _int(a) - _int(b),
    "mul": _product, "div": _division, "mod": lambda a, b: int(math.fmod(_int(a), _int(b))),
    "addf": lambda *v: math.fsum(map(_float, v)), "subf": _difference, "mulf": lambda *v: math.prod(map(_float, v)),
    "divf": _quotient, "max": lambda *v: max(map(_int, v)), "min": lambda *v: min(map(_int, v)),
    "maxf": lambda *v: max(map(_float, v)), "minf": lambda *v: min(map(_float, v)),
    "ceil": lambda v: float(math.ceil(_float(v))), "floor": lambda v: float(math.floor(_float(v))), "round": _round,
    "bytes": lambda s: bytes_value(s), "duration": lambda s: duration_ns(s) / 1e9,
    "duration_seconds": lambda s: duration_ns(s) / 1e9,
}  # fmt: skip
_UNIX_DIGITS = {5: 86_400 * 10**9, 10: 10**9, 13: 10**6, 16: 10**3, 19: 1}
"""Digits of a Unix time → nanoseconds of its unit: days, seconds, milli-, micro- and nanoseconds."""

_TIMES: Mapping[str, Function] = {
    "now": lambda: time.time_ns(), "date": lambda layout, t: go_layout(layout, moment(t)),
    "toDate": parse_layout, "toDateInZone": lambda layout, zone, s: parse_layout(layout, s, zone),
    "unixEpoch": lambda t: str(moment(t) // 10**9), "unixEpochMillis": lambda t: str(moment(t) // 10**6),
    "unixEpochNanos": lambda t: str(moment(t)),
    "unixToTime": lambda s: int(s) * _UNIX_DIGITS[len(str(s))],
}  # fmt: skip
FUNCTIONS: Mapping[str, Function] = {**GO_FUNCTIONS, **_TEXTS, **_NUMBERS, **_TIMES}
"""Those that need nothing but their arguments; times are nanoseconds since 1970."""

NAMES = frozenset((*FUNCTIONS, *OF_THE_WALK, LINE, TIMESTAMP))
