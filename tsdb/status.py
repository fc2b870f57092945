"""What /api/v1/status says of the store, in Prometheus's shapes. Pure: figures in, JSON-able values out."""

from __future__ import annotations

import os
import platform
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from obs.model.durations import duration_text
from obs.model.ports import StoreStats
from obs.tsdb.cardinality import Cardinality, Count, top_counts
from obs.tsdb.promql.context import QueryOptions
from obs.tsdb.remote_read.limits import FRAME_BYTES, MAX_PLAIN_SAMPLES
from obs.tsdb.store import MetricStore

_NS_PER_MS = 1_000_000


def tsdb(store: MetricStore, top: int) -> dict[str, Any]:
    """Cardinality, how much there is, and which metrics are past their limit."""
    limits = {
        "maxSeriesPerMetric": store.limits.max_series_per_metric,
        "maxSeries": store.limits.max_series,
        "droppedSamplesByMetricName": _named(top_counts(store.admission.dropped.items(), top)),
    }
    return {**tsdb_status(store.stats(), store.cardinality(top)), "cardinalityLimits": limits}


def tsdb_status(stats: StoreStats, found: Cardinality) -> dict[str, Any]:
    """See Prometheus, "TSDB Stats"; `chunkCount` counts blocks, for there are no chunks."""
    return {
        "headStats": {
            "numSeries": found.series,
            "numLabelPairs": found.pairs,
            "chunkCount": stats.blocks,
            "minTime": 0 if stats.min_ns is None else stats.min_ns // _NS_PER_MS,
            "maxTime": 0 if stats.max_ns is None else stats.max_ns // _NS_PER_MS,
        },
        "seriesCountByMetricName": _named(found.series_by_metric),
        "labelValueCountByLabelName": _named(found.values_by_label),
        "memoryInBytesByLabelName": _named(found.bytes_by_label),
        "seriesCountByLabelValuePair": _named(found.series_by_pair),
    }


def blocks(store: MetricStore) -> list[dict[str, Any]]:
    """See Prometheus, "TSDB Blocks"; a block's name stands for its ULID, and there are no chunks."""
    with store.view() as view:
        metas = [block.meta for block in view.blocks]
    return [
        {
            "ulid": meta.name,
            "minTime": meta.min_ns // _NS_PER_MS,
            "maxTime": meta.max_ns // _NS_PER_MS,
            "stats": {"numSamples": meta.rows, "numSeries": meta.table_rows.get("series", 0), "numChunks": 0},
            "compaction": {"level": 2 if meta.replaces else 1, "sources": list(meta.replaces or (meta.name,))},
            "version": 1,
        }
        for meta in metas
    ]


def _named(counts: Iterable[Count]) -> list[dict[str, Any]]:
    return [{"name": name, "value": n} for name, n in counts]


def buildinfo(version: str) -> dict[str, str]:
    """This build; Grafana asks for it."""
    return {
        "version": version,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": f"python{platform.python_version()}",
    }


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The last time that the configuration was read again: whether it could be used, and when it last could."""

    succeeded: bool = True
    at_ns: int = 0  # never since the start


def runtimeinfo(store: MetricStore, started_ns: int, reloaded: Reloaded) -> dict[str, Any]:
    """This process."""
    stats, options = store.stats(), store.engine.options
    kept = [_seconds(options.retention_age_s)] if options.retention_age_s is not None else []
    kept += [f"{options.retention_bytes}B"] if options.retention_bytes is not None else []
    return {
        "startTime": _rfc3339(started_ns),
        "CWD": os.getcwd(),
        "hostname": socket.gethostname(),
        "serverTime": _rfc3339(store.clock.now_ns()),
        "reloadConfigSuccess": reloaded.succeeded,
        "lastConfigTime": _rfc3339(reloaded.at_ns or started_ns),
        "corruptionCount": int(stats.extra.get("quarantined", 0)),
        "goroutineCount": threading.active_count(),
        "GOMAXPROCS": os.cpu_count() or 1,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": " or ".join(kept),
    }


def walreplay(stats: StoreStats) -> dict[str, int]:
    """How far recovery is, in percent."""
    done = 100 if stats.recovering is None else int(stats.recovering * 100)
    return {"min": 0, "max": 100, "current": done}


def flags(store: MetricStore, queries: QueryOptions) -> dict[str, str]:
    """Settings under the names of Prometheus's flags, where it has them."""
    options = store.engine.options
    return {
        "query.lookback-delta": duration_text(queries.lookback_ms),
        "query.max-samples": str(queries.max_samples),
        "query.timeout": _seconds(queries.timeout_s),
        "storage.remote.read-max-bytes-in-frame": str(FRAME_BYTES),
        "storage.remote.read-sample-limit": str(MAX_PLAIN_SAMPLES),
        "storage.tsdb.path": str(store.engine.folder),
        "storage.tsdb.retention.time": _seconds(options.retention_age_s or 0),
        "storage.tsdb.retention.size": f"{options.retention_bytes or 0}B",
        "web.cors.origin": ".*",
        "web.enable-admin-api": "true",
        "web.enable-lifecycle": "true",
        "web.enable-remote-write-receiver": "true",
    }


def _seconds(seconds: float) -> str:
    return duration_text(round(seconds * 1000))


def _rfc3339(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns / 1e9, UTC).isoformat().replace("+00:00", "Z")
