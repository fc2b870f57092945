"""OTLP bytes ↔ batches, pure: no sockets, no files, no state but the `SeriesCache` a caller brings.

In: request bodies. Out: `Decoded` (batch, refused items by reason) and response bodies.
"""

from __future__ import annotations

from obs.model.batch import Decoded
from obs.otlp import slow, slow_metrics
from obs.otlp.json_body import json_to_protobuf
from obs.otlp.responses import response, response_json
from obs.otlp.series_cache import SeriesCache

__all__ = [
    "SeriesCache",
    "decode_logs",
    "decode_metrics",
    "decode_traces",
    "json_to_protobuf",
    "response",
    "response_json",
]


def decode_traces(body: bytes) -> Decoded:
    """Spans of an ExportTraceServiceRequest. Raises: UserError where the body is no such message."""
    return slow.decode_traces(body)


def decode_logs(body: bytes, now_ns: int | None = None) -> Decoded:
    """Records of an ExportLogsServiceRequest; `now_ns` (default: the clock) stands in for times left out.

    Raises: UserError where the body is no such message.
    """
    return slow.decode_logs(body, now_ns)


def decode_metrics(body: bytes, cache: SeriesCache) -> Decoded:
    """Samples of an ExportMetricsServiceRequest, and the labels of series that `cache` does not know.

    Call `cache.commit(decoded)` once a store has taken the batch. Raises: UserError.
    """
    return slow_metrics.decode_metrics(body, cache)
