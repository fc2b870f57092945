"""What a processor derived, read from the batches that it wrote, as PromQL would see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from obs.collector.processors.derived.writer import Writer
from obs.model.batch import Batch

SECOND = 10**9


@dataclass
class Hands:
    """A clock that a test moves."""

    ns: int = 1_790_000_000 * SECOND

    def now_ns(self) -> int:
        return self.ns


@dataclass
class Written:
    """Keeps batches; what is known of labels grows as in a store."""

    labels: dict[int, dict[str, str]] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)

    def __call__(self, batch: Batch) -> None:
        self.batches.append(batch)
        if "series" in batch.tables:
            for row in batch.tables["series"].to_pylist():
                self.labels[row["series_id"]] = dict(row["labels"])

    def samples(self, name: str) -> dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]:
        """(t_ms, value) of each series of a metric, by its other labels."""
        found: dict[Any, list[tuple[int, float]]] = {}
        for batch in self.batches:
            for row in batch.tables["samples"].to_pylist() if "samples" in batch.tables else []:
                labels = self.labels[row["series_id"]]
                if labels["__name__"] == name:
                    key = tuple(sorted((k, v) for k, v in labels.items() if k != "__name__"))
                    found.setdefault(key, []).append((row["t_ms"], row["value"]))
        return found

    def last(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The last value of each series of a metric, by the values of these labels."""
        return {
            tuple(dict(key).get(label, "") for label in labels): values[-1][1]
            for key, values in self.samples(name).items()
        }


def writer(processor: Any, written: Written, clock: Hands, interval_s: float = 15.0) -> Writer:
    """The processor's timer, which the test moves by hand."""
    return Writer("test", processor.state, processor.lock, written, interval_s, clock)
