"""Result → the JSON of Prometheus's HTTP API, as bytes: numbers as Go writes them, times in seconds.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from obs.tsdb.forms import json_bytes
from obs.tsdb.promql.formatting import go_json
from obs.tsdb.promql.result import Result
from obs.tsdb.promql.values import F64, I64, Bool, is_hist

AS_GO = (1e-4, 1e15)
"""Magnitudes that orjson writes with the digits of Go, and with `.0` behind whole numbers."""

FAR_MS = 10**15
"""Times before which a double of seconds tells thousandths apart."""

POINTS = 1 << 18
"""Points that are written at one time: about 8 MB of text."""


U8 = npt.NDArray[np.uint8]


def data(result: Result, limit: int = 0) -> bytes:
    """`{"resultType":…,"result":…}`; at most `limit` series where it is over zero."""
    count = len(result.labels) if limit <= 0 else min(limit, len(result.labels))
    if result.kind == "matrix":
        return b'{"resultType":"matrix","result":[%s]}' % b",".join(_matrix_rows(result, count))
    times = time_texts(result.times)
    if result.kind == "scalar":
        return b'{"resultType":"scalar","result":%s}' % _point(times[0], go_json(float(result.values[0, 0]))).encode()
    if result.kind == "string":
        body = json_bytes(result.text).decode()
        return f'{{"resultType":"string","result":[{times[0]},{body}]}}'.encode()
    rows = [_vector_row(result, row, times).encode() for row in range(count)]
    return b'{"resultType":"vector","result":[%s]}' % b",".join(rows)


def time_texts(times: I64) -> list[str]:
    """Milliseconds as seconds, with three digits where it is no whole second."""
    return [str(t // 1000) if t % 1000 == 0 else f"{t / 1000:.3f}" for t in times.tolist()]


def _openings(times: I64) -> tuple[U8, I64]:
    """Of each time the start of a point, up to its value; one after the other, and where each ends."""
    from obs.tsdb.promql.kernels_text import SPARE, openings

    if not len(times) or max(abs(int(times[0])), abs(int(times[-1]))) < FAR_MS:
        return openings(times)
    texts = [f'[{text},"' for text in time_texts(times)]
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return np.frombuffer(("".join(texts) + " " * SPARE).encode(), np.uint8).copy(), ends


def _metric(result: Result, row: int) -> str:
    return json_bytes(dict(result.labels[row])).decode()


def _vector_row(result: Result, row: int, times: Sequence[str]) -> str:
    hist = None if result.hists is None else result.hists[row, 0]
    if hist is not None:
        return f'{{"metric":{_metric(result, row)},"histogram":{_histogram(times[0], hist)}}}'
    value = _point(times[0], go_json(float(result.values[row, 0])))
    return f'{{"metric":{_metric(result, row)},"value":{value}}}'


def _matrix_rows(result: Result, count: int) -> Iterator[bytes]:
    """Series by series; the points of many are written at one time."""
    opened = _openings(result.times)
    times: Sequence[str] = () if result.hists is None else time_texts(result.times)
    some = max(POINTS // max(len(result.times), 1), 1)
    for first in range(0, count, some):
        part = slice(first, min(first + some, count))
        hists = result.hists
        native = np.zeros_like(result.present[part]) if hists is None else result.present[part] & is_hist(hists[part])
        points = _points(result.present[part] & ~native, result.values[part], opened)
        for row, floats in enumerate(points, part.start):
            at = np.flatnonzero(native[row - first]).tolist() if hists is not None else []
            yield b'{"metric":%s%s%s}' % (
                _metric(result, row).encode(),
                b',"values":[%s]' % floats if floats else b"",
                b',"histograms":[%s]' % _histograms(result, row, at, times) if at else b"",
            )


def _histograms(result: Result, row: int, columns: Sequence[int], times: Sequence[str]) -> bytes:
    assert result.hists is not None
    return ",".join(_histogram(times[c], result.hists[row, c]) for c in columns).encode()


def _points(present: Bool, values: F64, opened: tuple[U8, I64]) -> list[bytes]:
    """The points of each row, without brackets; `opened`: of each time the start of a point, up to its value."""
    from obs.tsdb.promql.kernels_text import points

    text, ends = points(present, *opened, _numbers(values[present]))
    body = memoryview(text)
    return [bytes(body[start : max(stop - 1, start)]) for start, stop in pairwise([0, *ends.tolist()])]


def _numbers(values: F64) -> U8:
    """The texts of values, a comma behind each, perhaps with `.0` where Go leaves it out; and bytes to spare."""
    from obs.tsdb.promql.kernels_text import SPARE

    size = np.abs(values)
    if bool((((size >= AS_GO[0]) & (size < AS_GO[1])) | (size == 0)).all()):
        texts = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:]
    else:
        texts = ",".join(number_texts(values).to_pylist()).encode() + b"]"
    found = np.empty(len(texts) + SPARE, np.uint8)
    found[: len(texts)] = np.frombuffer(texts, np.uint8)
    found[len(texts) - 1 :] = ord(",")
    return found


def number_texts(values: F64) -> pa.Array:
    """Values as text: Arrow writes integers and the common magnitudes as Go does; the odd ones are put beside."""
    size = np.abs(values)
    whole = (values == np.floor(values)) & (size < 2**53) & ((size != 0) | ~np.signbit(values))
    if bool(whole.all()):
        return pc.cast(pa.array(values.astype(np.int64)), pa.string())
    texts = pc.cast(pa.array(values), pa.string())
    odd = ~(((size >= 1e-6) & (size < 1e10)) | (size == 0))
    if not odd.any():
        return texts
    integers = pc.cast(pa.array(np.where(whole, values, 0)[odd].astype(np.int64)), pa.string())
    pairs = zip(whole[odd].tolist(), values[odd].tolist(), strict=True)
    others = pa.array([None if w else go_json(v) for w, v in pairs], pa.string())
    return pc.replace_with_mask(texts, pa.array(odd), pc.coalesce(others, integers))


def _point(time: str, value: str) -> str:
    return f'[{time},"{value}"]'


def _histogram(time: str, hist: Any) -> str:
    buckets = [[kind, *(go_json(x) for x in edges)] for kind, *edges in hist.api_buckets()]
    body: dict[str, Any] = {"count": go_json(hist.count), "sum": go_json(hist.sum)}
    if buckets:
        body["buckets"] = buckets
    return f"[{time},{orjson.dumps(body).decode()}]"
