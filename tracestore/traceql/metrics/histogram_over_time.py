"""`histogram_over_time(term)`: spans in each step by the power of two that their value reaches, labelled `__bucket`."""

from __future__ import annotations

from collections.abc import Sequence

from obs.tracestore.traceql.metrics.buckets import upper_bound
from obs.tracestore.traceql.metrics.measure import Finished, Grown, Measure

BUCKET = "__bucket"


def _by_bucket(grown: Grown, _: float, __: Sequence[float]) -> Finished:
    return [(((BUCKET, upper_bound(b, 1)),), states[0]) for b, states in sorted(grown.by_bucket.items())]


MEASURE = Measure("histogram_over_time", True, ("count",), _by_bucket, per_octave=1)
