"""What a metric's function is: which sums it keeps for each series and step, and what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Labels = tuple[tuple[str, Any], ...]
Finished = list[tuple[Labels, Values]]


@dataclass(frozen=True, slots=True)
class Measure:
    """`states` are names of `cells.STATES`. With `per_octave`, spans are counted by the size of their value: so many
    buckets for each power of two. `finish` gives labels and float64[steps] (NaN: no point) of one group's series.
    """

    name: str
    takes_value: bool
    states: tuple[str, ...]
    finish: Callable[[Grown, float, Sequence[float]], Finished]  # (sums, seconds a step, parameters)
    per_octave: int = 0
    takes_parameters: bool = False


@dataclass(frozen=True, slots=True)
class Grown:
    """The sums of one group: by bucket (0 where there are none), float64[states, steps]."""

    by_bucket: Mapping[int, Values]

    @property
    def only(self) -> Values:
        """Of a measure without buckets."""
        return self.by_bucket[0]


def one(values: Callable[[Values, float], Values]) -> Callable[[Grown, float, Sequence[float]], Finished]:
    """A finish that makes one series, with no labels of its own."""
    return lambda grown, step_s, _: [((), values(grown.only, step_s))]


def where_any(values: Values, count: Values) -> Values:
    """No point where nothing was counted."""
    return np.where(count > 0, values, np.nan)
