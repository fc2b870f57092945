"""How likely a difference is by chance: one-sided tests of 2 × 2 tables, and q-values over many of them.

In: counts. Out: p and q, both float64.
"""

from __future__ import annotations

from math import erfc, exp, lgamma, log, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

SMALL = 5.0
"""An expected count below which the normal approximation does not hold. Source: Cochran (1954)."""


def over_represented(hit: Counts, of_hits: int, rest: Counts, of_rest: int) -> Floats:
    """p of `hit` of `of_hits` or more with a value that `rest` of `of_rest` others have, were there no difference.

    Fisher's exact test where an expected count is small, else chi-squared with Yates's correction, both one-sided.
    """
    total, having = of_hits + of_rest, hit + rest
    expected = having * of_hits / total
    least = np.minimum(np.minimum(expected, having - expected),
                       np.minimum(of_hits - expected, of_rest - (having - expected)))  # fmt: skip
    variance = expected * (total - of_hits) / total * (total - having) / max(total - 1, 1)
    z = np.maximum(hit - expected - 0.5, 0) / np.sqrt(np.maximum(variance, 1e-300))
    p = np.array([0.5 * erfc(v / sqrt(2)) for v in z.tolist()])
    for i in np.flatnonzero(least < SMALL).tolist():
        p[i] = fisher(int(hit[i]), of_hits, int(rest[i]), of_rest)
    return p


def fisher(hit: int, of_hits: int, rest: int, of_rest: int) -> float:
    """The upper tail of the hypergeometric distribution."""
    having, most = hit + rest, min(hit + rest, of_hits)
    p = exp(_log_choose(of_hits, hit) + _log_choose(of_rest, rest) - _log_choose(of_hits + of_rest, having))
    total, i = p, hit
    while i < most and p > 1e-18 * total:
        p *= (of_hits - i) * (having - i) / ((i + 1) * (of_rest - having + i + 1))
        total += p
        i += 1
    return min(total, 1.0)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) if 0 <= k <= n else log(1e-300)


def q_values(p: Floats) -> Floats:
    """The least false discovery rate at which each is still told. Source: Benjamini and Hochberg (1995)."""
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    least = np.minimum.accumulate(scaled[::-1])[::-1]
    found = np.empty(len(p))
    found[order] = np.minimum(least, 1.0)
    return found
