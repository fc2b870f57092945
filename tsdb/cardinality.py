"""Cardinality: which metrics, labels and pairs have most series. What status/tsdb shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.model.labels import METRIC_NAME
from obs.tsdb.index import SeriesIndex

Count = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Cardinality:
    """Figures of the series in a mask; lists with the greatest first."""

    series: int
    pairs: int
    series_by_metric: list[Count]
    values_by_label: list[Count]
    bytes_by_label: list[Count]
    series_by_pair: list[Count]


def cardinality(index: SeriesIndex, mask: npt.NDArray[np.bool_], top: int) -> Cardinality:
    """Count over label pairs; no series is looked at by itself."""
    counts = index.pair_counts(mask)
    values: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for (name, value), _ in counts:
        values[name] += 1
        sizes[name] += len(value.encode())
    return Cardinality(
        series=int(mask.sum()),
        pairs=len(counts),
        series_by_metric=top_counts(((value, n) for (name, value), n in counts if name == METRIC_NAME), top),
        values_by_label=top_counts(values.items(), top),
        bytes_by_label=top_counts(sizes.items(), top),
        series_by_pair=top_counts(((f"{name}={value}", n) for (name, value), n in counts), top),
    )


def top_counts(counts: Iterable[Count], top: int) -> list[Count]:
    """The greatest first, equal ones by name."""
    return sorted(counts, key=lambda c: (-c[1], c[0]))[:top]
