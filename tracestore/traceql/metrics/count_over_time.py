"""`count_over_time()`: spans in each step; 0 where there are none."""

from __future__ import annotations

from obs.tracestore.traceql.metrics.measure import Measure, one

MEASURE = Measure("count_over_time", False, ("count",), one(lambda states, _: states[0]))
