"""One sender for each protocol of traces: puts spans through a real client or the wire's own bytes, to one contract."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jaeger_client.thrift_gen.jaeger import ttypes as jaeger
from jaeger_client.thrift_gen.zipkincore import ttypes as zipkincore
from log_senders import good, post
from obs_process import ObsProcess
from py_zipkin import Encoding, Kind
from py_zipkin.encoding import create_endpoint, get_encoder
from py_zipkin.encoding._helpers import Span as PyZipkinSpan
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer


@dataclass(frozen=True)
class Sent:
    """What is sent: every protocol can say this much."""

    trace: int
    span: int
    parent: int
    name: str
    start_us: int
    duration_us: int = 1500
    service: str = "cart"
    kind: str = "SERVER"
    tag: str = "value"
    failed: bool = False
    event: str = ""

    @property
    def trace_hex(self) -> str:
        """As ids are written."""
        return f"{self.trace:032x}"


class Sender(Protocol):
    """Sends spans; returns when the server has acknowledged them. Raises: Refused."""

    name: str

    def __call__(self, obs: ObsProcess, spans: Sequence[Sent]) -> None:
        """Send."""

    def garbage(self, obs: ObsProcess) -> str:
        """Send what is no message of the protocol; returns what the server says of it."""


class _Http:
    """One body by POST, to the one port and where there is one to the protocol's own."""

    name, path, own, kind = "", "", ("", ""), ""

    def body(self, spans: Sequence[Sent]) -> bytes:
        """The spans on the wire."""
        raise NotImplementedError

    def __call__(self, obs: ObsProcess, spans: Sequence[Sent]) -> None:
        half = len(spans) // 2
        key, path = self.own
        for url, where, some in (
            (obs.url, self.path, spans[:half]),
            (f"http://{obs.receivers[key]}", path, spans[half:]),
        ):
            headers = {"Content-Type": self.kind, "Content-Encoding": "gzip"}
            assert good(post(url, where, gzip.compress(self.body(some)), headers)) == b""

    def garbage(self, obs: ObsProcess) -> str:
        """Half a body."""
        whole = self.body([Sent(1, 1, 0, "name", 1)])
        status, said = post(obs.url, self.path, whole[: len(whole) // 2], {"Content-Type": self.kind})
        assert status == 400
        return said.decode()


class ZipkinJson(_Http):
    """Zipkin's v2 JSON, as the protocol has it."""

    name, kind = "zipkin", "application/json"
    path, own = "/zipkin/api/v2/spans", ("zipkin", "/api/v2/spans")

    def body(self, spans: Sequence[Sent]) -> bytes:
        """A list of objects."""
        return json.dumps([self._span(s) for s in spans], ensure_ascii=False).encode()

    @staticmethod
    def _span(sent: Sent) -> dict[str, Any]:
        found: dict[str, Any] = {
            "traceId": sent.trace_hex, "id": f"{sent.span:016x}", "name": sent.name, "kind": sent.kind,
            "timestamp": sent.start_us, "duration": sent.duration_us, "localEndpoint": {"serviceName": sent.service},
            "tags": {"tag": sent.tag, **({"error": "true"} if sent.failed else {})},
        }  # fmt: skip
        if sent.event:
            found["annotations"] = [{"timestamp": sent.start_us + 1, "value": sent.event}]
        return found | ({"parentId": f"{sent.parent:016x}"} if sent.parent else {})


class _PyZipkin(_Http):
    """A body that py-zipkin encodes. It cuts off what is less than a microsecond, hence a third of one more."""

    name = "zipkin"
    encoding = Encoding.V2_JSON

    def body(self, spans: Sequence[Sent]) -> bytes:
        """The encoder's own."""
        encoder = get_encoder(self.encoding)
        body = encoder.encode_queue([encoder.encode_span(self._span(s)) for s in spans])
        return body.encode() if isinstance(body, str) else bytes(body)

    @staticmethod
    def _span(sent: Sent) -> PyZipkinSpan:
        return PyZipkinSpan(
            sent.trace_hex, sent.name, f"{sent.parent:016x}" if sent.parent else None, f"{sent.span:016x}",
            Kind[sent.kind], (sent.start_us + 0.3) / 1e6, (sent.duration_us + 0.3) / 1e6,
            local_endpoint=create_endpoint(service_name=sent.service),
            annotations={sent.event: (sent.start_us + 0.3) / 1e6} if sent.event else {},
            tags={"tag": sent.tag, **({"error": "true"} if sent.failed else {})},
        )  # fmt: skip


class PyZipkinV2(_PyZipkin):
    """py-zipkin's v2 JSON."""

    kind = "application/json"
    path, own = "/zipkin/api/v2/spans", ("zipkin", "/api/v2/spans")


class PyZipkinV1(_PyZipkin):
    """py-zipkin's v1 JSON."""

    encoding, kind = Encoding.V1_JSON, "application/json"
    path, own = "/zipkin/api/v1/spans", ("zipkin", "/api/v1/spans")


class PyZipkinProtobuf(_PyZipkin):
    """py-zipkin's protobuf."""

    encoding, kind = Encoding.V2_PROTO3, "application/x-protobuf"
    path, own = "/zipkin/api/v2/spans", ("zipkin", "/api/v2/spans")


class ZipkinThrift(_Http):
    """Zipkin's v1 Thrift, through Apache's library and Zipkin's structs."""

    name, kind = "zipkin", "application/x-thrift"
    path, own = "/zipkin/api/v1/spans", ("zipkin", "/api/v1/spans")

    def body(self, spans: Sequence[Sent]) -> bytes:
        """A list of structs."""
        out = TMemoryBuffer()
        protocol = TBinaryProtocol(out)
        protocol.writeListBegin(TType.STRUCT, len(spans))
        for sent in spans:
            self._span(sent).write(protocol)
        protocol.writeListEnd()
        return bytes(out.getvalue())

    @staticmethod
    def _span(sent: Sent) -> Any:
        host = zipkincore.Endpoint(ipv4=0x7F000001, port=80, service_name=sent.service)
        begin, end = {"SERVER": ("sr", "ss"), "CLIENT": ("cs", "cr")}[sent.kind]
        times = [(begin, 0), (end, sent.duration_us), *([(sent.event, 1)] if sent.event else [])]
        tags = [("tag", sent.tag), *([("error", "true")] if sent.failed else [])]
        high, low = (signed(sent.trace >> 64), signed(sent.trace))
        return zipkincore.Span(
            trace_id=low, trace_id_high=high, name=sent.name, id=signed(sent.span),
            parent_id=signed(sent.parent) or None,
            annotations=[zipkincore.Annotation(sent.start_us + us, value, host) for value, us in times],
            binary_annotations=[
                zipkincore.BinaryAnnotation(key, value, zipkincore.AnnotationType.STRING, host)
                for key, value in tags
            ],
            timestamp=sent.start_us, duration=sent.duration_us,
        )  # fmt: skip


class JaegerThrift(_Http):
    """Jaeger's Thrift over HTTP, through Apache's library and the Jaeger client's structs."""

    name, kind = "jaeger", "application/vnd.apache.thrift.binary"
    path, own = "/jaeger/api/traces", ("jaeger", "/api/traces")

    def body(self, spans: Sequence[Sent]) -> bytes:
        """A Batch: all of one service."""
        out = TMemoryBuffer()
        process = jaeger.Process(spans[0].service if spans else "", [])
        jaeger.Batch(process, [self._span(s) for s in spans]).write(TBinaryProtocol(out))
        return bytes(out.getvalue())

    @staticmethod
    def _span(sent: Sent) -> Any:
        tags = [
            jaeger.Tag("tag", jaeger.TagType.STRING, vStr=sent.tag),
            jaeger.Tag("span.kind", jaeger.TagType.STRING, vStr=sent.kind.lower()),
            *([jaeger.Tag("error", jaeger.TagType.BOOL, vBool=True)] if sent.failed else []),
        ]
        fields = [jaeger.Tag("event", jaeger.TagType.STRING, vStr=sent.event)]
        return jaeger.Span(
            signed(sent.trace), signed(sent.trace >> 64), signed(sent.span), signed(sent.parent), sent.name, [], 1,
            sent.start_us, sent.duration_us, tags, [jaeger.Log(sent.start_us + 1, fields)] if sent.event else [],
        )  # fmt: skip


def signed(number: int) -> int:
    """The low 64 bits as Thrift's i64."""
    return int(struct.unpack(">q", struct.pack(">Q", number & (1 << 64) - 1))[0])


SENDERS: tuple[Sender, ...] = (
    ZipkinJson(), PyZipkinV2(), PyZipkinV1(), PyZipkinProtobuf(), ZipkinThrift(), JaegerThrift(),
)  # fmt: skip
