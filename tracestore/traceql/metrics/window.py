"""The steps of a metric: a point at t stands for the spans that start in t - step < start <= t."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.errors import QueryLimit
from obs.tracestore import limits
from obs.tracestore.query import MAX_NS


@dataclass(frozen=True, slots=True)
class Window:
    """`steps` steps of `step_ns` after `first_ns`."""

    first_ns: int
    step_ns: int
    steps: int

    @classmethod
    def over(cls, start_ns: int, end_ns: int, step_ns: int | None) -> Window:
        """Steps at whole multiples of themselves that cover a range. Raises: QueryLimit."""
        start_ns, end_ns = _told(start_ns, end_ns)
        step = step_ns or _fitting(end_ns - start_ns)
        first = start_ns // step
        steps = max(-(-end_ns // step) - first, 1)
        if steps > limits.MAX_METRIC_STEPS:
            raise QueryLimit(
                f"cannot answer with {steps} steps: the limit is {limits.MAX_METRIC_STEPS}; take a longer step"
            )
        return cls(first * step, step, steps)

    @classmethod
    def whole(cls, start_ns: int, end_ns: int) -> Window:
        """One step from start to end, both included."""
        start_ns, end_ns = _told(start_ns, end_ns)
        return cls(start_ns - 1, max(end_ns - start_ns + 1, 1), 1)

    @property
    def end_ns(self) -> int:
        """The last moment."""
        return self.first_ns + self.steps * self.step_ns

    @property
    def step_s(self) -> float:
        """The length of a step."""
        return self.step_ns / 1e9

    def times_ms(self) -> list[int]:
        """The moment of each point."""
        return [(self.first_ns + (i + 1) * self.step_ns) // 10**6 for i in range(self.steps)]

    def step_of(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The step of each start; out of 0 … steps - 1 where it is outside."""
        found: npt.NDArray[np.int64] = (starts - self.first_ns - 1) // self.step_ns
        return found


def _told(start_ns: int, end_ns: int) -> tuple[int, int]:
    """A range as far as differences of its times fit 64 bits; no span starts before 1970."""
    return max(start_ns, 0), min(end_ns, MAX_NS - 1)


_NICE_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)


def _fitting(range_ns: int) -> int:
    """A step that makes 60 to 120 points of a range."""
    for seconds in _NICE_S:
        if range_ns <= 120 * seconds * 10**9:
            return seconds * 10**9
    return -(-range_ns // (120 * 86400 * 10**9)) * 86400 * 10**9
