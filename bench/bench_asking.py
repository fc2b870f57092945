"""What questions cost while data arrives: a paced sender, a head of some size, each question again and again.

    python bench/bench_asking.py traces|logs BODIES [--head N ...] [--rate N] [--seconds N] [--late S] [--cwd FOLDER]

BODIES: a folder of OTLP bodies, traces-*.pb and logs-*.pb, some thousand items each. They are sent with times of now
and other trace ids each time round; spans of every other resource come after as many others as `late` seconds bring, so
that traces arrive in parts. Prints median and worst milliseconds, and what the server used, also while not asked.
The server listens on three ports from OBS_BENCH_PORT on, 21810 where that is not set.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from side_bodies import Body, read_body

PORT = int(os.environ.get("OBS_BENCH_PORT", "21810"))
BASE_ENV = {**os.environ}
CONFIG = """
{signal}: {{flush_bytes: 2GiB, flush_rows: 100000000, memory_limit: 4GiB, flush_age: 10h}}
"""


def request(port: int, method: str, path: str, body: bytes | None = None, type_: str = "application/json") -> bytes:
    """One answer. Raises: RuntimeError where it is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, body, {"Content-Type": type_})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
    return text


class Sender:
    """Sends bodies as fast as asked, in a process of its own; `sent` counts items, `last` is the number of a body."""

    def __init__(self, signal: str, bodies: list[Body], late: int) -> None:
        self.signal, self.bodies, self.late = signal, bodies, late  # `late`: in bodies
        self.rate = multiprocessing.Value("d", 0.0)
        self.sent = multiprocessing.Value("q", 0)
        self.last = multiprocessing.Value("q", -1)
        self.process = multiprocessing.Process(target=self._run, daemon=True)
        self.process.start()

    def trace_id(self) -> str:
        """Of a span in the body sent last."""
        number = self.last.value
        return self.bodies[number % len(self.bodies)].trace_id(number // len(self.bodies)).hex()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT + 2, timeout=120)
        waiting: deque[bytes] = deque()
        due = time.monotonic()
        for number in itertools.count():
            while not self.rate.value:
                time.sleep(0.01)
                due = time.monotonic()
            body = self.bodies[number % len(self.bodies)]
            now, later = body.parts(number // len(self.bodies), time.time_ns())
            self._post(connection, now)
            waiting.append(later)
            if len(waiting) > self.late:
                self._post(connection, waiting.popleft())
            self.last.value = number
            self.sent.value += body.items
            due = max(due + body.items / self.rate.value, time.monotonic() - 1)
            time.sleep(max(due - time.monotonic(), 0))

    def _post(self, connection: http.client.HTTPConnection, part: bytes) -> None:
        while True:
            connection.request("POST", f"/v1/{self.signal}", part, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            if answer.status < 300:
                return
            time.sleep(0.2)


def trace_questions(sender: Sender) -> dict[str, Callable[[], bytes]]:
    """By what they are called."""

    def get(path: str) -> Callable[[], bytes]:
        return lambda: request(PORT, "GET", path + f"&start={time.time_ns() - 900 * 10**9}&end={time.time_ns()}")

    def tempo(path: str) -> Callable[[], bytes]:
        return lambda: request(PORT, "GET", f"{path}&start={int(time.time()) - 900}&end={int(time.time()) + 1}")

    sql = quote("SELECT count(*) FROM spans")
    structural = quote('{ resource.service.name = "frontend" } >> { status = error }')
    return {
        "20 newest traces of a service": get("/api/traces/search?service=checkout&limit=20"),
        "by a tag": get(f"/api/traces/search?tags={quote('user.id=u77')}&limit=20"),
        "slower than 200 ms": get("/api/traces/search?minDuration=200ms&limit=20"),
        "longest 20": get("/api/traces/search?order=duration&limit=20"),
        "a trace just sent, by id": lambda: request(PORT, "GET", f"/api/traces/{sender.trace_id()}"),
        "TraceQL, structural": tempo(f"/tempo/api/search?limit=20&q={structural}"),
        "TraceQL, rate by service": tempo(
            f"/tempo/api/metrics/query_range?step=60&q={quote('{} | rate() by (resource.service.name)')}"
        ),
        "service graph": get("/api/traces/graph?limit=20"),
        "services": lambda: request(PORT, "GET", "/jaeger/api/services"),
        "values of a tag": tempo("/tempo/api/v2/search/tag/span.http.route/values?limit=100"),
        "SQL, count": lambda: request(PORT, "GET", f"/api/sql?q={sql}"),
    }


def log_questions(sender: Sender) -> dict[str, Callable[[], bytes]]:
    """By what they are called."""

    def loki(path: str, query: str = "") -> Callable[[], bytes]:
        asked = f"&query={quote(query)}" if query else ""
        return lambda: request(
            PORT, "GET", f"/loki/api/v1/{path}start={time.time_ns() - 900 * 10**9}&end={time.time_ns()}{asked}"
        )

    sql = quote("SELECT count(*) FROM logs")
    return {
        "first 100 lines": loki("query_range?limit=100&", '{service_name=~".+"}'),
        "first 100 with a filter": loki("query_range?limit=100&", '{service_name=~".+"} |= "reset by peer"'),
        "needle that is absent": loki("query_range?limit=100&", '{service_name=~".+"} |= "xyzzyabsent"'),
        "lines in a minute": loki("query_range?step=60&", 'sum(count_over_time({service_name=~".+"} [1m]))'),
        "phrase count, 15 min": loki("query_range?step=60&", 'sum(count_over_time({} |= "reset by peer" [15m]))'),
        "errors by service": loki(
            "query_range?step=60&", 'sum by (service_name) (count_over_time({} | detected_level="error" [15m]))'
        ),
        "values of a label": loki("label/service_name/values?"),
        "series": loki("series?match[]=%7Bservice_name%3D~%22.%2B%22%7D&"),
        "SQL, count": lambda: request(PORT, "GET", f"/api/sql?q={sql}"),
    }


def cpu_s(pid: int) -> float:
    """Processor time of a process and all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(signal: str, folder: Path, cwd: str, default: bool) -> subprocess.Popen[bytes]:
    """A server that is ready; its head grows as far as it is sent to, unless `default`."""
    config = folder / "obs.yaml"
    config.write_text("" if default else CONFIG.format(signal=signal))
    ports = [f"--{name}=127.0.0.1:{PORT + i}" for i, name in enumerate(("listen", "otlp-grpc", "otlp-http"))]
    command = [sys.executable, "-m", "obs.cli.main", "up", f"--data={folder / 'data'}", "--no-agent", *ports]
    server = subprocess.Popen([*command, f"--config={config}"], cwd=cwd, env={**BASE_ENV, "PYTHONPATH": cwd})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            request(PORT, "GET", "/-/ready")
            time.sleep(1)  # it may be another one that answers
            if server.poll() is None:
                return server
        except (OSError, RuntimeError):
            time.sleep(0.2)
    raise RuntimeError("the server has ended, or is not ready after two minutes")


def grow(sender: Sender, items: int, rate: float) -> None:
    """Send until so many are there, then at the rate."""
    sender.rate.value = 1e6
    while sender.sent.value < items:
        time.sleep(0.05)
    sender.rate.value = rate
    time.sleep(3)


def asked(questions: dict[str, Callable[[], bytes]], seconds: float) -> dict[str, list[float]]:
    """Milliseconds of each, in turn for so long, a tenth of a second between two."""
    times: dict[str, list[float]] = {name: [] for name in questions}
    end = time.monotonic() + seconds
    for name in _in_turn(questions):
        if time.monotonic() > end:
            break
        began = time.monotonic()
        questions[name]()
        times[name].append((time.monotonic() - began) * 1000)
        time.sleep(0.1)
    return times


def _in_turn(names: dict[str, Any]) -> Iterator[str]:
    return itertools.cycle(names)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("signal", choices=("traces", "logs"))
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--head", type=int, nargs="*", default=[200_000, 1_000_000])
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--late", type=float, default=5)
    parser.add_argument("--count", type=int, default=100, help="bodies that are used")
    parser.add_argument("--default", action="store_true", help="flush as a server does where nothing is set")
    parser.add_argument("--cwd", default=str(Path(__file__).resolve().parents[1]))
    given = parser.parse_args()
    files = sorted(given.bodies.glob(f"{given.signal}-*.pb"))[: given.count]
    bodies = [read_body(file.read_bytes(), given.signal) for file in files]
    folder = Path(tempfile.mkdtemp(prefix="obs-asking-"))
    server = start(given.signal, folder, given.cwd, given.default)
    sender = Sender(given.signal, bodies, int(given.late * given.rate / bodies[0].items))
    questions = (trace_questions if given.signal == "traces" else log_questions)(sender)
    try:
        for head in given.head:
            grow(sender, head, given.rate)
            report(server.pid, sender, questions, given.seconds)
    finally:
        sender.process.terminate()
        server.terminate()
        server.wait(60)


def report(pid: int, sender: Sender, questions: dict[str, Callable[[], bytes]], seconds: float) -> None:
    """Figures at the size that the head has."""
    first = {name: elapsed(ask) for name, ask in questions.items()}
    print(f"\n{sender.sent.value:,} items sent; first times {' '.join(f'{v:.0f}' for v in first.values())} ms")
    idle, began, before = cpu_s(pid), time.monotonic(), sender.sent.value
    time.sleep(seconds / 6)
    idle_share = (cpu_s(pid) - idle) / (time.monotonic() - began)
    print(f"sent to: {(sender.sent.value - before) / (time.monotonic() - began):,.0f}/s, {idle_share:.2f} CPU s/s")
    used, began = cpu_s(pid), time.monotonic()
    times = asked(questions, seconds)
    share = (cpu_s(pid) - used) / (time.monotonic() - began)
    number = sum(map(len, times.values()))
    each = (share - idle_share) * (time.monotonic() - began) / number
    print(f"asked too: {share:.2f} CPU s/s; {each * 1000:.0f} CPU ms a question, {number} questions")
    for name, found in times.items():
        if found:
            print(f"{name:32s} p50 {statistics.median(found):7.0f}  worst {max(found):7.0f} ms  ({len(found)})")
    print(f"{sender.sent.value:,} items sent", flush=True)


def elapsed(ask: Callable[[], bytes]) -> float:
    """Milliseconds."""
    began = time.monotonic()
    ask()
    return (time.monotonic() - began) * 1000


if __name__ == "__main__":
    main()
