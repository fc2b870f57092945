"""The value of a metric query: a row a series, a column a step, and the grid of steps it is evaluated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.errors import QueryError, QueryLimit
from obs.logstore import limits
from obs.model.labels import Labels

Values = npt.NDArray[np.float64]
Present = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Steps:
    """Times start, start + step, …, up to and with the last one that is not past the end; nanoseconds."""

    start_ns: int
    step_ns: int
    count: int

    @property
    def last_ns(self) -> int:
        """The last step."""
        return self.start_ns + (self.count - 1) * self.step_ns

    def times(self) -> list[int]:
        """All steps."""
        return [self.start_ns + k * self.step_ns for k in range(self.count)]


def make_steps(start_ns: int, end_ns: int, step_ns: int) -> Steps:
    """The grid of a range query. Raises: QueryError, QueryLimit."""
    if step_ns <= 0:
        raise QueryError(f"cannot evaluate with step {step_ns} ns: it must be above zero")
    if end_ns < start_ns:
        raise QueryError("cannot evaluate a range: its end is before its start")
    count = (end_ns - start_ns) // step_ns + 1
    if count > limits.MAX_STEPS:
        raise QueryLimit(f"cannot evaluate {count} steps: the limit is {limits.MAX_STEPS}; ask for a longer step")
    return Steps(start_ns, step_ns, count)


@dataclass(frozen=True, slots=True)
class Matrix:
    """values[series, step] where present[series, step]; a scalar has one row, no labels and `scalar` set."""

    labels: Sequence[Labels]
    values: Values
    present: Present
    scalar: bool = False


def constant(value: float, steps: int, scalar: bool) -> Matrix:
    """One row of a value."""
    return Matrix([()], np.full((1, steps), value), np.ones((1, steps), np.bool_), scalar)
