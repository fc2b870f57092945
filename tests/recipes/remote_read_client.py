"""A remote read client: writes requests, reads both forms of answer, decodes XOR and float histogram chunks.

Written from the formats' documents, not from the code under test.
"""

from __future__ import annotations

import http.client
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as kept
from urllib.parse import urlparse

import cramjam
import google_crc32c
from protobuf_fields import field

from obs.remote_write import wire

SAMPLES, CHUNKS = 0, 1
Matcher = tuple[int, str, str]  # type, name, value
Sample = tuple[int, float]


def query(start_ms: int, end_ms: int, *matchers: Matcher) -> bytes:
    """A Query."""
    given = b"".join(field(3, field(1, t) + field(2, n.encode()) + field(3, v.encode())) for t, n, v in matchers)
    return field(1, start_ms) + field(2, end_ms) + given


def request(queries: Sequence[bytes], accepted: Sequence[int] = ()) -> bytes:
    """A ReadRequest, packed."""
    body = b"".join(field(1, q) for q in queries) + b"".join(field(2, a) for a in accepted)
    return bytes(cramjam.snappy.compress_raw(body))


def ask(url: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer."""
    connection = http.client.HTTPConnection(urlparse(url).netloc, timeout=60)
    headers = {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Read-Version": "0.1.0",
    }  # fmt: skip
    connection.request("POST", "/api/v1/read", body, headers)
    response = connection.getresponse()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


@dataclass
class Series:
    """What was read of a series: floats, and of histograms their time, count, sum and counts by bucket index."""

    labels: dict[str, str]
    samples: list[Sample] = kept(default_factory=list)
    histograms: list[tuple[int, float, float, dict[int, float]]] = kept(default_factory=list)
    chunks: list[tuple[int, int, int, bytes]] = kept(default_factory=list)  # type, min, max, data


def read_samples(body: bytes) -> list[list[Series]]:
    """The series of each query of a ReadResponse."""
    message = bytes(cramjam.snappy.decompress_raw(body))
    return [
        [_time_series(wire.raw(series)) for _, series in wire.fields(wire.raw(result))]
        for _, result in wire.fields(message)
    ]


def _time_series(data: bytes) -> Series:
    found = Series({})
    for number, value in wire.fields(data):
        if number == 1:
            _add_label(found, wire.raw(value))
        elif number == 2:
            sample = dict(wire.fields(wire.raw(value)))
            found.samples.append((wire.signed(sample.get(2, 0)), wire.double(sample.get(1, 0))))
        elif number == 4:
            found.histograms.append(_histogram(wire.raw(value)))
    return found


def _add_label(found: Series, data: bytes) -> None:
    pair = dict(wire.fields(data))
    found.labels[wire.text(pair.get(1, b"")) or ""] = wire.text(pair.get(2, b"")) or ""


def _histogram(data: bytes) -> tuple[int, float, float, dict[int, float]]:
    one, spans, counts = {}, [], []
    for number, value in wire.fields(data):
        if number == 11:
            span = dict(wire.fields(wire.raw(value)))
            spans.append((wire.zigzag(span.get(1, 0)), wire.integer(span.get(2, 0))))
        elif number == 13:
            counts += wire.doubles(value)
        else:
            one[number] = value
    return wire.signed(one[15]), wire.double(one[2]), wire.double(one[3]), by_index(spans, counts)


def by_index(spans: Sequence[tuple[int, int]], counts: Sequence[float]) -> dict[int, float]:
    """Counts by bucket index."""
    found, index, given = {}, 0, iter(counts)
    for offset, length in spans:
        index += offset
        for _ in range(length):
            found[index] = next(given)
            index += 1
    return found


def read_frames(body: bytes) -> list[tuple[int, Series]]:
    """(query index, series) of each frame of a stream; a wrong checksum fails."""
    at, found = 0, []
    while at < len(body):
        size, at = wire.varint(body, at)
        crc, data = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 4 + size]
        assert len(data) == size and google_crc32c.value(data) == crc
        at += 4 + size
        fields = dict(wire.fields(data))
        found.append((wire.integer(fields.get(2, 0)), _chunked_series(wire.raw(fields[1]))))
    return found


def _chunked_series(data: bytes) -> Series:
    found = Series({})
    for number, value in wire.fields(data):
        if number == 1:
            _add_label(found, wire.raw(value))
            continue
        chunk = dict(wire.fields(wire.raw(value)))
        kind, payload = wire.integer(chunk[3]), wire.raw(chunk[4])
        first, last = wire.signed(chunk.get(1, 0)), wire.signed(chunk.get(2, 0))
        found.chunks.append((kind, first, last, payload))
        times: list[int]
        if kind == 1:
            samples = list(xor_samples(payload))
            found.samples += samples
            times = [t for t, _ in samples]
        else:
            assert kind == 3
            found.histograms.append(float_histogram(payload))
            times = [found.histograms[-1][0]]
        assert (first, last) == (times[0], times[-1])
    return found


class BitReader:
    """Bits of a text of bytes, the highest first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, width: int) -> int:
        assert width <= self._left, "the chunk is cut off"
        self._left -= width
        return self._value >> self._left & (1 << width) - 1

    def signed(self, width: int) -> int:
        """Two's complement, but that the highest value is positive."""
        value = self.take(width)
        return value - (1 << width) if value > 1 << (width - 1) else value

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(8)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def ones(self, most: int) -> int:
        n = 0
        while n < most and self.take(1):
            n += 1
        return n

    def double(self) -> float:
        return struct.unpack(">d", self.take(64).to_bytes(8, "big"))[0]


