"""Both protocols without kernels: the reference that property tests compare with."""

from __future__ import annotations

from obs.model.batch import Decoded
from obs.otlp.series_cache import SeriesCache
from obs.remote_write import wire
from obs.remote_write.building import Builder
from obs.remote_write.messages import metadata_v1, series_v1, series_v2


def decode_v1(body: bytes, cache: SeriesCache) -> Decoded:
    """A prometheus.WriteRequest: 1 timeseries, 3 metadata."""
    builder = Builder(cache)
    for number, value in wire.bounded(wire.fields(body)):
        if number == 1:
            builder.add(series_v1(wire.raw(value)))
        elif number == 3:
            builder.draft.family(metadata_v1(wire.raw(value)))
    return builder.finish()


def decode_v2(body: bytes, cache: SeriesCache) -> Decoded:
    """An io.prometheus.write.v2.Request: 4 symbols, 5 timeseries."""
    builder = Builder(cache)
    symbols = [wire.text(value) for number, value in wire.bounded(wire.fields(body)) if number == 4]
    if symbols and symbols[0]:
        raise wire.malformed("the first symbol must be empty")
    for number, value in wire.fields(body):
        if number == 5:
            builder.add(series_v2(wire.raw(value), symbols))
    return builder.finish()
