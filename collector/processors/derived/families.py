"""What metrics a processor derives: counters and histograms of the same labels, and the series that they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obs.model.labels import METRIC_NAME, Labels, make_labels
from obs.otlp.values import float_text

NATIVE_SCHEMA = 3
"""Eight buckets from one power of two to the next: each 9 % wide, as OpenTelemetry's default of 160 buckets has it."""

NATIVE_FIRST, NATIVE_LAST = -159, 136
"""Buckets from 1 microsecond to 36 hours; what is shorter counts as zero."""

ZERO_THRESHOLD = 2.0 ** ((NATIVE_FIRST - 1) / 2**NATIVE_SCHEMA)


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter; the name ends in `_total`."""

    name: str
    help: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram of durations in units of `per_s` to the second; `bounds` are the classic ones, in that unit."""

    name: str
    help: str
    bounds: tuple[float, ...]
    per_s: float = 1.0

    @property
    def unit(self) -> str:
        """As metadata has it."""
        return "milliseconds" if self.per_s == 1000 else "seconds"


@dataclass(frozen=True, slots=True)
class Families:
    """All that one processor derives for each value of its labels."""

    labels: tuple[str, ...]
    counters: tuple[Counter, ...]
    histograms: tuple[Histogram, ...]
    classic: bool = True
    native: bool = False

    def series(self, key: Sequence[str]) -> list[Labels]:
        """The series of one key: counters; then of each histogram its buckets, sum and count, and the native one."""
        own = dict(zip(self.labels, key, strict=True))
        found = [make_labels({**own, METRIC_NAME: counter.name}) for counter in self.counters]
        for histogram in self.histograms:
            if self.classic:
                bounds = [*(float_text(b) for b in histogram.bounds), "+Inf"]
                found += [make_labels({**own, METRIC_NAME: f"{histogram.name}_bucket", "le": le}) for le in bounds]
                found += [make_labels({**own, METRIC_NAME: f"{histogram.name}_{part}"}) for part in ("sum", "count")]
            if self.native:
                found.append(make_labels({**own, METRIC_NAME: histogram.name}))
        return found

    def metadata(self) -> list[dict[str, str]]:
        """Rows of the metadata table."""
        counters = [
            {"metric": c.name.removesuffix("_total"), "type": "counter", "unit": "", "help": c.help}
            for c in self.counters
        ]
        return counters + [
            {"metric": h.name, "type": "histogram", "unit": h.unit, "help": h.help} for h in self.histograms
        ]


def native_buckets(values: np.ndarray) -> np.ndarray:
    """The column of each duration: 0 is the zero bucket, column 1 + i is bucket NATIVE_FIRST + i."""
    positive = np.maximum(values, ZERO_THRESHOLD)
    index = np.ceil(np.log2(positive) * 2**NATIVE_SCHEMA).astype(np.int64)
    return np.where(values <= ZERO_THRESHOLD, 0, np.clip(index, NATIVE_FIRST, NATIVE_LAST) - NATIVE_FIRST + 1)
