"""Warnings and infos of a query: kept once each, with the position of what they are about, worded as Prometheus does.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ and the messages real clients show.
"""

from __future__ import annotations

from collections import Counter

from obs.tsdb.promql.lexer import line_column
from obs.tsdb.promql.plan import Node

MIXED_BUCKETS = "vector contains a mix of histograms with exponential and custom buckets schemas"


class Annotations:
    """Collects while a query runs."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._warnings: dict[str, None] = {}
        self._infos: dict[str, None] = {}
        self._overlaps: Counter[tuple[str, str]] = Counter()  # by metric and position

    def warn(self, node: Node, message: str) -> None:
        """Something is likely wrong with the query or the data at `node`."""
        self._warnings[f"PromQL warning: {message} ({self._where(node)})"] = None

    def info(self, node: Node, message: str) -> None:
        """Something may not be what the user thinks."""
        self._infos[f"PromQL info: {message} ({self._where(node)})"] = None

    def overlaps(self, node: Node, metric: str, count: int) -> None:
        """Some windows have samples that count from another start what was counted before."""
        self._overlaps[metric, self._where(node)] += count

    def _where(self, node: Node) -> str:
        line, column = line_column(self._text, node.pos)
        return f"{line}:{column}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """In the order they came."""
        return (*self._warnings, *(_overlap(metric, at, n) for (metric, at), n in self._overlaps.items()))

    @property
    def infos(self) -> tuple[str, ...]:
        """In the order they came."""
        return tuple(self._infos)


def _overlap(metric: str, where: str, count: int) -> str:
    cause = "sample has start time that overlaps with previous sample timestamp for metric"
    times = f" ({count} occurrences)" if count > 1 else ""
    return f"PromQL warning: {cause} {go_quote(metric)}{times} ({where})"


def go_quote(text: str) -> str:
    """A name as messages show it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def maybe_of(metric: str) -> str:
    """` for metric name "x"`, or nothing for a series without a name."""
    return f" for metric name {go_quote(metric)}" if metric else ""
