"""What logs cost: taking in, keeping and searching them; with a VictoriaLogs beside obs in the same run.

usage: bench_logstore.py [--records N] [--folder LOAD] [--rate R] [--victoria-logs PATH] [--data FOLDER [--ask]]
Makes the load (`shop_logs.py`; kept between runs), starts each server in turn on an empty folder, sends OTLP bodies
with two threads at `--rate` records a second (0: as fast as they are answered), flushes, merges, rests, and asks each
question six times. `--data` keeps the servers' folders there; `--ask` asks what they hold from an earlier run.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import shop_logs

ROOT = Path(__file__).resolve().parents[1]
TICK = os.sysconf("SC_CLK_TCK")
SENDERS = 2
REST_S = 15
KERNELS = {"obs.otlp.kernels", "obs.logstore.kernels"}
ABSENT = "xyzzyabsent"
PHRASE = "reset by peer"
REGEX = "took [0-9]{3,}ms"


@dataclass(frozen=True)
class Question:
    """A question to one server, and how many things its answer found."""

    url: str
    found: Callable[[bytes], float]


@dataclass
class Server:
    """One server: how it is started, fed and asked."""

    name: str
    address: str
    start: list[str]
    ready: str
    ingest: str
    flush: list[str]
    questions: dict[str, Question]
    status: str = ""  # of one that compiles what it runs: tells when it is done
    figures: dict[str, str] = field(default_factory=dict)


def obs(data: Path, port: int, start_ns: int, end_ns: int) -> Server:
    """obs, asked in LogQL."""
    address = f"http://127.0.0.1:{port}"
    loki = f"{address}/loki/api/v1"
    hours = (end_ns - start_ns) // (3600 * 10**9) + 1

    def count(query: str) -> Question:
        return Question(f"{loki}/query?{urlencode({'time': end_ns, 'query': query % hours})}", _loki_sum)

    def lines(query: str, limit: int) -> Question:
        asked = urlencode({"start": start_ns, "end": end_ns, "limit": limit, "query": query})
        return Question(f"{loki}/query_range?{asked}", _loki_lines)

    volume = {"start": start_ns, "end": end_ns, "step": "60s", "query": "sum by (level) (count_over_time({} [1m]))"}
    listen = [f"127.0.0.1:{port + i}" for i in range(3)]
    return Server(
        "obs",
        address,
        [sys.executable, "-m", "obs.cli.main", "up", "--data", str(data), "--no-agent", "--listen", listen[0],
         "--otlp-grpc", listen[1], "--otlp-http", listen[2]],
        f"{address}/-/ready",
        "/v1/logs",
        [f"{address}/internal/flush", f"{address}/internal/force_merge"],
        {
            "absent needle": lines(f'{{}} |= "{ABSENT}"', 10),
            "rare needle, 10 hits": lines(f'{{}} |= "{shop_logs.RARE}"', 100),
            "phrase count": count(f'sum(count_over_time({{}} |= "{PHRASE}" [%dh]))'),
            "regex count": count(f'sum(count_over_time({{}} |~ "{REGEX}" [%dh]))'),
            "errors by service": count(
                'sum by (service_name) (count_over_time({} | detected_level = "error" [%dh]))'
            ),
            "first 100 lines, open-ended": lines("{}", 100),
            "first 100 lines with a phrase": lines(f'{{}} |= "{PHRASE}"', 100),
            "volume histogram": Question(f"{loki}/query_range?{urlencode(volume)}", _loki_cells),
        },
        f"{address}/api/status",
    )  # fmt: skip


def victoria_logs(binary: str, data: Path, port: int, start_ns: int, end_ns: int) -> Server:
    """VictoriaLogs, asked the same in LogsQL."""
    address = f"http://127.0.0.1:{port}"
    span = f"start={start_ns}&end={end_ns}"

    def ask(query: str, found: Callable[[bytes], float], more: str = "") -> Question:
        return Question(f"{address}/select/logsql/query?{span}{more}&query={quote(query)}", found)

    hits = f"{address}/select/logsql/hits?{span}&step=1m&field=severity_text&query=%2A"
    return Server(
        "VictoriaLogs",
        address,
        [binary, f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=10y"],
        f"{address}/health",
        "/insert/opentelemetry/v1/logs",
        [f"{address}/internal/force_flush", f"{address}/internal/force_merge"],
        {
            "absent needle": ask(f'"{ABSENT}"', _victoria_lines, "&limit=10"),
            "rare needle, 10 hits": ask(f'"{shop_logs.RARE}"', _victoria_lines, "&limit=100"),
            "phrase count": ask(f'"{PHRASE}" | stats count() n', _victoria_sum),
            "regex count": ask(f'~"{REGEX}" | stats count() n', _victoria_sum),
            "errors by service": ask("severity_text:=ERROR | stats by (service.name) count() n", _victoria_sum),
            "first 100 lines, open-ended": ask("*", _victoria_lines, "&limit=100"),
            "first 100 lines with a phrase": ask(f'"{PHRASE}"', _victoria_lines, "&limit=100"),
            "volume histogram": Question(hits, _victoria_hits),
        },
    )


def _loki_lines(body: bytes) -> float:
    return sum(len(s["values"]) for s in json.loads(body)["data"]["result"])


def _loki_sum(body: bytes) -> float:
    return sum(float(s["value"][1]) for s in json.loads(body)["data"]["result"])


def _loki_cells(body: bytes) -> float:
    return sum(float(v) for s in json.loads(body)["data"]["result"] for _, v in s["values"])


def _victoria_lines(body: bytes) -> float:
    return len(body.splitlines())


def _victoria_sum(body: bytes) -> float:
    return sum(float(json.loads(line)["n"]) for line in body.splitlines())


def _victoria_hits(body: bytes) -> float:
    return sum(h["total"] for h in json.loads(body)["hits"])


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def cpu_s(pid: int) -> float:
    """CPU time so far."""
    stats = (Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split() for p in tree(pid))
    return sum(int(s[11]) + int(s[12]) for s in stats) / TICK


def peak_mb(pid: int) -> int:
    """Greatest resident memory so far."""
    lines = (line for p in tree(pid) for line in Path(f"/proc/{p}/status").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) >> 10


def get(url: str, timeout_s: float = 600) -> bytes:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return bytes(answer.read())


def paced(paths: list[Path], rate: int) -> Iterator[Path]:
    """The bodies, no faster than so many records a second."""
    began = time.monotonic()
    for i, path in enumerate(paths):
        if rate:
            time.sleep(max(0.0, began + i * shop_logs.BODY_RECORDS / rate - time.monotonic()))
        yield path


def send(server: Server, source: Iterator[Path]) -> int:
    """Post every body; returns how many were refused for good."""
    lock, refused = threading.Lock(), [0]
    host = server.address.removeprefix("http://")

    def work() -> None:
        connection = http.client.HTTPConnection(host, timeout=300)
        while True:
            with lock:
                path = next(source, None)
            if path is None:
                return
            data = path.read_bytes()
            for _ in range(50):
                connection.request("POST", server.ingest, data, {"Content-Type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                if answer.status < 300:
                    break
                time.sleep(0.2)
            else:
                refused[0] += 1

    threads = [threading.Thread(target=work) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused[0]


def wait_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Until it answers. Raises: SystemExit."""
    began = time.monotonic()
    while time.monotonic() - began < 300 and process.poll() is None:
        try:
            get(server.ready, 2)
            if not server.status or set(json.loads(get(server.status))["kernels"]["done"]) >= KERNELS:
                return
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.1)
    raise SystemExit(f"{server.name} did not start")


