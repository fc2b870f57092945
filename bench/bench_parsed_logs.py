"""What queries over JSON and logfmt bodies cost, and what their columns cost at flush.

usage: bench_parsed_logs.py [--records N] [--logfmt] [--times K]
Takes N records (a million) into a store of its own, flushes, and asks each question K times (six). To compare with
a store that parses each line at the query, run it with the code of then: it needs nothing but the store.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from obs import warm
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore
from obs.model.batch import Batch, Signal
from obs.model.schema import LOGS, attribute_column, column_type

BATCH = 10_000
START_NS = 1_700_000_000 * 10**9
HOUR_NS = 3600 * 10**9
JSON_LINE = (
    '{"time":"2023-11-14T22:%02d:%02dZ","level":"%s","status":%d,"method":"%s","path":"/shop/%s/%d","took_ms":%.2f,'
    '"user":"u%d","msg":"request handled"}'
)
LOGFMT_LINE = (
    "ts=2023-11-14T22:%02d:%02dZ level=%s status=%d method=%s path=/shop/%s/%d took_ms=%.2f user=u%d "
    'msg="request handled"'
)
QUESTIONS = {
    "count of status >= 500": 'sum(count_over_time({service_name="web"} | PARSER | status >= 500 [1h]))',
    "count by level and method": "sum by (level, method) (count_over_time({} | PARSER [1h]))",
    "count of one user": 'sum(count_over_time({} | PARSER | user = "u77" [1h]))',
    "mean of took_ms by method": "avg_over_time({} | PARSER | unwrap took_ms [1h]) by (method)",
    "count of one path, no column": 'sum(count_over_time({} | PARSER | path =~ "/shop/cart/7.*" [1h]))',
    "100 lines with status >= 500": "{} | PARSER | status >= 500",
}


def lines(records: int, template: str) -> Iterator[list[str]]:
    """Bodies, a batch at a time."""
    rng = np.random.default_rng(7)
    for _ in range(0, records, BATCH):
        status = rng.choice([200, 201, 304, 404, 500, 503], BATCH, p=[0.7, 0.1, 0.1, 0.07, 0.02, 0.01])
        level = np.where(status >= 500, "error", np.where(status == 404, "warn", "info"))
        columns = (
            rng.integers(0, 60, BATCH), rng.integers(0, 60, BATCH), level, status,
            rng.choice(["GET", "POST", "PUT"], BATCH), rng.choice(["cart", "item", "pay"], BATCH),
            rng.integers(0, 10**6, BATCH), rng.exponential(20, BATCH), rng.integers(0, 5000, BATCH),
        )  # fmt: skip
        yield [template % row for row in zip(*(c.tolist() for c in columns), strict=True)]


def batches(records: int, template: str) -> Iterator[Batch]:
    """Records of four services over an hour."""
    service = attribute_column("resource", "service.name", "str")
    names = pa.array(["web", "api", "pay", "ship"]).take(pa.array(np.arange(BATCH) % 4)).dictionary_encode()
    for i, body in enumerate(lines(records, template)):
        times = START_NS + (i * BATCH + np.arange(BATCH)) * (HOUR_NS // records)
        given = {"time_ns": pa.array(times), "observed_ns": pa.array(times), "body": pa.array(body)}
        columns = {f.name: given[f.name].cast(f.type) if f.name in given else pa.nulls(BATCH, f.type) for f in LOGS}
        columns["body_type"] = pa.array(np.ones(BATCH)).cast(LOGS.field("body_type").type)
        columns["severity_number"] = pa.array(np.full(BATCH, 9)).cast(LOGS.field("severity_number").type)
        columns[service] = names.cast(column_type("resource", "str"))
        yield Batch(Signal.LOGS, {"logs": pa.RecordBatch.from_pydict(columns)})


def ask(logql: LogQL, query: str, times: int) -> tuple[float, float, float, float]:
    """Milliseconds of the first time, the best waiting and CPU, and what was found."""
    waited, used, found = [], [], 0.0
    for _ in range(times):
        began, cpu = time.perf_counter(), time.process_time()
        if logql.is_records(query):
            found = len(logql.records(query, START_NS, START_NS + HOUR_NS + 1, 100).entries)
        else:
            matrix, _, _ = logql.range(query, START_NS + HOUR_NS, START_NS + HOUR_NS, 1)
            found = float(matrix.values.sum())
        waited.append((time.perf_counter() - began) * 1e3)
        used.append((time.process_time() - cpu) * 1e3)
    return waited[0], min(waited), min(used), found


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=6)
    parser.add_argument("--logfmt", action="store_true")
    given = parser.parse_args()
    warm.load_now("obs.logstore.kernels")
    made = list(batches(given.records, LOGFMT_LINE if given.logfmt else JSON_LINE))
    with tempfile.TemporaryDirectory() as folder:
        store = LogStore(Path(folder))
        store.open()
        cpu = time.process_time()
        for batch in made:
            store.consume(batch)
        store.flush()
        cpu = time.process_time() - cpu
        size = sum(
            f.stat().st_size for f in Path(folder).rglob("*") if f.is_file() and f.suffix in (".parquet", ".idx")
        )
        print(f"taking in and flushing {given.records} records: {cpu:.2f} CPU s, {size / given.records:.1f} bytes each")
        for name, text in QUESTIONS.items():
            query = text.replace("PARSER", "logfmt" if given.logfmt else "json")
            first, best, used, found = ask(LogQL(store), query, given.times)
            print(f"{name:32} first {first:8.1f} ms  best {best:8.1f} ms  CPU {used:8.1f} ms  found {found:g}")
        store.close()


if __name__ == "__main__":
    main()
