"""`quantile_over_time(term, 0.5, 0.99)`: quantiles of the values in each step, labelled `p`.

Values are counted in 32 buckets for each power of two and placed within theirs: an answer is at most 2.2 % off.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from obs.tracestore.traceql.metrics.buckets import lower_bound, upper_bound
from obs.tracestore.traceql.metrics.measure import Finished, Grown, Measure, Values

PER_OCTAVE = 32
LABEL = "p"


def _quantiles(grown: Grown, _: float, wanted: Sequence[float]) -> Finished:
    buckets = sorted(grown.by_bucket)
    counts = np.stack([grown.by_bucket[b][0] for b in buckets])
    low, high = (np.array([bound(b, PER_OCTAVE) for b in buckets]) for bound in (lower_bound, upper_bound))
    return [(((LABEL, q),), quantile(q, counts, low, high)) for q in wanted]


def quantile(q: float, counts: Values, low: Values, high: Values) -> Values:
    """float64[steps] of float64[buckets, steps]: linear within the bucket that holds the rank; NaN without values."""
    reach = np.cumsum(counts, axis=0)
    total = reach[-1]
    rank = q * total
    at = np.minimum((reach < rank).sum(axis=0), len(low) - 1)
    steps = np.arange(counts.shape[1])
    inside = counts[at, steps]
    share = np.where(inside > 0, (rank - (reach[at, steps] - inside)) / np.maximum(inside, 1), 0)
    found: Values = np.where(total > 0, low[at] + np.clip(share, 0, 1) * (high[at] - low[at]), np.nan)
    return found


MEASURE = Measure("quantile_over_time", True, ("count",), _quantiles, per_octave=PER_OCTAVE, takes_parameters=True)
