"""`rate()`: spans per second; 0 in a step without spans."""

from __future__ import annotations

from obs.tracestore.traceql.metrics.measure import Measure, one

MEASURE = Measure("rate", False, ("count",), one(lambda states, step_s: states[0] / step_s))
