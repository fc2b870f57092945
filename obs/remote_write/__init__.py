"""Prometheus remote write: bytes ↔ batches. Pure, like `obs.otlp`; see README.md.

In: an inflated body and a `SeriesCache`. Out: `Decoded`. Raises: UserError where the body is no such message.
"""

from __future__ import annotations

from obs import warm
from obs.model.batch import Decoded
from obs.otlp.series_cache import SeriesCache
from obs.remote_write import slow

KERNELS = "obs.remote_write.kernels"

__all__ = ["SeriesCache", "decode_v1", "decode_v2"]


def decode_v1(body: bytes, cache: SeriesCache) -> Decoded:
    """A prometheus.WriteRequest; by kernels once they are compiled."""
    if warm.ready(KERNELS):
        from obs.remote_write.fast import decode_v1 as by_kernels

        return by_kernels(body, cache)
    return slow.decode_v1(body, cache)


def decode_v2(body: bytes, cache: SeriesCache) -> Decoded:
    """An io.prometheus.write.v2.Request."""
    return slow.decode_v2(body, cache)
