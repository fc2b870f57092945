"""Floats as Go's strconv writes them: what label values, messages and the HTTP API show.

Source: https://pkg.go.dev/strconv#FormatFloat
"""

from __future__ import annotations

import math
from decimal import Decimal


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return None


def go_plain(value: float) -> str:
    """The shortest digits that read back, never with an exponent ('f', -1)."""
    special = _special(value)
    if special is not None:
        return special
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text[:-2] if text.endswith(".0") else text


def go_json(value: float) -> str:
    """As the HTTP API writes sample values: an exponent below 1e-6 and from 1e21."""
    magnitude = abs(value)
    if magnitude != 0 and (magnitude < 1e-6 or magnitude >= 1e21) and not math.isinf(value):
        return repr(value).replace(".0e", "e")
    return go_plain(value)


def go_general(value: float) -> str:
    """The shortest digits, with an exponent below 1e-4 and from 1e21 ('g', -1)."""
    special = _special(value)
    if special is not None:
        return special
    magnitude = abs(value)
    if magnitude != 0 and (magnitude < 1e-4 or magnitude >= 1e21):
        return repr(value).replace(".0e", "e")
    return go_plain(value)
