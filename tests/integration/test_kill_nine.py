"""SIGKILL in the middle of a load, again and again: every acknowledged item is there exactly once afterwards.

`OBS_KILL_ITEMS` and `OBS_KILL_TIMES` set the size (the full proof: 500000 and 10); the moments are random, the seed is
printed with a failure.
"""

from __future__ import annotations

import http.client
import io
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pyarrow as pa
from obs_process import ObsProcess, eventually
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ITEMS = int(os.environ.get("OBS_KILL_ITEMS", "30000"))
TIMES = int(os.environ.get("OBS_KILL_TIMES", "2"))
PER_BODY = 500
START_NS = time.time_ns() - 3_600_000_000_000  # an hour ago: within any retention


def traces_body(first: int) -> bytes:
    """Spans numbered from `first` in the attribute `seq`."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "kill"
    spans = resource.scope_spans.add().spans
    for n in range(first, first + PER_BODY):
        span = spans.add(trace_id=(n // 10 + 1).to_bytes(16, "big"), span_id=(n + 1).to_bytes(8, "big"), name="op")
        span.start_time_unix_nano, span.end_time_unix_nano = START_NS + n * 1000, START_NS + n * 1000 + 500
        span.attributes.add(key="seq").value.int_value = n
    return request.SerializeToString()


def logs_body(first: int) -> bytes:
    """Records numbered from `first`."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "kill"
    records = resource.scope_logs.add().log_records
    for n in range(first, first + PER_BODY):
        record = records.add(time_unix_nano=START_NS + n * 1000)
        record.body.string_value = f"record number {n}"
        record.attributes.add(key="seq").value.int_value = n
    return request.SerializeToString()


def metrics_body(first: int) -> bytes:
    """One point of each of PER_BODY series; the value is the number."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "kill"
    points = resource.scope_metrics.add().metrics.add(name="kill_gauge").gauge.data_points
    for n in range(first, first + PER_BODY):
        point = points.add(time_unix_nano=START_NS + first * 1_000_000, as_double=float(n))
        point.attributes.add(key="shard").value.string_value = str(n - first)
    return request.SerializeToString()


class Sender:
    """Two threads that send each body once and remember which were acknowledged."""

    def __init__(self, signal: str, make: Callable[[int], bytes]) -> None:
        self._path = f"/v1/{signal}"
        self._make = make
        self._next = iter(range(0, ITEMS, PER_BODY))
        self._lock = threading.Lock()
        self.acknowledged: set[int] = set()
        self.tried: set[int] = set()

    @property
    def finished(self) -> bool:
        """Whether every body was tried."""
        return len(self.tried) * PER_BODY >= ITEMS

    def reached(self, bodies: float, threads: Sequence[threading.Thread]) -> bool:
        """Whether that many bodies were tried, or none of the threads goes on."""
        return len(self.tried) >= bodies or not any(t.is_alive() for t in threads)

    def send(self, url: str) -> list[threading.Thread]:
        """Start sending to `url`; threads end at the first failure."""
        threads = [threading.Thread(target=self._run, args=(url,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        return threads

    def _run(self, url: str) -> None:
        address = urlparse(url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        while True:
            with self._lock:
                first = next(self._next, None)
                if first is None:
                    return
                self.tried.add(first)
            body = self._make(first)
            try:
                connection.request("POST", self._path, body, {"Content-Type": "application/x-protobuf"})
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                return
            assert response.status == 200, response.status
            self.acknowledged.add(first)

    def check(self, counts: np.ndarray, of: str) -> None:
        """Hold what was acknowledged against how often each number is stored."""
        assert self.finished
        acknowledged = np.zeros(ITEMS, bool)
        for first in self.acknowledged:
            acknowledged[first : first + PER_BODY] = True
        lost, doubled = int((counts[acknowledged] == 0).sum()), int((counts > 1).sum())
        assert (lost, doubled) == (0, 0), f"{of}: {lost} lost, {doubled} doubled of {int(acknowledged.sum())}"
        assert acknowledged.sum() > ITEMS * 0.8


STORED = {
    "traces": 'SELECT "attr.seq" AS n FROM spans',
    "logs": 'SELECT "attr.seq" AS n FROM logs',
    "metrics": "SELECT CAST(value AS BIGINT) AS n FROM metrics WHERE metric = 'kill_gauge'",
}


def stored(obs: ObsProcess, signal: str) -> np.ndarray:
    """How often each number is stored: int64[ITEMS]."""
    counts = np.zeros(ITEMS, np.int64)
    step = 900_000
    for low in range(0, ITEMS, step):
        query = f"SELECT n, count(*) AS c FROM ({STORED[signal]}) WHERE n >= {low} AND n < {low + step} GROUP BY n"
        data = obs.client.sql_as(query, "application/vnd.apache.arrow.stream")
        table = pa.ipc.open_stream(io.BytesIO(data)).read_all()
        counts[table["n"].to_numpy()] = table["c"].to_numpy()
    return counts


BODIES = {"traces": traces_body, "logs": logs_body, "metrics": metrics_body}


def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    """Of any signal, while all three are sent at one time."""
    seed = random.randrange(10**9)
    moments = random.Random(seed)
    senders = {signal: Sender(signal, make) for signal, make in BODIES.items()}
    config = tmp_path / "obs.yml"
    rows = f"{{flush_rows: {max(ITEMS // 7, 1000)}}}"
    config.write_text("sql: {timeout: 120}\n" + "".join(f"{signal}: {rows}\n" for signal in senders))
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        for i in range(TIMES):
            aim = (i + moments.random()) * ITEMS / PER_BODY / TIMES
            sending = [(sender, sender.send(obs.url)) for sender in senders.values()]
            for sender, threads in sending:
                eventually(partial(sender.reached, aim, threads), seconds=120)
            obs.kill()
            for _, threads in sending:
                for thread in threads:
                    thread.join()
            obs.start()
        for threads in [sender.send(obs.url) for sender in senders.values()]:
            for thread in threads:
                thread.join()
        for signal, sender in senders.items():
            eventually(partial(recovering, obs, signal), lambda r: r is None, 120)
            sender.check(stored(obs, signal), f"seed {seed}: {signal}")


def recovering(obs: ObsProcess, signal: str) -> float | None:
    """How far a store is with reading its log; None when it has read all of it."""
    return obs.client.status()["stores"][signal]["recovering"]
