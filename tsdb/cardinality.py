"""Cardinality: which metrics, labels and pairs have most series. What status/tsdb shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import nsmallest

import numpy as np
import numpy.typing as npt

from obs.model.labels import METRIC_NAME
from obs.tsdb.index import SeriesIndex

Count = tuple[str, int]
I64 = npt.NDArray[np.int64]


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
    pairs = np.flatnonzero(counts)
    counts, names = counts[pairs], index.pair_names.of(pairs)
    values = np.bincount(names)
    sizes = np.bincount(names, index.value_bytes(pairs)).astype(np.int64)
    texts, labels = index.pair_texts, index.pair_names.texts
    metric = names == (-1 if (number := index.pair_names.number(METRIC_NAME)) is None else number)
    return Cardinality(
        series=int(np.count_nonzero(mask)),
        pairs=len(pairs),
        series_by_metric=_top_of(pairs[metric], counts[metric], lambda pair: texts[pair][1], top),
        values_by_label=_top_of(np.flatnonzero(values), values[values > 0], labels.__getitem__, top),
        bytes_by_label=_top_of(np.flatnonzero(values), sizes[values > 0], labels.__getitem__, top),
        series_by_pair=_top_of(pairs, counts, lambda pair: "=".join(texts[pair]), top),
    )


def _top_of(keys: I64, counts: I64, text: Callable[[int], str], top: int) -> list[Count]:
    """The keys with the greatest counts, by their texts: only of those that may be among them is the text looked at."""
    if len(keys) > top:
        least = np.partition(counts, len(keys) - top)[len(keys) - top]
        keys, counts = keys[counts >= least], counts[counts >= least]
    return top_counts(((text(key), n) for key, n in zip(keys.tolist(), counts.tolist(), strict=True)), top)


def top_counts(counts: Iterable[Count], top: int) -> list[Count]:
    """The greatest first, equal ones by name."""
    return nsmallest(top, counts, key=lambda c: (-c[1], c[0]))
