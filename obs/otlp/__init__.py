"""OTLP bytes ↔ batches, pure: no sockets, no files, no state but the `SeriesCache` a caller brings.

In: request bodies. Out: `Decoded` (batch, refused items by reason) and response bodies.
"""

from __future__ import annotations

from obs import warm
from obs.model.batch import Decoded
from obs.otlp import slow, slow_metrics
from obs.otlp.json_body import json_to_protobuf
from obs.otlp.responses import response, response_json
from obs.otlp.series_cache import SeriesCache

__all__ = [
    "KERNELS",
    "SeriesCache",
    "decode_logs",
    "decode_metrics",
    "decode_traces",
    "json_to_protobuf",
    "response",
    "response_json",
]

KERNELS = "obs.otlp.kernels"
"""The module whose readiness (`obs.warm`) decides between the two paths."""


def decode_traces(body: bytes) -> Decoded:
    """Spans of an ExportTraceServiceRequest. Raises: UserError where the body is no such message."""
    if warm.ready(KERNELS):
        from obs.otlp import fast
        from obs.otlp.work import Rare

        try:
            return fast.decode_traces(body)
        except Rare:
            pass
    return slow.decode_traces(body)


def decode_logs(body: bytes, now_ns: int | None = None) -> Decoded:
    """Records of an ExportLogsServiceRequest; `now_ns` (default: the clock) stands in for times left out.

    Raises: UserError where the body is no such message.
    """
    if warm.ready(KERNELS):
        from obs.otlp import fast
        from obs.otlp.work import Rare

        try:
            return fast.decode_logs(body, now_ns)
        except Rare:
            pass
    return slow.decode_logs(body, now_ns)


def decode_metrics(body: bytes, cache: SeriesCache) -> Decoded:
    """Samples of an ExportMetricsServiceRequest, and the labels of series that `cache` does not know.

    Call `cache.commit(decoded)` once a store has taken the batch. Raises: UserError.
    """
    if warm.ready(KERNELS):
        from obs.otlp import fast_metrics
        from obs.otlp.work import Rare

        try:
            return fast_metrics.decode_metrics(body, cache)
        except Rare:
            pass
    return slow_metrics.decode_metrics(body, cache)
