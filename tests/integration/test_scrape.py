"""Scraping real targets: Python's own client as exporter, a running obs, Prometheus's configuration."""

from __future__ import annotations

import http.client
import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from exposition_messages import delimited, family, native_histogram
from obs_process import ObsProcess, eventually
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.scrape.config import parse as jobs
from obs.collector.receivers.scrape.receiver import Scraper
from obs.model.batch import Batch, Signal
from obs.model.clock import SYSTEM_CLOCK


class Pages:
    """An HTTP server that shows whatever text it is told to."""

    def __init__(self) -> None:
        self.text, self.seen = "", list[dict[str, str]]()
        self.kind = "text/plain; version=0.0.4"
        self.open = threading.Event()  # while it is not set, whoever asks waits
        self.open.set()
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pages.seen.append(dict(self.headers) | {"path": self.path})
                pages.open.wait(10)
                body = pages.text.encode("latin-1")
                self.send_response(200 if body else 503)
                self.send_header("Content-Type", pages.kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.server.shutdown()
    made.server.server_close()


def get(obs: ObsProcess, path: str, **params: str) -> Any:
    return json.loads(obs.client.transport.raw(path, list(params.items())))["data"]


def value(obs: ObsProcess, query: str) -> list[tuple[dict[str, str], str]]:
    return [(r["metric"], r["value"][1]) for r in get(obs, "/api/v1/query", query=query)["result"]]


def reload(obs: ObsProcess) -> tuple[int, str]:
    connection = http.client.HTTPConnection(obs.url.removeprefix("http://"), timeout=20)
    connection.request("POST", "/-/reload")
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_client_is_scraped_and_its_end_is_seen(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Counter("orders", "Orders.", ["shop"], registry=registry).labels("a").inc(7)
    gauge = Gauge("open_orders", "Open.", ["shop"], registry=registry)
    gauge.labels("a").set(2)
    gauge.labels("b").set(3)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    address = f"127.0.0.1:{server.server_port}"
    targets = tmp_path / "targets.json"
    targets.write_text(json.dumps([{"targets": [address], "labels": {"env": "test"}}]))
    job = {"job_name": "shop", "scrape_interval": "300ms", "scrape_timeout": "250ms",
           "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "200ms"}]}  # fmt: skip
    config = tmp_path / "obs.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        labels = {"job": "shop", "instance": address, "env": "test"}
        found = eventually(lambda: value(obs, "orders_total"))
        assert found == [({"__name__": "orders_total", "shop": "a", **labels}, "7")]
        assert value(obs, "up") == [({"__name__": "up", **labels}, "1")]
        assert len(value(obs, "open_orders")) == 2
        assert get(obs, "/api/v1/metadata", metric="orders")["orders"][0]["help"] == "Orders."
        (target,) = get(obs, "/api/v1/targets")["activeTargets"]
        assert (target["health"], target["scrapeUrl"]) == ("up", f"http://{address}/metrics")
        assert target["discoveredLabels"]["__meta_filepath"] == str(targets)
        assert get(obs, "/api/v1/scrape_pools") == {"scrapePools": ["shop"]}

        gauge.remove("b")
        assert len(eventually(lambda: value(obs, "open_orders"), lambda f: len(f) == 1)) == 1
        server.shutdown()
        server.server_close()
        thread.join()
        assert eventually(lambda: value(obs, "up"), lambda f: f[0][1] == "0")[0][1] == "0"
        assert value(obs, "orders_total") == []
        (target,) = get(obs, "/api/v1/targets")["activeTargets"]
        assert target["health"] == "down" and "cannot get" in target["lastError"]

        targets.write_text("[]")
        assert eventually(lambda: value(obs, "up"), lambda f: not f) == []
        assert get(obs, "/api/v1/targets") == {
            "activeTargets": [],
            "droppedTargets": [],
            "droppedTargetCounts": {"shop": 0},
        }
        status = json.loads(obs.client.transport.raw("/api/status", {}))
        assert obs.stop() == 0, status


def test_relabeling_limits_and_what_is_sent(tmp_path: Path, pages: Pages) -> None:
    pages.text = 'kept{job="own"} 1\ndropped 2\nold 3 1000\n'
    static = [{"targets": [pages.address]}]
    every = {"scrape_interval": "300ms", "static_configs": static}
    drop = [{"source_labels": ["__name__"], "regex": "dropped", "action": "drop"}]
    every_job = [
        {"job_name": "plain", **every, "metric_relabel_configs": drop, "params": {"a": ["b c"]},
         "basic_auth": {"username": "u", "password": "p"}},
        {"job_name": "honest", **every, "honor_labels": True, "honor_timestamps": False},
        {"job_name": "small", **every, "sample_limit": 2},
        {"job_name": "tiny", **every, "body_size_limit": "10B"},
    ]  # fmt: skip
    config = tmp_path / "obs.yml"
    config.write_text(yaml.safe_dump({"global": {"scrape_timeout": "300ms"}, "scrape_configs": every_job}))
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        ups = eventually(lambda: value(obs, "sort_by_label(up, 'job')"), lambda f: len(f) == 4)
        assert [(m["job"], v) for m, v in ups] == [("honest", "1"), ("plain", "1"), ("small", "0"), ("tiny", "0")]
        kept = {(m["job"], m.get("exported_job")) for m, _ in value(obs, "kept")}
        assert kept == {("plain", "own"), ("own", None)}
        assert {m["job"] for m, _ in value(obs, "dropped")} == {"honest"}
        assert {m["job"] for m, _ in value(obs, "old")} == {"honest"}
        scraped = {m["job"]: v for m, v in value(obs, "scrape_samples_post_metric_relabeling")}
        assert scraped == {"plain": "2", "honest": "3", "small": "3", "tiny": "0"}
        errors = {t["labels"]["job"]: t["lastError"] for t in get(obs, "/api/v1/targets")["activeTargets"]}
        assert "sample_limit of 2" in errors["small"] and "body_size_limit of 10" in errors["tiny"]
        asked = next(seen for seen in pages.seen if seen["path"] == "/metrics?a=b+c")
        assert asked["Authorization"] == "Basic dTpw" and "openmetrics" in asked["Accept"]

        config.write_text(yaml.safe_dump({"global": {"scrape_timeout": "300ms"}, "scrape_configs": every_job[1:2]}))
        assert reload(obs) == (200, "reloaded\n")
        assert eventually(lambda: value(obs, "up{job='plain'}"), lambda f: not f) == []
        config.write_text(yaml.safe_dump({"scrape_configs": [{"job_name": "x", "intervall": 1}]}))
        status, said = reload(obs)
        assert status == 400 and "scrape_configs.0.intervall: cannot use this key" in said
        assert value(obs, "up{job='honest'}")[0][1] == "1"


class Samples:
    """A store that keeps samples by metric name."""

    def __init__(self) -> None:
        self.of, self._names = dict[str, list[tuple[int, float]]](), dict[int, str]()

    def consume(self, batch: Batch) -> None:
        tables = batch.tables
        if "series" in tables:
            told = zip(*(column.to_pylist() for column in tables["series"].columns), strict=True)
            self._names |= {series_id: dict(labels)["__name__"] for series_id, labels in told}
        for series_id, t_ms, number in zip(*(c.to_pylist() for c in tables["samples"].columns), strict=True):
            self.of.setdefault(self._names[series_id], []).append((t_ms, number))


def test_a_job_that_a_reload_changes_goes_on_without_a_gap(tmp_path: Path, pages: Pages) -> None:
    samples = Samples()
    scraper = Scraper(Intake(Pipeline({Signal.METRICS: samples}), Ledger()), SYSTEM_CLOCK, tmp_path)
    job = {"job_name": "j", "scrape_interval": "300ms", "scrape_timeout": "250ms",
           "static_configs": [{"targets": [pages.address]}]}  # fmt: skip
    drop = [{"source_labels": ["__name__"], "regex": "gone", "action": "drop"}]
    pages.text = "kept 1\ngone 2\n"
    slow = {**job, "scrape_interval": "2s", "scrape_timeout": "2s"}
    scraper.apply(jobs([slow]))
    eventually(lambda: samples.of.get("gone"))
    pages.open.clear()
    asked = len(pages.seen)
    eventually(lambda: len(pages.seen) > asked)
    scraper.apply(jobs([{**job, "metric_relabel_configs": drop}]))  # while a scrape is under way
    before = len(samples.of["up"])
    pages.open.set()
    eventually(lambda: len(samples.of["up"]) > before + 2)
    scraper.apply(jobs([{**job, "static_configs": [], "metric_relabel_configs": drop}]))
    eventually(lambda: math.isnan(samples.of["up"][-1][1]))
    scraper.close()
    values = {name: [number for _, number in found] for name, found in samples.of.items()}
    assert set(values["up"][:-1]) == {1.0} and math.isnan(values["up"][-1])
    assert set(values["kept"][:-1]) == {1.0} and len(values["kept"]) == len(values["up"])
    assert values["gone"][:before] == [2.0] * before and values["gone"][before] == 2.0  # the scrape that was under way
    assert len(values["gone"]) == before + 2 and math.isnan(values["gone"][-1])


def test_native_histograms_are_scraped_as_protobuf(tmp_path: Path, pages: Pages) -> None:
    pages.text = delimited(family("took", 4, native_histogram())).decode("latin-1")
    pages.kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    every = {"scrape_interval": "300ms", "static_configs": [{"targets": [pages.address]}]}
    every_job = [
        {"job_name": "native", **every, "scrape_native_histograms": True},
        {"job_name": "both", **every, "scrape_native_histograms": True, "always_scrape_classic_histograms": True},
        {"job_name": "classic", **every, "scrape_protocols": ["PrometheusProto", "PrometheusText0.0.4"]},
    ]
    config = tmp_path / "obs.yml"
    config.write_text(yaml.safe_dump({"global": {"scrape_timeout": "300ms"}, "scrape_configs": every_job}))
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        eventually(lambda: value(obs, "up"), lambda f: len(f) == 3)
        counts = {m["job"]: v for m, v in value(obs, "histogram_count(took)")}
        assert counts == {"native": "6", "both": "6"}
        (half,) = {v for _, v in value(obs, "histogram_quantile(0.5, took)")}
        assert 1 < float(half) < 2
        assert {(m["job"], v) for m, v in value(obs, "took_bucket{le='+Inf'}")} == {("both", "6"), ("classic", "6")}
        accept = {seen["Accept"].split(";")[0] for seen in pages.seen}
        assert accept == {"application/vnd.google.protobuf"}
        found = get(obs, "/api/v1/query_exemplars", query="took", start="0", end="4000000000")
        exemplars = {r["seriesLabels"]["job"]: r["exemplars"][0] for r in found}
        assert (exemplars["native"]["labels"], exemplars["native"]["value"]) == ({"trace_id": "ab"}, "1.5")
