"""OTLP/JSON to OTLP/protobuf, so that both take the same path from there.

Ids are hex, int64 strings or numbers, enums numbers or names; unknown fields are ignored.
Source: opentelemetry.io/docs/specs/otlp, section "JSON Protobuf Encoding".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import orjson
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from obs.errors import UserError
from obs.model.batch import Signal

_REQUESTS: dict[Signal, tuple[Any, tuple[str, str, str]]] = {
    Signal.TRACES: (trace_service_pb2.ExportTraceServiceRequest, ("resourceSpans", "scopeSpans", "spans")),
    Signal.LOGS: (logs_service_pb2.ExportLogsServiceRequest, ("resourceLogs", "scopeLogs", "logRecords")),
    Signal.METRICS: (metrics_service_pb2.ExportMetricsServiceRequest, ("resourceMetrics", "scopeMetrics", "metrics")),
}
_IDS = ("traceId", "spanId", "parentSpanId")
_METRIC_DATA = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_WRONG_LENGTH = b64encode(b"\0").decode()
"""What stands for an id that is no hex: its item is then refused like any other with such an id."""


def json_to_protobuf(signal: Signal, body: bytes) -> bytes:
    """The protobuf body that says the same. Raises: UserError."""
    make, path = _REQUESTS[signal]
    try:
        request = orjson.loads(body.decode("utf-8", "replace"))
        for holder in _id_holders(signal, request, path):
            _hex_to_base64(holder)
        message = json_format.ParseDict(request, make(), ignore_unknown_fields=True)
        return bytes(message.SerializeToString())
    except json_format.ParseError as e:
        deep = "Message too deep" in str(e)  # protobuf names every level
        why = "messages nest deeper than 100, as values do past some 30 lists or objects" if deep else e
        raise UserError(f"cannot decode a JSON {signal.value} request of {len(body)} bytes: {why}") from None
    except (orjson.JSONDecodeError, UnicodeEncodeError, RecursionError) as e:
        raise UserError(f"cannot decode a JSON {signal.value} request of {len(body)} bytes: {e}") from None
    except (TypeError, AttributeError, ValueError) as e:
        raise UserError(
            f"cannot decode a JSON {signal.value} request of {len(body)} bytes: {e}; send OTLP/JSON"
        ) from None


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _children(holder: Any, *names: str) -> Iterator[Any]:
    """The objects in the lists (or the object) that `holder` has under any of the names, either way of writing."""
    if not isinstance(holder, dict):
        return
    for name in names:
        for key in {name, _snake(name)}:
            found = holder.get(key)
            yield from found if isinstance(found, list) else () if found is None else (found,)


def _id_holders(signal: Signal, request: Any, path: tuple[str, str, str]) -> Iterator[dict[str, Any]]:
    if not isinstance(request, dict):
        raise TypeError(f"the body is a {type(request).__name__} where an object was expected")
    for group in _children(request, path[0]):
        for scoped in _children(group, path[1]):
            for item in _children(scoped, path[2]):
                nested = _exemplars(item) if signal is Signal.METRICS else (item, *_children(item, "links"))
                yield from (h for h in nested if isinstance(h, dict))


def _exemplars(metric: Any) -> Iterator[Any]:
    for data in _children(metric, *_METRIC_DATA):
        for point in _children(data, "dataPoints"):
            yield from _children(point, "exemplars")


def _hex_to_base64(holder: dict[str, Any]) -> None:
    for name in _IDS:
        for key in {name, _snake(name)}:
            if holder.get(key) is not None:
                holder[key] = _base64_of_hex(holder[key])


def _base64_of_hex(value: Any) -> str:
    try:
        return b64encode(bytes.fromhex(value)).decode()
    except (ValueError, TypeError):
        return _WRONG_LENGTH
