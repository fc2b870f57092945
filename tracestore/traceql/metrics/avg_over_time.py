"""`avg_over_time(term)`: the mean value in each step."""

from __future__ import annotations

import numpy as np

from obs.tracestore.traceql.metrics.measure import Measure, Values, one, where_any


def _mean(states: Values, _: float) -> Values:
    return where_any(states[0] / np.maximum(states[1], 1), states[1])


MEASURE = Measure("avg_over_time", True, ("sum", "count"), one(_mean))
