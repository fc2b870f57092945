"""A small real API with canned, lifelike answers, for looking at pages before and without a server.

`PYTHONPATH=tests/recipes python tests/browser/fake_api.py PORT` serves it with the UI. Logs and traces are real.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import shop_data
import uvicorn
from fastapi import FastAPI, Query
from starlette.responses import JSONResponse

from obs.logstore import api as logs_api
from obs.logstore.delete_requests import DeleteRequests
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore
from obs.otlp import slow
from obs.tracestore import api as traces_api
from obs.tracestore.store import TraceStore
from obs.ui.app import mount

GB = 1e9
METRICS = {
    "node_cpu_seconds_total": ("counter", "seconds", "Seconds the CPUs spent in each mode."),
    "node_memory_MemTotal_bytes": ("gauge", "bytes", "Memory information field MemTotal_bytes."),
    "node_load1": ("gauge", "", "1m load average."),
    "container_cpu_usage_seconds_total": ("counter", "seconds", "Cumulative cpu time consumed in seconds."),
    "http_server_request_duration_seconds_bucket": ("histogram", "seconds", "Duration of HTTP server requests."),
    "obs_received_total": ("counter", "", "Items received."),
}
Curve = Callable[[float], float]


def wave(base: float, swing: float, seed: str) -> Curve:
    """A curve that wanders around `base`, always the same one for a seed."""
    k = int(hashlib.md5(seed.encode()).hexdigest()[:6], 16) / 0xFFFFFF
    return lambda t: max(
        0.0,
        base
        + swing * (math.sin(t / (700 + 900 * k) + 9 * k) + 0.4 * math.sin(t / 97 + 20 * k) + 0.2 * math.sin(t / 31)),
    )


SIMPLE: tuple[tuple[str, float, float], ...] = (
    (r"^1 - avg\(rate\(node_cpu", 0.28, 0.1),
    (r"^count\(count by \(cpu\)", 2, 0),
    (r"^1 - sum\(node_memory_MemAv", 0.46, 0.03),
    (r"mode=~.user", 0.18, 0.06),
    (r"mode=~.system", 0.07, 0.02),
    (r"mode=~.iowait", 0.02, 0.01),
    (r"^sum\(node_memory_MemTotal_bytes\)", 8.2 * GB, 0),
    (r"MemTotal_bytes - node_memory_MemAvail", 3.7 * GB, 0.3 * GB),
    (r"MemAvailable_bytes - node_memory_MemFree", 2.9 * GB, 0.2 * GB),
    (r"^sum\(node_memory_MemFree", 1.6 * GB, 0.2 * GB),
    (r"node_load15", 0.7, 0.1),
    (r"node_load5", 0.8, 0.2),
    (r"node_load1", 0.9, 0.4),
    (r"^max\(1 - node_filesystem", 0.61, 0),
    (r"^min\(node_filesystem_avail", 31 * GB, 0),
    (r"network_receive", 240e3, 90e3),
    (r"network_transmit", 90e3, 30e3),
    (r"node_boot_time", 6.1e5, 0),
    (r"procs_running", 3, 1),
    (r"disk_read", 1.2e6, 8e5),
    (r"disk_written", 3.4e6, 1.5e6),
    (r"pressure_cpu", 0.04, 0.02),
    (r"pressure_io", 0.02, 0.01),
    (r"pressure_memory", 0.001, 0.001),
    (r'obs_stored_total\{signal="metrics"', 880, 30),
    (r'obs_stored_total\{signal="logs"', 120, 40),
    (r'obs_stored_total\{signal="traces"', 45, 12),
)
GROUPS = ("/system.slice/ssh.service", "/system.slice/cron.service", "/user.slice/user-1000.slice", "/docker/4f1c")
GROUP_VALUES = {
    "cpu_usage": 0.12, "working_set": 2.4e8, "memory_limit": 5e8, "processes": 7, "fs_reads": 9e3, "fs_writes": 4e4,
}  # fmt: skip


def curves(query: str) -> list[tuple[dict[str, str], Curve]]:
    """The series of a query: what the pages ask for, else three made-up ones."""
    if "> 0" in query:
        return []
    if query.startswith("sum by (id, name, image)"):
        value = next(v for k, v in GROUP_VALUES.items() if k in query)
        names = [{"id": g, **({"name": "web", "image": "nginx:1.29"} if "docker" in g else {})} for g in GROUPS]
        return [(n, wave(value * (i + 1) / 2, value / 9, n["id"])) for i, n in enumerate(names)]
    for pattern, base, swing in SIMPLE:
        if re.search(pattern, query):
            return [({}, wave(base, swing, pattern))]
    name = re.search(r"[a-z_]+_[a-z_]+", query)
    labels = {"__name__": name[0] if name else "metric", "job": "shop", "instance": "10.0.0.1:80"}
    return [({**labels, "route": r}, wave(i + 1, 0.3, r)) for i, r in enumerate(("/cart", "/pay", "/list"))]


def api() -> FastAPI:
    """The endpoints the UI asks, canned."""
    app = FastAPI(docs_url="/api/docs", openapi_url="/api/openapi.json")

    @app.get("/api/v1/query")
    def instant(query: str, time: float = Query(default_factory=time.time)) -> Any:
        if query.count("(") != query.count(")"):
            return refuse(query)
        return ok(
            {"resultType": "vector", "result": [{"metric": m, "value": [time, str(f(time))]} for m, f in curves(query)]}
        )

    @app.get("/api/v1/query_range")
    def over(query: str, start: float, end: float, step: float) -> Any:
        if query.count("(") != query.count(")"):
            return refuse(query)
        times = [start + i * step for i in range(int((end - start) / step) + 1)]
        result = [{"metric": m, "values": [[t, str(f(t))] for t in times]} for m, f in curves(query)]
        return ok({"resultType": "matrix", "result": result})

    @app.get("/api/v1/label/__name__/values")
    def names() -> Any:
        return ok(sorted(METRICS))

    @app.get("/api/v1/metadata")
    def metadata() -> Any:
        return ok({n.removesuffix("_bucket"): [{"type": t, "unit": u, "help": h}] for n, (t, u, h) in METRICS.items()})

    @app.get("/api/status")
    def status() -> Any:
        now = time.time_ns()
        store = {"items_head": 48213, "bytes_head": 9e6, "blocks": 4, "items_blocks": 2_310_400, "bytes_disk": 41e6,
                 "min_ns": now - 86400 * 10**9, "max_ns": now, "recovering": None}  # fmt: skip
        stores = dict.fromkeys(("metrics", "logs", "traces"), store)
        agent = {"pid": 4242, "restarts": 0}
        return {"version": "0.1.0", "ready": True, "uptime_s": 4521.0, "stores": stores, "ledger": [], "agent": agent}

    return app


def ok(data: Any) -> dict[str, Any]:
    """Prometheus's envelope."""
    return {"status": "success", "data": data}


