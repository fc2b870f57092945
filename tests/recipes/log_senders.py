"""One sender for each protocol of logs: puts lines through a real client or the wire's own bytes, to one contract."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlparse

import cramjam
import msgpack
from obs_process import ObsProcess
from protobuf_fields import field

TOKEN = "token-of-a-test"


@dataclass(frozen=True)
class Line:
    """What is sent: every protocol can say this much."""

    time_ns: int  # to the microsecond, which is as exact as syslog is
    text: str
    level: str = "error"
    host: str = "host-1"
    service: str = "cart"


class Sender(Protocol):
    """Sends lines; returns when the server has acknowledged them, where the protocol can. Raises: Refused."""

    name: str

    def __call__(self, obs: ObsProcess, lines: Sequence[Line]) -> None:
        """Send."""


class Refused(Exception):
    """The server said no: status and text."""


def post(url: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body of an answer."""
    connection = http.client.HTTPConnection(urlparse(url).netloc, timeout=60)
    connection.request("POST", path, body, dict(headers))
    response = connection.getresponse()
    return response.status, response.read()


def good(answer: tuple[int, bytes]) -> bytes:
    """The body of a 2xx. Raises: Refused."""
    if answer[0] >= 300:
        raise Refused(*answer)
    return answer[1]


class LokiJson:
    """Loki's push in JSON, gzip."""

    name = "loki"
    kind = "application/json"

    def __call__(self, obs: ObsProcess, lines: Sequence[Line]) -> None:
        good(post(obs.url, "/loki/api/v1/push", self.body(lines), self.headers()))

    def headers(self) -> dict[str, str]:
        """Those of a push."""
        return {"Content-Type": self.kind, "Content-Encoding": "gzip"}

    def body(self, lines: Sequence[Line]) -> bytes:
        """Lines as streams of one entry each."""
        streams = [
            {
                "stream": {"service_name": line.service, "host_name": line.host},
                "values": [[str(line.time_ns), line.text, {"level": line.level}]],
            }
            for line in lines
        ]
        return gzip.compress(json.dumps({"streams": streams}).encode())

    def garbage(self, obs: ObsProcess) -> str:
        """Half a JSON."""
        status, said = post(obs.url, "/loki/api/v1/push", b'{"streams": [', {"Content-Type": self.kind})
        return f"{status} {said.decode()}"


