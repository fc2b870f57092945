"""`sum_over_time(term)`: the values of each step summed."""

from __future__ import annotations

from obs.tracestore.traceql.metrics.measure import Measure, one, where_any

MEASURE = Measure("sum_over_time", True, ("sum", "count"), one(lambda states, _: where_any(states[0], states[1])))
