"""OTLP/JSON takes the same path as protobuf, whatever way of writing it allows."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

from obs import otlp
from obs.errors import UserError
from obs.model.batch import Signal

SPAN = {
    "traceId": "5B8EFFF798038103D269B633813FC60C",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "",
    "kind": 2,
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": 1544712661000000000,
    "attributes": [
        {"key": "n", "value": {"intValue": "9007199254740993"}},
        {"key": "b", "value": {"bytesValue": "/w=="}},
    ],
    "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}],
    "notAField": {"x": [1]},
}  # fmt: skip


def request(*spans: dict) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


def spans_of(body: bytes):
    decoded = otlp.decode_traces(otlp.json_to_protobuf(Signal.TRACES, body))
    table = decoded.batch.tables.get("spans")
    return (table.to_pylist() if table else []), decoded.rejected


def test_span():
    (row,), rejected = spans_of(request(SPAN))
    assert not rejected
    assert row["trace_id"].hex() == "5b8efff798038103d269b633813fc60c"
    assert row["parent_span_id"] is None
    assert (row["start_ns"], row["end_ns"]) == (1544712660000000000, 1544712661000000000)
    assert row["attr.n:int"] == 9007199254740993
    assert row["attr.b:bytes"] == b"\xff"
    assert row["links"][0]["span_id"].hex() == "eee19b7ec3c1b174"


def test_names_of_enums_and_fields_in_snake_case():
    written = {"trace_id": SPAN["traceId"], "span_id": SPAN["spanId"], "kind": "SPAN_KIND_SERVER", "name": "x"}
    (row,), _ = spans_of(json.dumps({"resource_spans": [{"scope_spans": [{"spans": [written]}]}]}).encode())
    assert (row["kind"], row["name"]) == (2, "x")


@pytest.mark.parametrize("bad", ["xyz", 5, "5B8E", ["5b"]])
def test_an_id_that_is_no_id_refuses_its_span(bad):
    rows, rejected = spans_of(request({**SPAN, "traceId": bad}, SPAN))
    assert len(rows) == 1
    assert rejected == {"invalid_trace_id": 1}


def test_exemplars_have_hex_ids_too():
    point = {"asInt": "3", "exemplars": [{"asDouble": 1.5, "traceId": SPAN["traceId"], "spanId": SPAN["spanId"]}]}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [point]}}]}]}]}
    message = MetricsData.FromString(otlp.json_to_protobuf(Signal.METRICS, json.dumps(body).encode()))
    found = message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]
    assert found.as_int == 3
    assert found.exemplars[0].trace_id.hex() == SPAN["traceId"].lower()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"null", b"5", b'"x"', b'{"resourceSpans": 5}', b'{"resourceSpans": [[[1]]]}', b"\xff\xfe",
        b'{"resourceSpans": [{"scopeSpans": {"spans": "x"}}]}', b'{"resourceSpans": [{"resource": 1}]}', b"[" * 100_000,
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":-1}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"1e400"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\\ud800"}]}]}]}',
    ],
)  # fmt: skip
def test_bad_json_is_a_user_error(body):
    for signal in Signal:
        try:
            otlp.json_to_protobuf(signal, body)
        except UserError as e:
            assert str(e).startswith(f"cannot decode a JSON {signal.value} request")
