"""OTLP in its three forms, for each signal: the same items as other protocols' senders put on the wire."""

from __future__ import annotations

import base64
import gzip
import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from log_senders import Line, Refused, good, post
from metric_senders import Reading
from obs_process import ObsProcess
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from span_senders import Sent

SEVERITIES = {"info": 9, "error": 17}
FORMS = {"http": "otlp_http", "json": "otlp_http", "grpc": "otlp_grpc"}


class Otlp:
    """One request by one of the forms. Raises: Refused."""

    signal = ""

    def __init__(self, form: str) -> None:
        self._form, self.name = form, FORMS[form]

    @abstractmethod
    def request(self, items: Sequence[Any]) -> Any:
        """The protobuf message."""

    def __call__(self, obs: ObsProcess, items: Sequence[Any]) -> None:
        request = self.request(items)
        if self._form == "json":
            body = json.dumps(_hex_ids(MessageToDict(request)))
            assert json.loads(self._posted(obs, body.encode(), "application/json")) == {}
        else:
            send = self._called if self._form == "grpc" else self._posted
            assert send(obs, request.SerializeToString()) == b""

    def garbage(self, obs: ObsProcess) -> str:
        """Half a request."""
        kind = "application/json" if self._form == "json" else "application/x-protobuf"
        send = self._called if self._form == "grpc" else self._posted
        try:
            send(obs, b'{"resource' if self._form == "json" else b"\x0a\x7f", kind)
        except Refused as e:
            return str(e.args[1])
        raise AssertionError("half a request was taken")

    def _posted(self, obs: ObsProcess, body: bytes, kind: str = "application/x-protobuf") -> bytes:
        headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
        return good(post(obs.otlp_http, f"/v1/{self.signal}", gzip.compress(body), headers))

    def _called(self, obs: ObsProcess, body: bytes, _: str = "") -> bytes:
        kind = self.signal.removesuffix("s") if self.signal == "traces" else self.signal
        service = f"opentelemetry.proto.collector.{kind}.v1.{kind.capitalize()}Service"
        with grpc.insecure_channel(obs.otlp_grpc) as channel:
            try:
                answer = channel.unary_unary(f"/{service}/Export")(body, timeout=60)
                return bytes(answer)
            except grpc.RpcError as e:
                raise Refused(e.code(), e.details()) from None  # type: ignore[attr-defined]


class OtlpLogs(Otlp):
    """Records."""

    signal = "logs"

    def request(self, items: Sequence[Line]) -> ExportLogsServiceRequest:
        """A resource for each line."""
        request = ExportLogsServiceRequest()
        for line in items:
            resource = request.resource_logs.add()
            _named(resource, line.service).attributes.add(key="host.name").value.string_value = line.host
            record = resource.scope_logs.add().log_records.add(time_unix_nano=line.time_ns)
            record.severity_number, record.body.string_value = SEVERITIES[line.level], line.text
        return request


class OtlpTraces(Otlp):
    """Spans."""

    signal = "traces"

    def request(self, items: Sequence[Sent]) -> ExportTraceServiceRequest:
        """A resource for each span."""
        request = ExportTraceServiceRequest()
        for sent in items:
            resource = request.resource_spans.add()
            _named(resource, sent.service)
            resource.scope_spans.add().spans.append(self._span(sent))
        return request

    @staticmethod
    def _span(sent: Sent) -> Span:
        start_ns = sent.start_us * 1000
        span = Span(
            trace_id=sent.trace.to_bytes(16, "big"), span_id=sent.span.to_bytes(8, "big"), name=sent.name,
            parent_span_id=sent.parent.to_bytes(8, "big") if sent.parent else b"", start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + sent.duration_us * 1000, kind=f"SPAN_KIND_{sent.kind}",
            status=Status(code="STATUS_CODE_ERROR") if sent.failed else None,
        )  # fmt: skip
        span.attributes.add(key="tag").value.string_value = sent.tag
        if sent.event:
            span.events.add(name=sent.event, time_unix_nano=start_ns + 1000)
        return span


class OtlpMetrics(Otlp):
    """Points of a gauge."""

    signal = "metrics"

    def request(self, items: Sequence[Reading]) -> ExportMetricsServiceRequest:
        """A resource for all: they have one job."""
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        _named(resource, items[0].job)
        points = resource.scope_metrics.add().metrics.add(name="contract_gauge").gauge.data_points
        for reading in items:
            point = points.add(as_double=reading.value, time_unix_nano=reading.t_ms * 10**6)
            point.attributes.add(key="text").value.string_value = reading.text
        return request


def _named(holder: Any, service: str) -> Any:
    """The resource of a group, with its service's name."""
    holder.resource.attributes.add(key="service.name").value.string_value = service
    return holder.resource


def _hex_ids(of: Any) -> Any:
    """Ids as OTLP's JSON has them, which is not how protobuf's has bytes."""
    if isinstance(of, list):
        return [_hex_ids(each) for each in of]
    if not isinstance(of, dict):
        return of
    ids = ("traceId", "spanId", "parentSpanId")
    return {key: base64.b64decode(value).hex() if key in ids else _hex_ids(value) for key, value in of.items()}
