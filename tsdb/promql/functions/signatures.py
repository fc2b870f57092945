"""Every function's signature: argument kinds, how many of the last may be left out or repeated, and what it returns.

Source: https://prometheus.io/docs/prometheus/latest/querying/functions/
"""

from __future__ import annotations

from typing import NamedTuple

from obs.tsdb.promql.plan import Kind

S, V, M, T = Kind.SCALAR, Kind.VECTOR, Kind.MATRIX, Kind.STRING


class Signature(NamedTuple):
    """`optional`: 0 all arguments needed; n > 0 the last n may be left out; -1 the last repeats from zero times."""

    args: tuple[Kind, ...]
    optional: int = 0
    returns: Kind = V


_MATH = [
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "deg", "rad", "sin", "cos", "tan",
    "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
]  # fmt: skip
_WINDOW = [
    "rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets", "absent_over_time",
    "avg_over_time", "count_over_time", "first_over_time", "last_over_time", "mad_over_time", "max_over_time",
    "min_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time", "sum_over_time",
    "ts_of_first_over_time", "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
]  # fmt: skip
_CALENDAR = [
    "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year",
]  # fmt: skip
_PLAIN_VECTOR = [
    "absent", "sort", "sort_desc", "start_timestamp", "timestamp", "histogram_avg", "histogram_count", "histogram_sum",
    "histogram_stddev", "histogram_stdvar",
]  # fmt: skip
SIGNATURES: dict[str, Signature] = {
    **{name: Signature((V,)) for name in _MATH + _PLAIN_VECTOR},
    **{name: Signature((M,)) for name in _WINDOW},
    **{name: Signature((V,), 1) for name in _CALENDAR},
    "clamp": Signature((V, S, S)),
    "clamp_max": Signature((V, S)),
    "clamp_min": Signature((V, S)),
    "double_exponential_smoothing": Signature((M, S, S)),
    "end": Signature((), returns=S),
    "histogram_fraction": Signature((S, S, V)),
    "histogram_quantile": Signature((S, V)),
    "histogram_quantiles": Signature((V, T, S, S), -1),
    "holt_winters": Signature((M, S, S)),
    "info": Signature((V, V), 1),
    "integral": Signature((M, S), 1),
    "label_join": Signature((V, T, T, T), -1),
    "label_replace": Signature((V, T, T, T, T)),
    "max_of": Signature((S, S), returns=S),
    "min_of": Signature((S, S), returns=S),
    "pi": Signature((), returns=S),
    "predict_linear": Signature((M, S)),
    "quantile_over_time": Signature((S, M)),
    "range": Signature((), returns=S),
    "round": Signature((V, S), 1),
    "scalar": Signature((V,), returns=S),
    "sort_by_label": Signature((V, T), -1),
    "sort_by_label_desc": Signature((V, T), -1),
    "start": Signature((), returns=S),
    "step": Signature((), returns=S),
    "time": Signature((), returns=S),
    "vector": Signature((S,)),
}
