"""What a configuration makes of spans on their way: nothing stands before the store where nothing is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from span_batches import SpanRow, spans_batch

from obs.collector.ledger import Ledger
from obs.collector.processors.derived.observed import Observed
from obs.collector.processors.sampling.sampler import TailSampler
from obs.config import Config
from obs.errors import ConfigError, Overloaded
from obs.model.batch import Batch
from obs.model.clock import SYSTEM_CLOCK
from obs.serving.span_processors import SpanProcessors


class Store:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def consume(self, batch: Batch) -> None:
        """Take all."""
        self.batches.append(batch)


class Full(Store):
    asked = 0

    def consume(self, batch: Batch) -> None:
        """Take nothing."""
        self.asked += 1
        raise Overloaded("cannot take batch: full; send it again")


def made(folder: Path, store: Store, processors: dict[str, Any]) -> SpanProcessors:
    config = Config.model_validate({"data": folder, "processors": processors})
    return SpanProcessors(config, store, lambda batch, receiver: None, Ledger(), SYSTEM_CLOCK)


def test_without_processors_spans_go_straight_to_the_store(tmp_path: Path) -> None:
    store = Store()
    found = made(tmp_path, store, {})
    assert found.consumer is store
    assert found.collectors() == []
    found.start()
    found.close()
    assert list(tmp_path.iterdir()) == []


def test_each_processor_stands_before_the_store(tmp_path: Path) -> None:
    always = {"policies": [{"name": "all", "type": "always_sample"}]}
    assert isinstance(made(tmp_path, Store(), {"span_metrics": {"enabled": True}}).consumer, Observed)
    assert isinstance(made(tmp_path, Store(), {"service_graph": {"enabled": True}}).consumer, Observed)
    found = made(tmp_path, Store(), {"tail_sampling": always})
    assert isinstance(found.consumer, TailSampler)
    assert len(found.collectors()) == 1


def test_a_store_without_room_for_what_a_sampler_left_keeps_nobody_from_starting(tmp_path: Path) -> None:
    always = {"policies": [{"name": "all", "type": "always_sample"}]}
    sampled = made(tmp_path, Store(), {"tail_sampling": always})
    sampled.start()
    sampled.consumer.consume(spans_batch(SpanRow(1, 1)))
    sampled.close()
    full, store = Full(), Store()
    made(tmp_path, full, {}).start()
    assert full.asked == 1
    made(tmp_path, store, {}).start()
    assert [batch.tables["spans"].num_rows for batch in store.batches] == [1]
    assert list((tmp_path / "sampling").iterdir()) == []


@pytest.mark.parametrize("dimensions", [[""], ["http.method", "http_method"], ["zone", "zone"]])
def test_dimensions_that_are_one_label_are_told(tmp_path: Path, dimensions: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"processors\.span_metrics\.dimensions: cannot use"):
        made(tmp_path, Store(), {"span_metrics": {"enabled": True, "dimensions": dimensions}})


@pytest.mark.parametrize("name", ["span_metrics", "service_graph"])
@pytest.mark.parametrize("buckets", [[], [2, 1], [1, 1]])
def test_buckets_that_do_not_rise_are_told(tmp_path: Path, name: str, buckets: list[float]) -> None:
    with pytest.raises(ConfigError, match=rf"processors\.{name}\.buckets"):
        made(tmp_path, Store(), {name: {"enabled": True, "buckets": buckets}})
