"""One sender for each protocol of metrics that is pushed: puts readings on the wire, to one contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cramjam
from log_senders import good, post
from obs_process import ObsProcess
from protobuf_fields import field, varint

PATH = "/api/v1/write"


@dataclass(frozen=True, order=True)
class Reading:
    """A sample of `contract_gauge{job, text}`: every protocol can say this much."""

    job: str
    text: str
    value: float
    t_ms: int


class RemoteWriteV1:
    """Prometheus's remote write 1.0."""

    name = "remote_write"
    kind = "application/x-protobuf"

    def __call__(self, obs: ObsProcess, readings: Sequence[Reading]) -> None:
        headers = {"Content-Type": self.kind, "Content-Encoding": "snappy"}
        assert good(post(obs.url, PATH, bytes(cramjam.snappy.compress_raw(self.body(readings))), headers)) == b""

    def body(self, readings: Sequence[Reading]) -> bytes:
        """A WriteRequest."""
        return b"".join(field(1, self._series(r)) for r in readings)

    @staticmethod
    def _series(reading: Reading) -> bytes:
        pairs = {"__name__": "contract_gauge", "job": reading.job, "text": reading.text}
        labels = b"".join(field(1, field(1, name) + field(2, value)) for name, value in pairs.items())
        return labels + field(2, field(1, reading.value) + field(2, reading.t_ms))

    def garbage(self, obs: ObsProcess) -> str:
        """Half a message."""
        whole = self.body([Reading("j", "t", 1.0, 1)])
        body = bytes(cramjam.snappy.compress_raw(whole[: len(whole) // 2]))
        status, said = post(obs.url, PATH, body, {"Content-Type": self.kind, "Content-Encoding": "snappy"})
        assert status == 400
        return said.decode()


class RemoteWriteV2(RemoteWriteV1):
    """Prometheus's remote write 2.0: texts by their place in a table."""

    kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request"

    def body(self, readings: Sequence[Reading]) -> bytes:
        """A Request."""
        symbols = ["", "__name__", "contract_gauge", "job", "text"]
        symbols += sorted({text for r in readings for text in (r.job, r.text)} - set(symbols))
        series = b"".join(field(5, self._referred(r, symbols)) for r in readings)
        return b"".join(field(4, symbol) for symbol in symbols) + series

    @staticmethod
    def _referred(reading: Reading, symbols: Sequence[str]) -> bytes:
        texts = ("__name__", "contract_gauge", "job", reading.job, "text", reading.text)
        refs = b"".join(varint(symbols.index(text)) for text in texts)
        return field(1, refs) + field(2, field(1, reading.value) + field(2, reading.t_ms))
