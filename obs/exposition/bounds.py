"""Bucket edges and quantiles as labels have them, whatever format brought them: floats as OpenMetrics writes them.

Source: https://prometheus.io/docs/prometheus/latest/migration/#le-and-quantile-label-values
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import inf, isinf, isnan

_GO_FLOAT = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.ASCII | re.IGNORECASE)

_LABEL_OF = {"histogram": "le", "summary": "quantile"}
"""The label that holds a number, by the type of its family."""


def numeric_label(kind: str) -> str:
    """The label of a family of this type that is to be written by `bound_text`; empty where there is none."""
    return _LABEL_OF.get(kind, "")


def normal_text(text: str) -> str:
    """A label's number as OpenMetrics writes it; what is no number stays as it is."""
    if not _GO_FLOAT.fullmatch(text):
        return text
    value = float(text)
    overflown = isinf(value) and "i" not in text.lower()
    return text if overflown else bound_text(value)


def bound_text(value: float) -> str:
    """The shortest digits that give the number, with a point or an exponent; an exponent below 1e-4 and from 1e6 on.

    Source: https://pkg.go.dev/strconv#FormatFloat, "g" with precision -1, and `.0` where that is a whole number.
    """
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value == inf else "-Inf"
    if value == 0:
        return "0.0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) + int(exponent) - 1
    if -4 <= power < 6:
        plain = f"{Decimal(repr(value)):f}"
        return plain if "." in plain else f"{plain}.0"
    first, *rest = map(str, digits)
    fraction = f".{''.join(rest)}" if rest else ""
    return f"{'-' if sign else ''}{first}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"
