"""Prometheus remote write: bytes ↔ batches. Pure, like `obs.otlp`; see README.md.

In: an inflated body and a `SeriesCache`. Out: `Decoded`. Raises: UserError where the body is no such message.
"""

from __future__ import annotations

from obs import warm
from obs.model.batch import Decoded
from obs.otlp.series_cache import SeriesCache
from obs.remote_write import slow

KERNELS = "obs.remote_write.kernels"

SECOND = {b"\x0a": False, b"\x1a": False, b"\x22": True, b"\x2a": True}
"""Whether a body is of protocol 2.0, by the tag of its first field: 1 and 3 are of 1.0 alone, 4 and 5 of 2.0."""

__all__ = ["SeriesCache", "decode", "decode_v1", "decode_v2"]


def decode(second: bool, body: bytes, cache: SeriesCache) -> Decoded:
    """A body of the protocol that its sender names, or of the other where that is what it holds.

    promtool 3.16 names 2.0 and sends 1.0; by the name there would be nothing in it, and nothing lost to tell of.
    """
    return (decode_v2 if SECOND.get(body[:1], second) else decode_v1)(body, cache)


def decode_v1(body: bytes, cache: SeriesCache) -> Decoded:
    """A prometheus.WriteRequest; by kernels once they are compiled."""
    if warm.ready(KERNELS):
        from obs.remote_write.fast import decode_v1 as by_kernels

        return by_kernels(body, cache)
    return slow.decode_v1(body, cache)


def decode_v2(body: bytes, cache: SeriesCache) -> Decoded:
    """An io.prometheus.write.v2.Request."""
    return slow.decode_v2(body, cache)
