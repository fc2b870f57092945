"""Every metric type of the protocol keeps its name, as metadata and as a label."""

from __future__ import annotations

import pytest
from protobuf_fields import field, varint

from obs.otlp.series_cache import SeriesCache
from obs.remote_write import decode_v2

NAMES = [
    (1, "counter", "x_total", "x"),
    (2, "gauge", "x", "x"),
    (3, "histogram", "x_bucket", "x"),
    (4, "gaugehistogram", "x_gcount", "x"),
    (5, "summary", "x_sum", "x"),
    (6, "info", "target_info", "target"),
    (7, "stateset", "x", "x"),
]


@pytest.mark.parametrize(("number", "kind", "name", "family"), NAMES)
def test_types_keep_their_names(number: int, kind: str, name: str, family: str) -> None:
    refs = field(1, varint(1) + varint(2))
    series = refs + field(2, field(1, 1.0) + field(2, 1000)) + field(5, field(1, number))
    body = b"".join(field(4, symbol) for symbol in ("", "__name__", name)) + field(5, series)
    tables = decode_v2(body, SeriesCache(True)).batch.tables
    (labels,) = tables["series"]["labels"].to_pylist()
    assert dict(labels) == {"__name__": name, "__type__": kind}
    assert tables["metadata"].select(["metric", "type"]).to_pylist() == [{"metric": family, "type": kind}]