def take_in(server: Server, pid: int, load: Path, records: int, rate: int, data: Path) -> None:
    """Send the load; what it cost."""
    paths = sorted(load.glob("logs-*.pb"))
    before, began = cpu_s(pid), time.monotonic()
    refused = send(server, paced(paths, rate))
    took = time.monotonic() - began
    server.figures["memory peak while taking in"] = f"{peak_mb(pid):,} MB"
    for url in server.flush:
        get(url)
    time.sleep(REST_S)
    size = sum(f.stat().st_blocks * 512 for f in data.rglob("*") if f.is_file())
    server.figures |= {
        "records/s": f"{records / took:,.0f}",
        "CPU s per M records": f"{(cpu_s(pid) - before) / records * 1e6:.2f}",
        "bytes on disk per record": f"{size / records:.1f}",
        "bodies refused": str(refused),
    }
    print(json.dumps({server.name: server.figures}), flush=True)


def run_s(pid: int) -> float:
    """CPU time so far, finer than `cpu_s`, of threads that live. Source: proc(5), schedstat."""
    tasks = (task for p in tree(pid) for task in Path(f"/proc/{p}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def ask(server: Server, pid: int) -> None:
    """Every question six times: the first, the best of the rest, and the CPU time that one of these takes."""
    for name, question in server.questions.items():
        times, found = [], 0.0
        before = 0.0
        for i in range(6):
            before = run_s(pid) if i == 1 else before
            began = time.perf_counter()
            body = get(question.url)
            times.append((time.perf_counter() - began) * 1e3)
            found = question.found(body)
        spent = (run_s(pid) - before) / 5 * 1e3
        server.figures[name] = f"{times[0]:,.1f}, {min(times[1:]):,.1f}, {spent:,.1f} ({found:,.0f})"
        print(f"{server.name}: {name}: {server.figures[name]}", flush=True)


def run(server: Server, data: Path, load: Path, totals: dict[str, Any], rate: int, only_ask: bool) -> None:
    """Start, feed, ask, stop."""
    if not only_ask:
        shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True, exist_ok=True)
    with Path(f"{data}.log").open("wb") as log:
        process = subprocess.Popen(server.start, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_ready(server, process)
        if not only_ask:
            take_in(server, process.pid, load, totals["logs"], rate, data)
        ask(server, process.pid)
        server.figures["memory peak with questions"] = f"{peak_mb(process.pid):,} MB"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)


def show(servers: list[Server], totals: dict[str, Any]) -> None:
    """A table with a column a server."""
    print(f"\n{totals['logs']:,} records over {totals['hours']:g} h")
    print("questions in ms: first, best of five more, CPU of one (found)\n")
    print("| | " + " | ".join(s.name for s in servers) + " |\n|---|" + "---|" * len(servers))
    for name in dict.fromkeys(n for s in servers for n in s.figures):
        print(f"| {name} | " + " | ".join(s.figures.get(name, "") for s in servers) + " |")


def main() -> None:
    """Make the load, run the servers, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "obs-bench-shop-logs")
    parser.add_argument("--records", type=int, default=20_000_000)
    parser.add_argument("--rate", type=int, default=100_000)
    parser.add_argument("--victoria-logs", default="", help="path of its binary")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ask", action="store_true")
    parser.add_argument("--only", default="", help="one of the servers")
    parser.add_argument("--port", type=int, default=9640)
    given = parser.parse_args()
    totals = shop_logs.make(given.folder, given.records)
    span = totals["start"], totals["end"]
    data = given.data or Path(tempfile.mkdtemp(prefix="obs-bench-"))
    servers = [(obs(data / "obs", given.port, *span), data / "obs")]
    if given.victoria_logs:
        peer = data / "victoria-logs"
        servers.append((victoria_logs(given.victoria_logs, peer, given.port + 3, *span), peer))
    servers = [s for s in servers if given.only in ("", s[0].name)]
    for server, folder in servers:
        run(server, folder, given.folder, totals, given.rate, given.ask)
    show([server for server, _ in servers], totals)
    if given.data is None:
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
