"""Running totals of series that arrive as deltas: cumulative values come out, and the cache learns increments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obs.otlp.native import Native


@dataclass(frozen=True, slots=True)
class Total:
    """The running total of a series, the time of its last point, and when its first and last began (0: unknown)."""

    value: float
    t_ms: int
    start_ns: int
    newest_start_ns: int
    native: Native | None = None  # where the series is of native histograms

    def after(self, earlier: Total | None) -> Total:
        """With what was counted before."""
        if earlier is None:
            return self
        native = self.native.plus(earlier.native) if self.native and earlier.native else self.native
        return Total(self.value + earlier.value, self.t_ms, earlier.start_ns, self.newest_start_ns, native)

    @property
    def buckets(self) -> int:
        """Of the native histogram, where there is one."""
        return self.native.buckets if self.native else 0

    def columns(self) -> tuple[Any, ...] | None:
        """The native histogram as `points.native` gives it, where there is one."""
        return self.native.columns() if self.native else None


class Increments:
    """What one body adds to the totals; nothing of it counts until the cache commits it."""

    def __init__(self, totals: Mapping[int, Total]) -> None:
        self._totals = totals
        self.staged: dict[int, Total] = {}  # by series_id

    def cumulate(
        self,
        series_ids: Sequence[int],
        t_ms: int,
        values: Sequence[float],
        start_ns: int = 0,
        native: tuple[Any, ...] | None = None,
    ) -> list[Total] | None:
        """The totals with a point's values added, or None where one of its series has a point as new already."""
        known = (self.staged.get(i) or self._totals.get(i) for i in series_ids)
        if any((t_ms, start_ns) <= (total.t_ms, total.newest_start_ns) for total in known if total is not None):
            return None
        added = Native.of(native) if native else None
        return [
            self._add(i, Total(v, t_ms, start_ns, start_ns, added)) for i, v in zip(series_ids, values, strict=True)
        ]

    def _add(self, series_id: int, increment: Total) -> Total:
        staged = self.staged[series_id] = increment.after(self.staged.get(series_id))
        return staged.after(self._totals.get(series_id))
