"""Generated log records of a shop as OTLP bodies: some millions a minute, the same ones for the same seed.

usage: shop_logs.py FOLDER [--records N] [--hours H] [--seed S]
Writes FOLDER/logs-NNNNNN.pb (2,000 records each) and totals.json; a folder that holds as many records of that seed is
left as it is. The last record is of the last full hour.
A shop: 14 services of 3 instances, seven kinds of lines, ids of traces and spans,
two attributes. `RARE` stands in ten of them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BODY_RECORDS = 2_000
CHUNK_RECORDS = 100_000
TRACE_RECORDS = 9
RARE = "quartzbadger"
RARE_RECORDS = 10
HOUR_S = 3600

SERVICES = (
    "frontend", "checkout", "cart", "catalog", "recommendation", "payment", "shipping", "ad", "email", "currency",
    "valkey", "postgres", "bank-gateway", "quote",
)  # fmt: skip
INSTANCES = 3
ROUTES = pa.array(["/", "/cart", "/checkout", "/product/{id}", "/api/recommendations", "/api/ads", "/login"])
SEVERITIES = {9: b"INFO", 13: b"WARN", 17: b"ERROR"}
Bytes = npt.NDArray[np.uint8]


def varint(n: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def attribute(number: int, key: str, value: str) -> bytes:
    """A text attribute as a KeyValue."""
    return field(number, field(1, key.encode()) + field(2, field(1, value.encode())))


VARINTS = pa.array([varint(n) for n in range(1 << 14)], pa.binary())


def resources() -> list[bytes]:
    """The Resource of each stream."""
    rng = np.random.default_rng(1)
    found = []
    for service in SERVICES:
        for i in range(INSTANCES):
            pairs = {
                "service.name": service, "service.namespace": "shop", "service.instance.id": f"{service}-{i}",
                "service.version": "1.4.2", "host.name": f"node-{i}", "k8s.pod.name": f"{service}-7d9f-{i}",
                "container.id": rng.bytes(32).hex(), "telemetry.sdk.language": "python",
            }  # fmt: skip
            found.append(field(1, b"".join(attribute(1, k, v) for k, v in pairs.items())))
    return found


def _text(values: npt.NDArray[Any]) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _hex(rng: np.random.Generator, rows: int, width: int) -> pa.Array:
    raw = np.frombuffer(rng.bytes(rows * width // 2).hex().encode(), np.uint8)
    return fixed(raw.reshape(rows, width)).cast(pa.string())


def fixed(rows: Bytes) -> pa.Array:
    """Rows of bytes as a binary array."""
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))]
    ).cast(pa.binary())


def joined(parts: list[pa.Array | str | bytes], kind: pa.DataType) -> pa.Array:
    """Row-wise concatenation."""
    scalars = [p if isinstance(p, pa.Array) else pa.scalar(p, kind) for p in parts]
    return pc.binary_join_element_wise(*scalars, pa.scalar("" if kind == pa.string() else b"", kind))


def lines(rng: np.random.Generator, codes: npt.NDArray[np.int64], first: int, total: int) -> pa.Array:
    """The text of each record: one of seven kinds."""
    rows = len(codes)

    def number(top: int) -> pa.Array:
        return _text(rng.integers(0, top, rows))

    ms = _text(rng.lognormal(1.2, 1.0, rows).astype(np.int64))
    route = ROUTES.take(pa.array(rng.integers(0, len(ROUTES), rows)))
    user, item, shard, order, few = number(20_000), number(5_000), number(8), number(1 << 32), number(5)
    amount = joined([number(500), ".", _text(rng.integers(10, 100, rows))], pa.string())
    host = joined(["10.0.", shard, ".", number(255)], pa.string())
    code = _text(codes)
    kinds = [
        ["GET ", route, " ", code, " took ", ms, "ms user=", user, " session=", _hex(rng, rows, 16)],
        ["cache miss for key item:", item, " shard=", shard, ", falling back to primary"],
        ["order ", order, " placed by user ", user, ": ", few, " items, total ", amount, " EUR"],
        ["payment authorised order=", order, " amount=", amount, " provider=visa latency_ms=", ms],
        ["slow query (", ms, " ms): SELECT * FROM products WHERE id = ", item, " AND region = 'eu-", shard, "'"],
        ['{"level":"info","msg":"request done","route":"', route, '","status":', code, ',"duration_ms":', ms,
         ',"user":"', user, '"}'],
        ["connection to ", host, ":5432 reset by peer, retry ", few, " of 5"],
    ]  # fmt: skip
    kind = pa.array(rng.integers(0, len(kinds), rows))
    text = pc.choose(kind, *(joined(list(parts), pa.string()) for parts in kinds))
    return pc.if_else(rare_rows(first, rows, total), joined([text, " ", RARE], pa.string()), text)


def rare_rows(first: int, rows: int, total: int) -> pa.Array:
    """Which of the records first : first + rows hold the rare word."""
    every = max(1, total // RARE_RECORDS)
    return pa.array((first + np.arange(rows)) % every == every // 2)


def records(
    rng: np.random.Generator,
    times: npt.NDArray[np.int64],
    streams: npt.NDArray[np.int64],
    traces: npt.NDArray[np.int64],
    first: int,
    total: int,
) -> pa.Array:
    """Each record as a LogRecord within its ScopeLogs: binary[rows]; those of one trace have its number."""
    rows = len(times)
    chance = rng.random(rows)
    codes = np.where(chance > 0.02, 200, rng.choice(np.array([404, 500, 503]), rows))
    severity = np.where(codes >= 500, 17, np.where(codes == 404, 13, 9))
    heads = {n: varint(2 << 3) + varint(n) + field(3, word) for n, word in SEVERITIES.items()}
    head = pa.array([heads[n] for n in SEVERITIES], pa.binary()).take(pa.array(np.searchsorted([9, 13, 17], severity)))
    text = lines(rng, codes, first, total).cast(pa.binary())
    size = pc.binary_length(text)
    value = joined([b"\x0a", VARINTS.take(size), text], pa.binary())  # AnyValue.string_value
    worker = pa.array([attribute(6, "thread", f"worker-{i}") for i in range(16)], pa.binary())
    logger = pa.array([attribute(6, "logger", f"shop.{s}") for s in SERVICES], pa.binary())
    stamp = fixed(times.reshape(-1, 1).view(np.uint8))
    trace = np.frombuffer(rng.bytes((int(traces.max()) + 1) * 16), np.uint8).reshape(-1, 16)[traces]
    span = np.frombuffer(rng.bytes(rows * 8), np.uint8).reshape(-1, 8)
    record = joined(
        [
            b"\x09", stamp, head, b"\x2a", VARINTS.take(pc.binary_length(value)), value,
            worker.take(pa.array(rng.integers(0, 16, rows))), logger.take(pa.array(streams // INSTANCES)),
            b"\x4a\x10", fixed(trace), b"\x52\x08", fixed(span), b"\x59", stamp,
        ],
        pa.binary(),
    )  # fmt: skip
    return joined([b"\x12", VARINTS.take(pc.binary_length(record)), record], pa.binary())


def bodies(total: int, seed: int, start_ns: int, end_ns: int) -> Iterator[bytes]:
    """ExportLogsServiceRequests of 2,000 records, in the order of time."""
    owners, scope = resources(), field(1, field(1, b"shop.instrumentation") + field(2, b"0.1"))
    for first in range(0, total, CHUNK_RECORDS):
        rows = min(CHUNK_RECORDS, total - first)
        rng = np.random.default_rng((seed, first))
        at = (first + np.arange(rows) + rng.random(rows)) / total
        times = start_ns + (at * (end_ns - start_ns)).astype(np.int64)
        streams = rng.integers(0, len(owners), rows)
        order = np.lexsort((times, streams, np.arange(rows) // BODY_RECORDS))  # a body has its records by resource
        times, streams = times[order], streams[order]
        found = records(rng, times, streams, order // TRACE_RECORDS, first, total)
        offsets = np.frombuffer(found.buffers()[1], np.int32, rows + 1)
        data = memoryview(found.buffers()[2])
        for low in range(0, rows, BODY_RECORDS):
            own = streams[low : low + BODY_RECORDS]
            edges = [*(np.flatnonzero(np.diff(own, prepend=-1)) + low).tolist(), low + len(own)]
            groups = itertools.pairwise(edges)
            yield b"".join(
                field(1, owners[streams[a]] + field(2, scope + bytes(data[offsets[a] : offsets[b]]))) for a, b in groups
            )


def make(folder: Path, total: int, hours: float = 6.0, seed: int = 7) -> dict[str, int]:
    """Fill a folder, unless it holds the same already; returns its totals, times in nanoseconds."""
    known = folder / "totals.json"
    if known.exists():
        totals: dict[str, int] = json.loads(known.read_text())
        if (totals["logs"], totals["seed"], totals.get("hours")) == (total, seed, hours):
            return totals
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("logs-*.pb"):
        old.unlink()
    end = int(time.time()) // HOUR_S * HOUR_S * 10**9
    start = end - int(hours * HOUR_S * 10**9)
    for i, body in enumerate(bodies(total, seed, start, end)):
        (folder / f"logs-{i:06d}.pb").write_bytes(body)
    totals = {"logs": total, "seed": seed, "hours": hours, "start": start, "end": end}  # type: ignore[dict-item]
    known.write_text(json.dumps(totals))
    return totals


def main() -> None:
    """Write the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=20_000_000)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    print(json.dumps(make(given.folder, given.records, given.hours, given.seed)))


if __name__ == "__main__":
    main()
