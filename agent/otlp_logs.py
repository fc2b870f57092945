"""Records of log files → OTLP requests; attributes by OpenTelemetry's names for log files and containers."""

from __future__ import annotations

import os
from collections.abc import Mapping

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from obs.agent.logs.assemble import TextRecord
from obs.agent.logs.severity import NAMES, find_trace, guess_severity
from obs.agent.logs.timestamps import guess_time_ns
from obs.agent.otlp_metrics import clean, key_values, resource_of
from obs.agent.runtime.container import Container


def container_resource(container: Container) -> dict[str, str]:
    """What a container's logs are of, over the host's own resource."""
    labels = container.labels
    pairs = {
        "service.name": container.service,
        "service.instance.id": container.id[:12],
        "container.id": container.id,
        "container.name": container.name,
        "container.image.name": container.image,
        "container.runtime": container.runtime,
        "k8s.namespace.name": labels.get("io.kubernetes.pod.namespace", ""),
        "k8s.pod.name": labels.get("io.kubernetes.pod.name", ""),
        "k8s.container.name": labels.get("io.kubernetes.container.name", ""),
    }
    return {k: v for k, v in pairs.items() if v}


class LogsRequest:
    """A request that is being filled: one resource per followed file."""

    def __init__(self) -> None:
        self._request = ExportLogsServiceRequest()
        self.records = 0
        self.chars = 0

    def add(self, path: str, resource: Mapping[str, str], records: list[TextRecord], now_ns: int) -> None:
        """Records of the file `path`."""
        resource_logs = self._request.resource_logs.add(resource=resource_of(resource))
        out = resource_logs.scope_logs.add().log_records
        common = [("log.file.path", path), ("log.file.name", os.path.basename(path))]
        for record in records:
            _fill(out.add(), record, common, now_ns)
            self.chars += len(record.text)
        self.records += len(records)

    def serialize(self) -> bytes:
        """The ExportLogsServiceRequest."""
        return self._request.SerializeToString()


def _fill(out: LogRecord, record: TextRecord, common: list[tuple[str, str]], now_ns: int) -> None:
    text = record.text
    out.time_unix_nano = record.time_ns or guess_time_ns(text, now_ns) or now_ns
    out.observed_time_unix_nano = now_ns
    out.attributes.extend(key_values(common))
    if record.stream:
        out.attributes.extend(key_values([("log.iostream", record.stream)]))
    if record.cut_chars:
        text += f"… [cut: {record.cut_chars} bytes more]"
        cut = out.attributes.add(key="log.cut_bytes")
        cut.value.int_value = record.cut_chars
    out.body.string_value = clean(text)
    severity = guess_severity(text)
    if severity:
        out.severity_number = severity  # type: ignore[assignment]
        out.severity_text = NAMES[severity]
    out.trace_id, out.span_id = find_trace(text)
