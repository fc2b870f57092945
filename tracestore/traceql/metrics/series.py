"""What a metric query answers: series of points at the steps of its window, with exemplars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.tracestore.query import ReadStats
from obs.tracestore.traceql.metrics.window import Window

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A span behind a point; `value` None: that of the point at its step."""

    trace_id: str
    start_ns: int
    step: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """`values` float64[steps], NaN where there is no point."""

    labels: tuple[tuple[str, Any], ...]
    values: Values
    exemplars: Sequence[Exemplar] = ()

    def only(self, kept: npt.NDArray[np.bool_]) -> Series:
        """With the points of these steps alone."""
        return replace(self, values=np.where(kept, self.values, np.nan))


@dataclass(frozen=True, slots=True)
class Measured:
    """All series, by their labels."""

    series: Sequence[Series]
    window: Window
    stats: ReadStats = field(default_factory=ReadStats)


def thinned(examples: list[Exemplar], most: int) -> list[Exemplar]:
    """At most so many, spread over time; with sources of any number a list stays short."""
    examples = sorted(examples, key=lambda e: (e.start_ns, e.trace_id))
    if len(examples) <= most:
        return examples
    return [examples[i] for i in np.linspace(0, len(examples) - 1, most).astype(int).tolist()]
