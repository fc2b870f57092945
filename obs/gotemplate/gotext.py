"""Values as Go prints them: `%v`, printf, and what counts as true.

Source: pkg.go.dev/fmt, section "Printing"; pkg.go.dev/text/template, section "Actions".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

# Flags, width, precision, verb; no page is wider than four digits say.
_VERB = re.compile(r"%([-+# 0]*)(\d{0,4})(?:\.(\d{0,3}))?(.?)", re.DOTALL)
_BY_TYPE: Mapping[str, str] = {"int": "vdxXobcqU", "float64": "veEfFgG", "string": "vsqxX", "bool": "vt"}
"""The verbs that each type knows; any other is printed as a fault, within the text."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An element of a query's answer, as templates see it."""

    labels: Mapping[str, str]
    value: float

    @property
    def fields(self) -> Mapping[str, Any]:
        """What a template may take from it by name."""
        return {"Labels": self.labels, "Value": self.value}


def go_type(value: Any) -> str:
    """A value's type as Go names it."""
    names = {bool: "bool", int: "int", float: "float64", str: "string", Sample: "*template.sample"}
    if isinstance(value, Mapping):
        return "map[string]string"
    return names.get(type(value), "template.queryResult")


def truth(value: Any) -> bool:
    """Whether `if` takes it: not empty, not zero."""
    return not (isinstance(value, int | float | str | list | tuple | Mapping) and not value) and value is not None


def text(value: Any) -> str:
    """A value as Go's %v has it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{k}:{text(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, Sample):
        return f"&{{{text(value.labels)} {text(value.value)}}}"
    return "[" + " ".join(map(text, value)) + "]" if isinstance(value, list | tuple) else str(value)


def go_float(value: float) -> str:
    """The fewest digits that tell the value apart; with an exponent below 1e-4 and from 1e6.

    Source: Go's strconv.FormatFloat, format 'g', precision -1.
    """
    if not math.isfinite(value):
        return not_finite(value)
    shortest = scientific(value)
    mantissa, exponent = shortest.split("e")
    if not -4 <= int(exponent) < 6:
        return shortest
    decimals = len(mantissa.lstrip("-").replace(".", "")) - 1 - int(exponent)
    return f"{value:.{max(decimals, 0)}f}"


def scientific(value: float) -> str:
    """The fewest digits that tell the value apart, always with an exponent."""
    if not math.isfinite(value):
        return not_finite(value)
    return next(shown for digits in range(17) if float(shown := f"{value:.{digits}e}") == value)


def not_finite(value: float) -> str:
    """NaN, +Inf or -Inf."""
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def printf(pattern: str, *values: Any) -> str:
    """Go's Sprintf. A verb that does not fit its value is printed with the fault, as Go does."""
    rest = list(values)

    def shown(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not verb:
            return "%!(NOVERB)"
        if not rest:
            return f"%!{verb}(MISSING)"
        value = rest.pop(0)
        if verb != "T" and verb not in _BY_TYPE.get(go_type(value), "vs"):
            return f"%!{verb}({_typed(value)})"
        return _padded(_verb(value, verb, flags, precision), flags, width)

    out = _VERB.sub(shown, pattern)
    return out + (f"%!(EXTRA {', '.join(map(_typed, rest))})" if rest else "")


def _typed(value: Any) -> str:
    return "<nil>" if value is None else f"{go_type(value)}={text(value)}"


def _padded(shown: str, flags: str, width: str) -> str:
    if "-" in flags:
        return shown.ljust(int(width or 0))
    number = re.fullmatch(r"[-+ ]?[0-9a-fA-FxX.]+(e[-+]\d+)?", shown)
    return shown.zfill(int(width or 0)) if "0" in flags and number else shown.rjust(int(width or 0))


def _verb(value: Any, verb: str, flags: str, precision: str | None) -> str:
    if verb == "T":
        return go_type(value)
    if verb == "q":
        return f"'{chr(value)}'" if isinstance(value, int) else quoted(text(value))
    if isinstance(value, float):
        return _float(value, verb, flags, precision)
    if isinstance(value, str):
        value = value if precision is None else value[: int(precision or 0)]
        return value.encode().hex() if verb == "x" else value.encode().hex().upper() if verb == "X" else value
    if isinstance(value, int) and verb not in "vt":
        return _INT[verb](value, "".join(f for f in flags if f in "+ #"))
    plus = "+" if "+" in flags and type(value) is int and value >= 0 else ""
    return plus + text(value)


_INT: Mapping[str, Callable[[int, str], str]] = {
    "d": lambda v, flags: f"%{flags}d" % v,
    "x": lambda v, flags: f"%{flags}x" % v,
    "X": lambda v, flags: f"%{flags}X" % v,
    "o": lambda v, _: f"{v:o}",
    "b": lambda v, _: f"{v:b}",
    "c": lambda v, _: chr(v),
    "U": lambda v, _: f"U+{v:04X}",
}


def _float(value: float, verb: str, flags: str, precision: str | None) -> str:
    sign = "+" if "+" in flags and value >= 0 else " " if " " in flags and value >= 0 else ""
    if not math.isfinite(value):
        return not_finite(value)
    if precision is None and verb in "vgG":
        found = go_float(value)
    else:
        digits = 6 if precision is None else int(precision or 0)
        found = f"%.{digits}{'g' if verb == 'v' else verb}" % value
    return sign + (found.upper() if verb in "EG" else found)


def quoted(value: str) -> str:
    """Text in double quotes, escaped."""
    return orjson.dumps(value).decode()
