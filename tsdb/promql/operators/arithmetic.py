"""The arithmetic and comparison operators on arrays of floats, as one table each.

Source: https://prometheus.io/docs/prometheus/latest/querying/operators/ (Go's Mod and Pow are fmod and power)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from obs.tsdb.promql.values import F64, Bool

TRIMS = ("</", ">/")
"""Operators that trim native histograms; floats have no result."""


def _no_floats(left: F64, right: F64) -> F64:
    return np.full(np.broadcast_shapes(left.shape, right.shape), np.nan)


ARITHMETIC: dict[str, Callable[[F64, F64], F64]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
    **dict.fromkeys(TRIMS, _no_floats),
}
COMPARISONS: dict[str, Callable[[F64, F64], Bool]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
KEEP_NAME = frozenset((*COMPARISONS, *TRIMS))
"""Operators whose result is still of the metric."""


def calculate(op: str, left: F64, right: F64) -> F64:
    """An arithmetic operator, without numpy's warnings: Inf and NaN are results here."""
    with np.errstate(all="ignore"):
        return ARITHMETIC[op](left, right)


def compare(op: str, left: F64, right: F64) -> Bool:
    """A comparison; NaN is unequal to all."""
    with np.errstate(all="ignore"):
        return COMPARISONS[op](left, right)


def has_meaning(op: str, left_hist: Bool, right_hist: Bool) -> Bool:
    """Where an operator has a meaning, by whether each side is a native histogram."""
    floats = ~(left_hist | right_hist) if op not in TRIMS else np.zeros_like(left_hist)
    both = left_hist & right_hist if op in ("+", "-", "==", "!=") else np.zeros_like(left_hist)
    scaled = left_hist & ~right_hist if op in ("*", "/", *TRIMS) else np.zeros_like(left_hist)
    return floats | both | scaled | (right_hist & ~left_hist if op == "*" else False)
