"""OTLP's message classes with every string field read as bytes, so that invalid UTF-8 is mended instead of refused.

The classes are made from the descriptors of `opentelemetry-proto` in a pool of their own. Fields that only the
profiles signal uses (indices into a string table) are left out: they are unknown fields here.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from obs.errors import UserError
from obs.otlp.faults import find_fault

Message = Any
"""A protobuf message: its classes are made at run time and have no static type."""

_FILES = (common_pb2, resource_pb2, trace_pb2, logs_pb2, metrics_pb2)


def _strings_as_bytes(message: descriptor_pb2.DescriptorProto) -> None:
    kept = [f for f in message.field if not f.name.endswith("strindex")]
    del message.field[:]
    message.field.extend(kept)
    for field in message.field:
        if field.type == field.TYPE_STRING:
            field.type = field.TYPE_BYTES
    for nested in message.nested_type:
        _strings_as_bytes(nested)


def _make_pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for module in _FILES:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            _strings_as_bytes(message)
        pool.Add(file)
    return pool


_POOL = _make_pool()


def _message(name: str) -> Message:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"opentelemetry.proto.{name}"))


TracesData = _message("trace.v1.TracesData")
LogsData = _message("logs.v1.LogsData")
MetricsData = _message("metrics.v1.MetricsData")
Resource = _message("resource.v1.Resource")
InstrumentationScope = _message("common.v1.InstrumentationScope")
AnyValue = _message("common.v1.AnyValue")
KeyValueList = _message("common.v1.KeyValueList")
Event = _message("trace.v1.Span.Event")
Link = _message("trace.v1.Span.Link")
Metric = _message("metrics.v1.Metric")
NumberDataPoint = _message("metrics.v1.NumberDataPoint")
HistogramDataPoint = _message("metrics.v1.HistogramDataPoint")
ExponentialHistogramDataPoint = _message("metrics.v1.ExponentialHistogramDataPoint")
SummaryDataPoint = _message("metrics.v1.SummaryDataPoint")


def parse(kind: Message, body: bytes, what: str) -> Message:
    """The message in `body`. Raises: UserError that says where the body stops being one."""
    message = kind()
    try:
        message.ParseFromString(body)
    except DecodeError:
        at = find_fault(kind.DESCRIPTOR, body)
        raise UserError(f"cannot decode {what} of {len(body)} bytes: {at}; send OTLP protobuf") from None
    return message


def text(raw: bytes) -> str:
    """Bytes as text; what is not UTF-8 becomes U+FFFD."""
    return raw.decode("utf-8", "replace")
