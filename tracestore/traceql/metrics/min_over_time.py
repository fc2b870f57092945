"""`min_over_time(term)`: the least value in each step."""

from __future__ import annotations

from obs.tracestore.traceql.metrics.measure import Measure, one, where_any

MEASURE = Measure("min_over_time", True, ("min", "count"), one(lambda states, _: where_any(states[0], states[1])))
