"""Bad bodies and bad items: what is refused, how it is said, and that nothing else ever escapes."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from obs import otlp
from obs.errors import UserError
from obs.model.batch import Signal
from obs.otlp import limits

TRACE, SPAN = b"0123456789abcdef", b"01234567"
YEAR_2200 = 7_258_118_400_000_000_000


def traces(*spans: Span) -> bytes:
    return TracesData(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])]).SerializeToString()


def logs(*records: LogRecord) -> bytes:
    return LogsData(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])]).SerializeToString()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x0a\x05abc", "field 1 is 5 bytes long where 3 are left at byte 0"),
        (b"\xff" * 30, "a number is longer than 64 bits at byte 0"),
        (b"\x00\x01", "field number 0 is not allowed at byte 0"),
        (b"\x0a\x02\x12\x09", "field 2 is 9 bytes long where 0 are left at byte 2"),
        (b"\x0b\x14", "group 1 is closed as 2 at byte 1"),
        (b"\x0e", "wire type 6 is not allowed at byte 0"),
        (b"\x09abc", "field 1 needs 8 bytes where 3 are left at byte 0"),
    ],
)
def test_malformed_bodies_name_the_byte(body, said):
    with pytest.raises(UserError, match="cannot decode a traces request") as caught:
        otlp.decode_traces(body)
    assert said in str(caught.value)
    for decode in (otlp.decode_logs, lambda b: otlp.decode_metrics(b, otlp.SeriesCache())):
        with pytest.raises(UserError):
            decode(body)


def test_deep_nesting_is_an_error_not_a_crash():
    value = b""
    for _ in range(300):
        inner = b"\x0a" + _length(len(value)) + value
        value = b"\x2a" + _length(len(inner)) + inner
    record = b"\x2a" + _length(len(value)) + value
    scoped = b"\x12" + _length(len(record)) + record
    group = b"\x12" + _length(len(scoped)) + scoped
    with pytest.raises(UserError, match="nest deeper"):
        otlp.decode_logs(b"\x0a" + _length(len(group)) + group)


def _length(size: int) -> bytes:
    out = bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size])


def test_spans_are_refused_one_by_one():
    good = Span(trace_id=TRACE, span_id=SPAN, name="good", end_time_unix_nano=YEAR_2200)
    decoded = otlp.decode_traces(
        traces(
            good,
            Span(trace_id=TRACE[:15], span_id=SPAN),
            Span(trace_id=bytes(16), span_id=SPAN),
            Span(trace_id=TRACE, span_id=b""),
            Span(trace_id=TRACE, span_id=SPAN, parent_span_id=b"123"),
            Span(trace_id=TRACE, span_id=SPAN, start_time_unix_nano=2**63),
        )
    )
    assert decoded.batch.tables["spans"]["name"].to_pylist() == ["good"]
    assert decoded.rejected == {
        "invalid_trace_id": 2,
        "invalid_span_id": 1,
        "invalid_parent_span_id": 1,
        "time_out_of_range": 1,
    }
    answer = ExportTraceServiceResponse.FromString(otlp.response(Signal.TRACES, decoded))
    assert answer.partial_success.rejected_spans == 5
    assert "2 because the trace id is not 16 bytes" in answer.partial_success.error_message
    assert json.loads(otlp.response_json(Signal.TRACES, decoded))["partialSuccess"]["rejectedSpans"] == "5"


def test_all_taken_is_an_empty_answer():
    decoded = otlp.decode_traces(b"")
    assert decoded.received_items == 0
    assert otlp.response(Signal.TRACES, decoded) == b""
    assert otlp.response_json(Signal.TRACES, decoded) == b"{}"


def test_records_without_times_or_ids_are_kept():
    decoded = otlp.decode_logs(
        logs(LogRecord(), LogRecord(observed_time_unix_nano=5), LogRecord(trace_id=b"short", time_unix_nano=7)), 99
    )
    table = decoded.batch.tables["logs"]
    assert table["time_ns"].to_pylist() == [99, 5, 7]
    assert table["observed_ns"].to_pylist() == [99, 5, 99]
    assert table["trace_id"].to_pylist() == [None] * 3
    assert table["body"].to_pylist() == [None] * 3


def test_invalid_utf8_is_kept_mended():
    body = logs(LogRecord(severity_text="AB")).replace(b"AB", b"A\xff")
    assert otlp.decode_logs(body).batch.tables["logs"]["severity_text"].to_pylist() == ["A�"]


def test_too_many_items(monkeypatch):
    from obs.otlp import census

    monkeypatch.setattr(census, "MAX_ITEMS", 10)
    assert limits.MAX_ITEMS == 1_000_000
    for signal, decode in ((Signal.TRACES, otlp.decode_traces), (Signal.LOGS, otlp.decode_logs)):
        with pytest.raises(UserError, match="more than 10 items"):
            census.check_body(signal, logs(*[LogRecord()] * 11))
        assert decode(b"").batch.items == 0
