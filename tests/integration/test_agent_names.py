"""What the agent measures and what the server stores have the same names, labels, types and values."""

from __future__ import annotations

import time

from obs.agent.cgroup.probe import CgroupProbe
from obs.agent.host.probes import HOST_PROBES
from obs.agent.otlp_metrics import metrics_requests
from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample
from obs.otlp import SeriesCache, decode_metrics

RESOURCE = {"service.name": "obs-agent", "service.instance.id": "h1", "host.name": "h1"}


def test_every_series_keeps_its_name() -> None:
    root = HostRoot()
    samples = [s for _, probe in HOST_PROBES for s in probe(root)]
    samples += CgroupProbe(root, lambda cgroup, pids: None).samples()
    samples.append(Sample("obs_agent_log_gaps_total", (("reason", "truncated"),), 0.0))
    stored: dict[tuple[tuple[str, str], ...], float] = {}
    types: dict[str, str] = {}
    for body, points in metrics_requests(samples, RESOURCE, time.time_ns(), per_request=150):
        decoded = decode_metrics(body, SeriesCache())
        assert decoded.rejected_items == 0 and points <= 150
        tables = {name: table.to_pylist() for name, table in decoded.batch.tables.items()}
        labels = {row["series_id"]: tuple(sorted(row["labels"])) for row in tables["series"]}
        for row in tables["samples"]:
            stored[labels[row["series_id"]]] = row["value"]
        types |= {row["metric"]: row["type"] for row in tables["metadata"]}
    base = {"job": "obs-agent", "instance": "h1"}
    for sample in samples:
        own = {k: v for k, v in sample.labels if v}
        key = tuple(sorted({"__name__": sample.name, **base, **own}.items()))
        assert stored[key] == sample.value, sample
    assert len(stored) - len(samples) in (0, 1), "nothing else but target_info"
    for sample in samples:
        expected = "counter" if sample.is_counter else "gauge"
        assert types[sample.name.removesuffix("_total")] == expected, sample.name
