"""What do very many series cost: memory, label queries, a rate over one metric, a restart?

Starts obs on an empty folder, writes `--series` series by remote write for `--minutes` of simulated time at 15 s, asks,
and starts it again. Run: python bench/bench_million_series.py [--series 1000000] [--minutes 10] [--metrics 100]
"""

from __future__ import annotations

import argparse
import http.client
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import cramjam

STEP_S = 15
BODY_SERIES = 5_000
PORT = 9640


def varint(n: int) -> bytes:
    """A protobuf varint."""
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return bytes([number << 3 | 2]) + varint(len(payload)) + payload


def labels(i: int, metrics: int) -> bytes:
    """The labels of a series as a TimeSeries has them."""
    pairs = {
        "__name__": f"app_requests_{i % metrics}_total",
        "code": str(200 + i % 3 * 100),
        "instance": f"10.{i // 65536 % 256}.{i // 256 % 256}.{i % 256}:9100",
        "job": f"svc-{i % 20}",
        "pod": f"svc-{i % 20}-{i // metrics:06x}",
    }
    return b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(pairs.items()))


def bodies(known: list[bytes], start_s: int, points: int) -> Iterator[bytes]:
    """WriteRequests, one scrape after the other."""
    for point in range(points):
        t_ms = varint((start_s + point * STEP_S) * 1000)
        for low in range(0, len(known), BODY_SERIES):
            sample = [
                field(2, b"\x09" + struct.pack("<d", point * (1 + (low + i) % 7)) + b"\x10" + t_ms)
                for i in range(len(known[low : low + BODY_SERIES]))
            ]
            series = [ls + s for ls, s in zip(known[low : low + BODY_SERIES], sample, strict=True)]
            yield bytes(cramjam.snappy.compress_raw(b"".join(field(1, each) for each in series)))


def send(source: Iterator[bytes]) -> int:
    """Post every body by two threads; returns how many were refused."""
    lock, refused = threading.Lock(), [0]
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
        while True:
            with lock:
                body = next(source, None)
            if body is None:
                return
            for _ in range(50):
                connection.request("POST", "/api/v1/write", body, headers)
                response = connection.getresponse()
                response.read()
                if response.status < 300:
                    break
                refused[0] += 1
                time.sleep(0.2)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused[0]


class Server:
    """obs on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        began = time.perf_counter()
        ports = ["--listen", f"127.0.0.1:{PORT}", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]
        argv = [sys.executable, "-m", "obs.cli.main", "up", "--data", str(folder), "--no-agent", *ports]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        while not self._ready():
            time.sleep(0.05)
        self.ready_s = time.perf_counter() - began

    def _ready(self) -> bool:
        try:
            return self.get("/-/ready")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()

    def memory_mb(self, key: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(key)).split()[1]) // 1024

    def ask(self, path: str) -> str:
        took, size = [], 0
        for _ in range(5):
            began = time.perf_counter()
            status, body = self.get(path)
            took.append((time.perf_counter() - began) * 1e3)
            assert status == 200, body[:300]
            size = len(body)
        return f"{took[0]:8.1f} first {min(took):8.1f} best of five  {size:,} bytes"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)


def questions(start_s: int, end_s: int) -> dict[str, str]:
    span = f"start={start_s}&end={end_s}"
    rate = quote("sum by (job) (rate(app_requests_1_total[5m]))")
    return {
        "label names": f"/api/v1/labels?{span}",
        "metric names": f"/api/v1/label/__name__/values?{span}",
        "jobs": f"/api/v1/label/job/values?{span}",
        "instances of a metric": f"/api/v1/label/instance/values?{span}&match[]=app_requests_1_total",
        "rate of one metric": f"/api/v1/query_range?{span}&step=60&nocache=1&query={rate}",
        "the same, kept": f"/api/v1/query_range?{span}&step=60&query={rate}",
        "instant of one metric": f"/api/v1/query?time={end_s}&query=" + quote("sum(app_requests_1_total)"),
        "count of everything": f"/api/v1/query?time={end_s}&query=" + quote('count({__name__=~"app_.*"})'),
        "series, the first 1,000": f"/api/v1/series?{span}&limit=1000&match[]=" + quote('{__name__=~"app_.*"}'),
        "status/tsdb": "/api/v1/status/tsdb",
    }


FIRST = ("rate of one metric", "instances of a metric", "jobs")
"""Each is also asked as the first question after a start of its own."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--metrics", type=int, default=100)
    given = parser.parse_args()
    points = given.minutes * 60 // STEP_S
    known = [labels(i, given.metrics) for i in range(given.series)]
    start_s = int(time.time()) - points * STEP_S
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            began = time.perf_counter()
            refused = send(bodies(known, start_s, points))
            spent = time.perf_counter() - began
            samples = given.series * points
            print(f"sent {samples:,} samples in {spent:.0f} s ({samples / spent:,.0f}/s), put off {refused} times")
            print(f"memory {server.memory_mb('VmRSS')} MB, at most {server.memory_mb('VmHWM')} MB")
            for name, path in questions(start_s, start_s + points * STEP_S).items():
                print(f"{name:24}{server.ask(path)}")
            server.stop()
            server = Server(Path(folder))
            print(f"ready again after {server.ready_s:.1f} s")
            for name, path in questions(start_s, start_s + points * STEP_S).items():
                print(f"{name:24}{server.ask(path)}")
            print(f"memory {server.memory_mb('VmRSS')} MB, at most {server.memory_mb('VmHWM')} MB")
            for name in FIRST:
                server.stop()
                server = Server(Path(folder))
                print(f"{name:24}{server.ask(questions(start_s, start_s + points * STEP_S)[name])}  asked first")
        finally:
            server.stop()
        used = sum(f.stat().st_blocks * 512 for f in Path(folder).rglob("*") if f.is_file())
        print(f"on disk {used / 1e6:.0f} MB, {used / samples:.2f} bytes a sample")


if __name__ == "__main__":
    main()