class LokiProtobuf(LokiJson):
    """Loki's push in snappy protobuf, as Promtail and Grafana Alloy send it."""

    kind = "application/x-protobuf"

    def headers(self) -> dict[str, str]:
        """Promtail names no encoding."""
        return {"Content-Type": self.kind}

    def body(self, lines: Sequence[Line]) -> bytes:
        """A logproto.PushRequest."""
        streams = b"".join(field(1, self._stream(line)) for line in lines)
        return bytes(cramjam.snappy.compress_raw(streams))

    def _stream(self, line: Line) -> bytes:
        labels = f'{{host_name="{line.host}", service_name="{line.service}"}}'
        time = field(1, line.time_ns // 10**9) + field(2, line.time_ns % 10**9)
        pair = field(1, b"level") + field(2, line.level.encode())
        entry = field(1, time) + field(2, line.text.encode()) + field(3, pair)
        return field(1, labels.encode()) + field(2, entry)


class ElasticsearchBulk:
    """Elasticsearch's bulk, as Filebeat sends it."""

    name = "elasticsearch"

    def __call__(self, obs: ObsProcess, lines: Sequence[Line]) -> None:
        body = "".join(
            json.dumps(part) + "\n"
            for line in lines
            for part in (
                {"create": {"_index": "logs-test"}},
                {
                    "@timestamp": iso(line.time_ns), "message": line.text, "log": {"level": line.level},
                    "host": {"name": line.host}, "service": {"name": line.service},
                },
            )
        )  # fmt: skip
        headers = {"Content-Type": "application/x-ndjson"}
        said = json.loads(good(post(obs.url, "/elasticsearch/_bulk", body.encode(), headers)))
        assert not said["errors"], said
        assert len(said["items"]) == len(lines)

    def garbage(self, obs: ObsProcess) -> str:
        """No action."""
        headers = {"Content-Type": "application/x-ndjson"}
        status, said = post(obs.url, "/elasticsearch/_bulk", b"not an action\n{}\n", headers)
        return f"{status} {json.loads(said)['error']['reason']}"


class SplunkEvents:
    """Splunk's HTTP event collector."""

    name = "splunk_hec"

    def __call__(self, obs: ObsProcess, lines: Sequence[Line]) -> None:
        events = (
            {
                "time": f"{line.time_ns // 10**9}.{line.time_ns % 10**9:09d}", "host": line.host,
                "event": {"message": line.text, "level": line.level, "service": line.service},
            }
            for line in lines
        )  # fmt: skip
        said = good(
            post(obs.url, "/services/collector/event", "".join(map(json.dumps, events)).encode(), self.headers())
        )
        assert json.loads(said) == {"text": "Success", "code": 0}

    def headers(self) -> dict[str, str]:
        """The token."""
        return {"Authorization": f"Splunk {TOKEN}"}

    def garbage(self, obs: ObsProcess) -> str:
        """Half an event."""
        status, said = post(obs.url, "/services/collector/event", b'{"event": "a"} {"event"', self.headers())
        return f"{status} {json.loads(said)['text']}"


class FluentForward:
    """Fluentd's forward protocol, packed and compressed, with an acknowledgement."""

    name = "fluent"

    def __call__(self, obs: ObsProcess, lines: Sequence[Line]) -> None:
        events = b"".join(msgpack.packb([_event_time(line.time_ns), self._event(line)]) for line in lines)
        option = {"chunk": "chunk-1", "compressed": "gzip", "size": len(lines)}
        with self._connected(obs) as client:
            client.sendall(msgpack.packb(["app.test", gzip.compress(events), option]))
            assert _read(client) == {"ack": "chunk-1"}

    @staticmethod
    def _event(line: Line) -> dict[str, Any]:
        return {"log": line.text, "level": line.level, "host": line.host, "service": line.service}

    @staticmethod
    def _connected(obs: ObsProcess) -> socket.socket:
        host, port = obs.receivers["fluent"].rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=60)

    def garbage(self, obs: ObsProcess) -> str:
        """A map in place of a message; the connection is closed and the log says why."""
        with self._connected(obs) as client:
            client.sendall(msgpack.packb({"no": "message"}))
            assert client.recv(1) == b""
        return obs.errors()


class SyslogTcp:
    """Syslog in RFC 5424 over TCP, counted."""

    name = "syslog"

    def __call__(self, obs: ObsProcess, lines: Sequence[Line]) -> None:
        host, port = obs.receivers["syslog.tcp"].rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=60) as client:
            for line in lines:
                message = self.message(line)
                client.sendall(f"{len(message)} ".encode() + message)

    @staticmethod
    def message(line: Line) -> bytes:
        """One message of local0 and the line's level."""
        priority = 16 * 8 + {"error": 3, "info": 6}[line.level]
        return f"<{priority}>1 {iso(line.time_ns)} {line.host} {line.service} - - - {line.text}".encode()


class SyslogUdp(SyslogTcp):
    """The same in datagrams."""

    def __call__(self, obs: ObsProcess, lines: Sequence[Line]) -> None:
        host, port = obs.receivers["syslog.udp"].rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for line in lines:
                client.sendto(self.message(line), (host, int(port)))


def iso(time_ns: int) -> str:
    """ISO 8601 with microseconds."""
    return (
        datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{time_ns % 10**9 // 1000:06d}Z"
    )


def _event_time(time_ns: int) -> msgpack.ExtType:
    return msgpack.ExtType(0, struct.pack(">II", *divmod(time_ns, 10**9)))


def _read(client: socket.socket) -> Any:
    reader = msgpack.Unpacker()
    while True:
        data = client.recv(4096)
        assert data, "closed without an answer"
        reader.feed(data)
        for value in reader:
            return value
