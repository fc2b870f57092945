"""Result → the JSON of Prometheus's HTTP API, as bytes: numbers as Go writes them, times in seconds.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Any

import numpy as np
import orjson

from obs.tsdb.promql.formatting import go_json
from obs.tsdb.promql.result import Result
from obs.tsdb.promql.values import F64, I64, is_hist


def data(result: Result, limit: int = 0) -> bytes:
    """`{"resultType":…,"result":…}`; at most `limit` series where it is over zero."""
    times = time_texts(result.times)
    if result.kind == "scalar":
        return b'{"resultType":"scalar","result":%s}' % _point(times[0], go_json(float(result.values[0, 0]))).encode()
    if result.kind == "string":
        body = orjson.dumps(result.text).decode()
        return f'{{"resultType":"string","result":[{times[0]},{body}]}}'.encode()
    rows = range(len(result.labels) if limit <= 0 else min(limit, len(result.labels)))
    if result.kind == "vector":
        body = ",".join(_vector_row(result, row, times) for row in rows)
    else:
        opened = [f'[{t},"' for t in times]
        body = ",".join(_matrix_row(result, row, times, opened) for row in rows)
    return f'{{"resultType":"{result.kind}","result":[{body}]}}'.encode()


def time_texts(times: I64) -> list[str]:
    """Milliseconds as seconds, with three digits where it is no whole second."""
    return [str(t // 1000) if t % 1000 == 0 else f"{t / 1000:.3f}" for t in times.tolist()]


def _metric(result: Result, row: int) -> str:
    return orjson.dumps(dict(result.labels[row])).decode()


def _vector_row(result: Result, row: int, times: Sequence[str]) -> str:
    hist = None if result.hists is None else result.hists[row, 0]
    if hist is not None:
        return f'{{"metric":{_metric(result, row)},"histogram":{_histogram(times[0], hist)}}}'
    value = _point(times[0], go_json(float(result.values[row, 0])))
    return f'{{"metric":{_metric(result, row)},"value":{value}}}'


def _matrix_row(result: Result, row: int, times: Sequence[str], opened: Sequence[str]) -> str:
    """One series; `opened` is each time as the start of its point, up to the value."""
    present = result.present[row]
    parts = [f'"metric":{_metric(result, row)}']
    if result.hists is not None:
        native = present & is_hist(result.hists[row])
        present = present & ~native
        at = np.flatnonzero(native).tolist()
        if at:
            points = ",".join(_histogram(times[c], result.hists[row, c]) for c in at)
            parts.append(f'"histograms":[{points}]')
    columns = np.flatnonzero(present)
    if len(columns):
        texts = number_texts(result.values[row, columns])
        openings = opened if len(columns) == len(opened) else [opened[c] for c in columns.tolist()]
        points = '"],'.join(map(add, openings, texts))
        parts.insert(1, f'"values":[{points}"]]')
    return "{" + ",".join(parts) + "}"


def number_texts(values: F64) -> list[str]:
    """Values as text; the common magnitudes at once, by a serializer written in Rust."""
    size = np.abs(values)
    if bool((((size >= 1e-4) & (size < 1e15)) | (size == 0)).all()):
        texts = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1].split(",")
        for i in np.flatnonzero(values == np.floor(values)).tolist():
            texts[i] = texts[i].removesuffix(".0")
        return texts
    return [go_json(v) for v in values.tolist()]


def _point(time: str, value: str) -> str:
    return f'[{time},"{value}"]'


def _histogram(time: str, hist: Any) -> str:
    buckets = [[kind, *(go_json(x) for x in edges)] for kind, *edges in hist.api_buckets()]
    body: dict[str, Any] = {"count": go_json(hist.count), "sum": go_json(hist.sum)}
    if buckets:
        body["buckets"] = buckets
    return f"[{time},{orjson.dumps(body).decode()}]"
