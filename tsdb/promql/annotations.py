"""Warnings and infos of a query: each kept once, with the last position of what it is about, worded as in Prometheus.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ and the messages real clients show.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.lexer import place
from obs.tsdb.promql.plan import Node

MIXED_BUCKETS = "vector contains a mix of histograms with exponential and custom buckets schemas"


@dataclass(slots=True)
class _Falls:
    """Buckets of one metric whose counts fell where they should rise: the outermost bounds, the largest fall, times."""

    where: str
    low: float
    high: float
    worst: float
    count: int
    first_ms: int
    last_ms: int


class Annotations:
    """Collects while a query runs."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._warnings: dict[str, str] = {}  # where each was said last
        self._infos: dict[str, str] = {}
        self._overlaps: Counter[tuple[str, str]] = Counter()  # by metric and position
        self._falls: dict[str, _Falls] = {}  # by metric

    def warn(self, node: Node, message: str) -> None:
        """Something is likely wrong with the query or the data at `node`."""
        self._warnings[message] = self._where(node)

    def info(self, node: Node, message: str) -> None:
        """Something may not be what the user thinks."""
        self._infos[message] = self._where(node)

    def overlaps(self, node: Node, metric: str, count: int) -> None:
        """Some windows have samples that count from another start what was counted before."""
        self._overlaps[metric, self._where(node)] += count

    def fell(self, node: Node, metric: str, low: float, high: float, worst: float, t_ms: int) -> None:
        """The counts of a classic histogram fell by up to `worst` between two bounds, and were made to rise."""
        new = _Falls(self._where(node), low, high, worst, 0, t_ms, t_ms)
        falls = self._falls.setdefault(metric, new)
        falls.low, falls.high = min(falls.low, low), max(falls.high, high)
        falls.worst = max(falls.worst, worst)
        falls.count += 1
        falls.first_ms, falls.last_ms = min(falls.first_ms, t_ms), max(falls.last_ms, t_ms)

    def _where(self, node: Node) -> str:
        return place(self._text, node.pos)

    @property
    def warnings(self) -> tuple[str, ...]:
        """In the order they came."""
        said = (f"PromQL warning: {message} ({where})" for message, where in self._warnings.items())
        return (*said, *(_overlap(metric, at, n) for (metric, at), n in self._overlaps.items()))

    @property
    def infos(self) -> tuple[str, ...]:
        """In the order they came."""
        said = (f"PromQL info: {message} ({where})" for message, where in self._infos.items())
        return (*said, *(_fell(metric, falls) for metric, falls in self._falls.items()))


def _overlap(metric: str, where: str, count: int) -> str:
    cause = "sample has start time that overlaps with previous sample timestamp for metric"
    times = f" ({count} occurrences)" if count > 1 else ""
    return f"PromQL warning: {cause} {go_quote(metric)}{times} ({where})"


DOC = "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"


def _fell(metric: str, falls: _Falls) -> str:
    first, last = (datetime.fromtimestamp(t // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for t in
                   (falls.first_ms, falls.last_ms))  # fmt: skip
    return (
        f"PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see {DOC}){maybe_of(metric)},"
        f" from buckets {go_general(falls.low)} to {go_general(falls.high)}, with a max diff of"
        f" {_two_digits(falls.worst)}, over {falls.count} samples from {first} to {last} ({falls.where})"
    )


def _two_digits(value: float) -> str:
    """As Go's %.2g, which is C's."""
    return f"{value:.2g}".replace("inf", "+Inf").replace("nan", "NaN")


def go_quote(text: str) -> str:
    """A name as messages show it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def maybe_of(metric: str) -> str:
    """` for metric name "x"`, or nothing for a series without a name."""
    return f" for metric name {go_quote(metric)}" if metric else ""
