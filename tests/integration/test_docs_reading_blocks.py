"""docs/reading-blocks.md: every block of code is run, in its order, against a folder that the three stores wrote."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from log_recipes import Record, logs_batch
from span_batches import SpanRow, spans_batch, trace_id

from obs.app import make_stores
from obs.config import Config
from obs.model.build import metrics_batch
from obs.model.labels import Labels, make_labels
from obs.model.stale import STALE

PAGE = Path(__file__).parents[2] / "docs" / "reading-blocks.md"
T0_MS = 1_795_000_000_000
NS = 1_000_000
ODD_VALUES = (0.1, -0.0, 1e300, float("inf"), STALE, 123456.789, 7.0, 5e-324)


def queue(job: str) -> Labels:
    return make_labels({"__name__": "queue_length", "job": job})


def code(language: str) -> list[str]:
    """The page's blocks of code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two blocks a store: the second writes some samples anew, and has other attributes."""
    folder = tmp_path_factory.mktemp("reading") / "obs-data"
    stores = metrics, logs, traces = make_stores(Config(data=folder))
    for store in stores:
        store.open()
    odd = make_labels({"__name__": "odd", "job": "shop"})
    first = [(queue(job), T0_MS + k * 15_000, k / 10) for job in ("shop", "bank") for k in range(40)]
    first += [(odd, T0_MS + k, value) for k, value in enumerate(ODD_VALUES)]
    again = [(queue("shop"), T0_MS + k * 15_000, 1000.0 + k) for k in (3, 4)]
    for n, rows in enumerate((first, again)):
        metrics.consume(metrics_batch(rows))
        start = T0_MS * NS + n * 60_000 * NS
        logs.consume(logs_batch(_records(n, start)))
        traces.consume(spans_batch(*_spans(n, start)))
        for store in stores:
            store.flush()
    for store in stores:
        store.close()
    assert [len(list((folder / name / "blocks").iterdir())) for name in ("metrics", "logs", "traces")] == [2, 2, 2]
    return folder


def _records(n: int, start_ns: int) -> Iterator[Record]:
    key = ("user", "order")[n]
    resource = {"service.name": "shop"}
    yield Record(start_ns, "all is well", resource, {key: "a"}, "INFO")
    yield Record(start_ns + 5, f"payment failed {n}", resource, {key: "b"}, "ERROR", trace_id(n + 1), span_id(2))


def _spans(n: int, start_ns: int) -> Iterator[SpanRow]:
    yield SpanRow(n + 1, 1, 0, "shop", "POST /order", start_ns, start_ns + 100 * NS)
    yield SpanRow(n + 1, 2, 1, "bank", "charge", start_ns + 10 * NS, start_ns + 70 * NS)


def span_id(number: int) -> bytes:
    return number.to_bytes(8, "big")


def bits(rows: Any) -> set[tuple[str, str, int, bytes]]:
    return {(metric, job, t_ms, struct.pack("<d", value)) for metric, job, t_ms, value in rows}


def expected(folder: Path) -> set[tuple[str, str, int, bytes]]:
    """What the store itself says."""
    store = make_stores(Config(data=folder))[0]
    store.open()
    try:
        found = store.select((), T0_MS - 1, T0_MS + 10**9)
    finally:
        store.close()
    rows = [
        (dict(labels)["__name__"], dict(labels)["job"], int(found.t_ms[row]), float(found.values[row]))
        for i, labels in enumerate(found.labels)
        for row in range(found.offsets[i], found.offsets[i + 1])
    ]
    assert len(rows) == 80 + len(ODD_VALUES)
    return bits(rows)


def test_polars(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    known: dict[str, Any] = {}
    blocks = code("python")
    assert len(blocks) >= 6
    for text in blocks:
        exec(compile(text, str(PAGE), "exec"), known)  # noqa: S102 the page is what is tested
    pl = known["pl"]
    rows = known["metrics"].select("metric", pl.col("labels").map.get("job"), "t_ms", "value").collect().rows()
    assert len(rows) == 80 + len(ODD_VALUES)
    assert bits(rows) == expected(folder)
    assert known["by_job"].height == 6
    assert known["finite"] == 80 + len(ODD_VALUES) - 1
    assert known["errors"]["body"].to_list() == ["payment failed 0", "payment failed 1"]
    assert known["slowest"].rows()[0][:4] == ("shop", "POST /order", 100.0, 40.0)
    assert known["slowest"].height == 4
    assert known["told"].height == 4


def test_duckdb(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        views, means, more, slow, calls, around = (db.execute(text).fetchall() for text in code("sql"))
        assert not views
        assert not more
        found = db.sql("SELECT metric, labels['job'], t_ms, value FROM metrics").fetchall()
    assert len(found) == 80 + len(ODD_VALUES)
    assert bits(found) == expected(folder)
    assert [row[0] for row in means] == ["bank"] * 3 + ["shop"] * 3
    assert [row[:3] for row in slow] == [("bank", "charge", 60.0)] * 2
    assert calls == [("shop", "bank", 2, 60.0)]
    assert [row[1:] for row in around] == [("payment failed 0", 0.0), ("payment failed 1", 1004.0)]
