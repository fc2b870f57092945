"""One measured value under its exact Prometheus name; the form all probes give.

The name decides the type: it ends in `_total` if and only if the value is a counter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LabelPairs = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """A value as it is now; `labels` in the order in which the original exporter writes them."""

    name: str
    labels: LabelPairs
    value: float

    @property
    def is_counter(self) -> bool:
        """Whether the value only rises (until its source restarts)."""
        return self.name.endswith("_total")


def with_labels(samples: Iterable[Sample], extra: LabelPairs) -> list[Sample]:
    """The same samples with `extra` before their own labels."""
    return [Sample(s.name, extra + s.labels, s.value) for s in samples]
