"""Functions of each float sample alone: rounding, logarithms, trigonometry, clamping. Histograms are left out.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#trigonometric-functions
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.plan import Call
from obs.tsdb.promql.values import F64, Vector

Function = Callable[[Frame, Call], Vector]


def of_value(ufunc: Callable[[F64], F64]) -> Function:
    """A function of the value."""

    def function(frame: Frame, call: Call) -> Vector:
        vector = frame.vector(call.args[0]).only_floats()
        with np.errstate(all="ignore"):
            return mapped(vector, ufunc(vector.values))

    return function


def mapped(vector: Vector, values: F64) -> Vector:
    """The vector with new values; the metric name goes."""
    return Vector(vector.labels, values, vector.present, np.ones_like(vector.drop_name)).compact()


def _clamp(frame: Frame, call: Call) -> Vector:
    vector = frame.vector(call.args[0]).only_floats()
    low, high = (frame.scalar(a).values for a in call.args[1:])
    result = mapped(vector, _maximum(low, _minimum(high, vector.values)))
    wrong = high < low
    if bool(wrong.any()):
        result = Vector(result.labels, result.values, result.present & ~wrong, result.drop_name).compact()
    return result


def _clamp_max(frame: Frame, call: Call) -> Vector:
    vector = frame.vector(call.args[0]).only_floats()
    return mapped(vector, _minimum(frame.scalar(call.args[1]).values, vector.values))


def _clamp_min(frame: Frame, call: Call) -> Vector:
    vector = frame.vector(call.args[0]).only_floats()
    return mapped(vector, _maximum(frame.scalar(call.args[1]).values, vector.values))


def _minimum(a: F64, b: F64) -> F64:
    """math.Min: NaN if either is."""
    return np.minimum(a, b)


def _maximum(a: F64, b: F64) -> F64:
    return np.maximum(a, b)


def _round(frame: Frame, call: Call) -> Vector:
    vector = frame.vector(call.args[0]).only_floats()
    nearest = frame.scalar(call.args[1]).values if len(call.args) > 1 else np.ones(frame.steps.count)
    with np.errstate(all="ignore"):
        inverse = 1.0 / nearest  # dividing by the inverse keeps 0.1 and the like exact
        return mapped(vector, np.floor(vector.values * inverse + 0.5) / inverse)


ELEMENTWISE: dict[str, Function] = {
    "abs": of_value(np.abs),
    "acos": of_value(np.arccos),
    "acosh": of_value(np.arccosh),
    "asin": of_value(np.arcsin),
    "asinh": of_value(np.arcsinh),
    "atan": of_value(np.arctan),
    "atanh": of_value(np.arctanh),
    "ceil": of_value(np.ceil),
    "clamp": _clamp,
    "clamp_max": _clamp_max,
    "clamp_min": _clamp_min,
    "cos": of_value(np.cos),
    "cosh": of_value(np.cosh),
    "deg": of_value(np.degrees),
    "exp": of_value(np.exp),
    "floor": of_value(np.floor),
    "ln": of_value(np.log),
    "log10": of_value(np.log10),
    "log2": of_value(np.log2),
    "rad": of_value(np.radians),
    "round": _round,
    "sgn": of_value(np.sign),
    "sin": of_value(np.sin),
    "sinh": of_value(np.sinh),
    "sqrt": of_value(np.sqrt),
    "tan": of_value(np.tan),
    "tanh": of_value(np.tanh),
}
