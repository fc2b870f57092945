"""Running totals of series that arrive as deltas: cumulative values come out, and the cache learns increments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Total:
    """The running total of a series, and the time of its last point."""

    value: float
    t_ms: int


class Increments:
    """What one body adds to the totals; nothing of it counts until the cache commits it."""

    def __init__(self, totals: Mapping[int, Total]) -> None:
        self._totals = totals
        self.staged: dict[int, tuple[float, int]] = {}  # series_id → (increment, t_ms)

    def cumulate(self, series_ids: Sequence[int], t_ms: int, values: Sequence[float]) -> list[float] | None:
        """The totals with a point's values added, or None where one of its series has a point as new already."""
        if any(t_ms <= last for last in map(self._last_ms, series_ids) if last is not None):
            return None
        return [self._add(i, t_ms, v) for i, v in zip(series_ids, values, strict=True)]

    def _last_ms(self, series_id: int) -> int | None:
        staged = self.staged.get(series_id)
        if staged is not None:
            return staged[1]
        total = self._totals.get(series_id)
        return None if total is None else total.t_ms

    def _add(self, series_id: int, t_ms: int, value: float) -> float:
        increment = self.staged.get(series_id, (0.0, 0))[0] + value
        self.staged[series_id] = (increment, t_ms)
        total = self._totals.get(series_id)
        return increment + (total.value if total else 0.0)
