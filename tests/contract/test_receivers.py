"""Each receiver under the contract, on one server; another one is killed and started again."""

from __future__ import annotations

import log_senders
import metric_senders
import otlp_senders
import span_senders
from receiver_contract import AcknowledgedContract
from signal_contracts import Logs, Metrics, Traces


class AcknowledgedLogs(Logs, AcknowledgedContract):
    """Protocols of logs that say what became of a request."""

    refusal = r"cannot|expected|Invalid"


class TestLokiJson(AcknowledgedLogs):
    sender = log_senders.LokiJson()


class TestLokiProtobuf(AcknowledgedLogs):
    sender = log_senders.LokiProtobuf()


class TestElasticsearch(AcknowledgedLogs):
    sender = log_senders.ElasticsearchBulk()


class TestSplunk(AcknowledgedLogs):
    sender = log_senders.SplunkEvents()


class TestFluent(AcknowledgedLogs):
    sender = log_senders.FluentForward()


class TestSyslogTcp(Logs):
    sender = log_senders.SyslogTcp()


class TestSyslogUdp(Logs):
    sender = log_senders.SyslogUdp()


class TestOtlpHttpLogs(AcknowledgedLogs):
    sender = otlp_senders.OtlpLogs("http")


class TestOtlpJsonLogs(AcknowledgedLogs):
    sender = otlp_senders.OtlpLogs("json")


class TestOtlpGrpcLogs(AcknowledgedLogs):
    sender = otlp_senders.OtlpLogs("grpc")


class AcknowledgedTraces(Traces, AcknowledgedContract):
    """All protocols of traces."""


class TestZipkinJson(AcknowledgedTraces):
    sender = span_senders.ZipkinJson()


class TestPyZipkinV2(AcknowledgedTraces):
    sender = span_senders.PyZipkinV2()


class TestPyZipkinV1(AcknowledgedTraces):
    sender = span_senders.PyZipkinV1()


class TestPyZipkinProtobuf(AcknowledgedTraces):
    sender = span_senders.PyZipkinProtobuf()


class TestZipkinThrift(AcknowledgedTraces):
    sender = span_senders.ZipkinThrift()


class TestJaegerThrift(AcknowledgedTraces):
    sender = span_senders.JaegerThrift()


class TestOtlpHttpTraces(AcknowledgedTraces):
    sender = otlp_senders.OtlpTraces("http")


class TestOtlpJsonTraces(AcknowledgedTraces):
    sender = otlp_senders.OtlpTraces("json")


class TestOtlpGrpcTraces(AcknowledgedTraces):
    sender = otlp_senders.OtlpTraces("grpc")


class TestRemoteWriteV1(Metrics):
    sender = metric_senders.RemoteWriteV1()


class TestRemoteWriteV2(Metrics):
    sender = metric_senders.RemoteWriteV2()


class TestOtlpHttpMetrics(Metrics):
    sender = otlp_senders.OtlpMetrics("http")


class TestOtlpJsonMetrics(Metrics):
    sender = otlp_senders.OtlpMetrics("json")


class TestOtlpGrpcMetrics(Metrics):
    sender = otlp_senders.OtlpMetrics("grpc")