def xor_samples(data: bytes) -> Iterator[Sample]:
    """The samples of an XOR chunk."""
    reader, count = BitReader(data[2:]), int.from_bytes(data[:2], "big")
    delta = leading = trailing = 0
    zigzag = reader.varint()
    t, bits = (zigzag >> 1) ^ -(zigzag & 1), reader.take(64)
    for i in range(count):
        if i == 1:
            delta = reader.varint()
        elif i > 1:
            width = (0, 14, 17, 20, 64)[reader.ones(4)]
            delta += reader.signed(width) if width else 0
        if i:
            t += delta
            if reader.take(1):
                if reader.take(1):
                    leading = reader.take(5)
                    trailing = 64 - leading - (reader.take(6) or 64)
                bits ^= reader.take(64 - leading - trailing) << trailing
        yield t, struct.unpack(">d", bits.to_bytes(8, "big"))[0]


WIDTHS = (0, 3, 6, 9, 12, 18, 25, 56, 64)


def float_histogram(data: bytes) -> tuple[int, float, float, dict[int, float]]:
    """The one sample of a float histogram chunk: its time, count, sum, counts by index of the positive side."""
    assert int.from_bytes(data[:2], "big") == 1
    reader = BitReader(data[3:])
    if reader.take(8) == 255:
        reader.take(64)
    schema = _varbit(reader)
    spans = [_spans(reader) for _ in range(2)]
    if schema == -53:
        for _ in range(_varbit(reader, signed=False)):
            if not _varbit(reader, signed=False):
                reader.take(64)
    t_ms = _varbit(reader)
    count, _, total = (reader.double() for _ in range(3))
    counts = [reader.double() for _ in range(sum(length for _, length in spans[0]))]
    return t_ms, count, total, by_index(spans[0], counts)


def _varbit(reader: BitReader, signed: bool = True) -> int:
    width = WIDTHS[reader.ones(8)]
    if not width:
        return 0
    if width == 64:
        value = reader.take(64)
        return value - (1 << 64) if signed and value >> 63 else value
    return reader.signed(width) if signed else reader.take(width)


def _spans(reader: BitReader) -> list[tuple[int, int]]:
    found = []
    for _ in range(_varbit(reader, signed=False)):
        length = _varbit(reader, signed=False)
        found.append((_varbit(reader), length))
    return found
