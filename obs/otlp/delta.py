"""Running totals of series that arrive as deltas: cumulative values come out, and the cache learns increments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Total:
    """The running total of a series, the time of its last point, and when its first one began (0: unknown)."""

    value: float
    t_ms: int
    start_ns: int

    def after(self, earlier: Total | None) -> Total:
        """With what was counted before."""
        return self if earlier is None else Total(self.value + earlier.value, self.t_ms, earlier.start_ns)


class Increments:
    """What one body adds to the totals; nothing of it counts until the cache commits it."""

    def __init__(self, totals: Mapping[int, Total]) -> None:
        self._totals = totals
        self.staged: dict[int, Total] = {}  # by series_id

    def cumulate(
        self, series_ids: Sequence[int], t_ms: int, values: Sequence[float], start_ns: int = 0
    ) -> list[Total] | None:
        """The totals with a point's values added, or None where one of its series has a point as new already."""
        known = (self.staged.get(i) or self._totals.get(i) for i in series_ids)
        if any(t_ms <= total.t_ms for total in known if total is not None):
            return None
        return [self._add(i, Total(v, t_ms, start_ns)) for i, v in zip(series_ids, values, strict=True)]

    def _add(self, series_id: int, increment: Total) -> Total:
        staged = self.staged[series_id] = increment.after(self.staged.get(series_id))
        return staged.after(self._totals.get(series_id))
