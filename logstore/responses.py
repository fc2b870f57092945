"""Results as Loki's JSON: streams, matrix, vector, scalar. Pure: values in, dicts out.

Source: Loki, "HTTP API", Query logs within a range of time, and the `categorize-labels` encoding flag.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.responses import Response

from obs.logstore.logql.matrix import Matrix, Steps
from obs.logstore.logql.query import Entries
from obs.logstore.logql.records import LogEntry
from obs.logstore.selection import Stats
from obs.model.labels import Labels, make_labels

CATEGORIZE = "categorize-labels"
OBSERVED = "observed_timestamp"
FLAGS_HEADER = "x-loki-response-encoding-flags"


class LokiJson(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def success(data: Any, **more: Any) -> LokiJson:
    """Loki's envelope."""
    return LokiJson({"status": "success", "data": data, **more})


def streams(found: Entries, categorize: bool) -> LokiJson:
    """Records by stream; with `categorize` each has what it carries beside its stream as its third element."""
    data: dict[str, Any] = {
        "resultType": "streams",
        "result": stream_list(found.entries, categorize),
        "stats": stats(found.stats, len(found.entries)),
    }
    if categorize:
        data["encodingFlags"] = [CATEGORIZE]
    if found.next is not None:
        data["next"] = found.next
    return success(data, **({"warnings": [found.partial]} if found.partial else {}))


def stream_list(entries: Iterable[LogEntry], categorize: bool) -> list[dict[str, Any]]:
    """Entries in the order they come, grouped by the labels of their stream; else by all that they carry, as Loki's."""
    grouped: dict[Labels, list[list[Any]]] = {}
    for entry in entries:
        value: list[Any] = [str(entry.time_ns), entry.line]
        if categorize:
            grouped.setdefault(entry.stream, []).append([*value, _third(entry)])
        else:
            grouped.setdefault(all_labels(entry), []).append(value)
    return [{"stream": dict(labels), "values": values} for labels, values in grouped.items()]


def all_labels(entry: LogEntry) -> Labels:
    """Without the time when the record was taken in, which would make every push a stream of its own."""
    found = {**dict(entry.stream), **entry.metadata, **entry.parsed}
    found.pop(OBSERVED, None)
    return make_labels(found)


def _third(entry: LogEntry) -> Mapping[str, Any]:
    parts = {"structuredMetadata": entry.metadata, "parsed": entry.parsed}
    return {name: dict(labels) for name, labels in parts.items() if labels}


def matrix(found: Matrix, steps: Steps, read: Stats) -> LokiJson:
    """A metric query at every step."""
    times = [seconds(t) for t in steps.times()]
    result = [
        {"metric": dict(labels), "values": [[times[k], number(values[k])] for k in present.nonzero()[0].tolist()]}
        for labels, values, present in zip(found.labels, found.values, found.present, strict=True)
    ]
    return success({"resultType": "matrix", "result": result, "stats": stats(read, len(result))})


def vector(found: Matrix, t_ns: int, read: Stats) -> LokiJson:
    """A metric query at one time; a scalar has no labels."""
    at = seconds(t_ns)
    if found.scalar:
        return success({"resultType": "scalar", "result": [at, number(found.values[0, 0])], "stats": stats(read, 1)})
    result = [
        {"metric": dict(labels), "value": [at, number(value)]}
        for labels, value, present in zip(found.labels, found.values[:, 0], found.present[:, 0].tolist(), strict=True)
        if present
    ]
    return success({"resultType": "vector", "result": result, "stats": stats(read, len(result))})


def stats(read: Stats, returned: int) -> dict[str, Any]:
    """What the query cost: Loki's summary, and our own figures beside it."""
    summary = {"totalLinesProcessed": read.rows_read, "totalEntriesReturned": returned}
    return {"summary": summary, "obs": read.as_dict()}


def seconds(t_ns: int) -> float | int:
    """A time in seconds; whole where it is."""
    whole, rest = divmod(t_ns, 1_000_000_000)
    return whole if not rest else round(t_ns / 1e9, 3)


def number(value: float) -> str:
    """A sample's value as Go writes it."""
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