def refuse(query: str) -> JSONResponse:
    """A parse error with its caret."""
    caret = f"1:{len(query)}: cannot parse query: unexpected end of input\n  {query}\n  {' ' * (len(query) - 1)}^"
    return JSONResponse({"status": "error", "errorType": "bad_data", "error": caret}, 400)


def add_logs(app: FastAPI, folder: Path) -> None:
    """The real log store, with a shop's records."""
    store = LogStore(folder)
    store.open()
    store.consume(slow.decode_logs(shop_data.logs(time.time_ns()).SerializeToString()).batch)
    app.include_router(logs_api.router(store, LogQL(store), DeleteRequests(store, folder / "deletes.json")))


def add_traces(app: FastAPI, folder: Path) -> None:
    """The real trace store, with the shop's traces."""
    store = TraceStore(folder)
    store.open()
    store.consume(slow.decode_traces(shop_data.traces(time.time_ns()).SerializeToString()).batch)
    app.include_router(traces_api.router(store))


def add_alerts(app: FastAPI) -> None:
    """Two groups of rules, one alert firing and one about to."""
    now = time.time()

    def ago(seconds: float) -> str:
        return datetime.fromtimestamp(now - seconds, UTC).isoformat()

    def rule(name: str, query: str, state: str, **more: Any) -> dict[str, Any]:
        labels = {"alertname": name, "severity": "page", "instance": "shop-1"}
        alerts = [{"labels": labels, "state": state, "value": "0.93",
                   "activeAt": ago(420), "annotations": {"summary": f"{name} on shop-1 is at 93 %"}}]  # fmt: skip
        return {"name": name, "query": query, "state": state, "health": "ok", "type": "alerting", "duration": 120,
                "lastEvaluation": ago(4), "evaluationTime": 0.0021, "labels": {},
                "alerts": alerts if state != "inactive" else [], **more}  # fmt: skip

    @app.get("/api/v1/rules")
    def rules() -> Any:
        node = [
            rule("DiskFull", "1 - node_filesystem_avail_bytes / node_filesystem_size_bytes > 0.9", "firing"),
            rule("HighLoad", "node_load1 > 4", "pending"),
            rule("AgentGone", 'absent(up{job="agent"})', "inactive"),
        ]
        broken = rule("Broken", "rate(x)", "inactive", health="err", lastError="1:6: cannot parse: expected a range")
        shop = [
            {
                **rule("shop:errors:rate5m", "sum(rate(errors_total[5m]))", "inactive"),
                "type": "recording",
                "state": None,
            },
            broken,
        ]
        return ok({"groups": [{"name": "node", "file": "rules/node.yml", "interval": 15, "rules": node},
                              {"name": "shop", "file": "rules/shop.yml", "interval": 60, "rules": shop}]})  # fmt: skip

    @app.get("/alertmanager/api/v2/alerts")
    def held() -> Any:
        return [
            {
                "labels": {"alertname": "DiskFull", "severity": "page", "instance": "shop-1"},
                "receivers": [{"name": "team"}],
            }
        ]


if __name__ == "__main__":
    port = int(sys.argv[1])
    served = api()
    folder = Path(tempfile.mkdtemp(prefix="obs-fake-"))
    add_logs(served, folder / "logs")
    add_traces(served, folder / "traces")
    add_alerts(served)
    mount(served, f"http://127.0.0.1:{port}")
    uvicorn.run(served, host="127.0.0.1", port=port, log_level="warning")
