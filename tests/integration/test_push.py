"""Pushgateway's API with Python's own client: pushed, replaced, added to, kept over a restart, deleted."""

from __future__ import annotations

import gzip
import http.client
import json
from pathlib import Path
from typing import Any

from exposition_messages import delimited, family, native_histogram
from obs_process import ObsProcess, eventually
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    delete_from_gateway,
    push_to_gateway,
    pushadd_to_gateway,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from protobuf_fields import field


def value(obs: ObsProcess, query: str) -> list[tuple[dict[str, str], str]]:
    answer = json.loads(obs.client.transport.raw("/api/v1/query", [("query", query)]))
    return [(r["metric"], r["value"][1]) for r in answer["data"]["result"]]


def registry(**gauges: float) -> CollectorRegistry:
    made = CollectorRegistry()
    for name, number in gauges.items():
        Gauge(name, f"What {name} is.", registry=made).set(number)
    return made


def send(obs: ObsProcess, method: str, path: str, body: bytes = b"", kind: str = "text/plain") -> tuple[int, str]:
    connection = http.client.HTTPConnection(obs.url.removeprefix("http://"), timeout=20)
    connection.request(method, path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_job_pushes(tmp_path: Path) -> None:
    with ObsProcess(tmp_path / "data") as obs:
        group: dict[str, Any] = {"job": "backup", "grouping_key": {"host": "a/b"}}
        push_to_gateway(obs.url, registry=registry(files=3, took=1.5), **group)
        labels = {"job": "backup", "host": "a/b"}
        assert value(obs, "files") == [({"__name__": "files", **labels}, "3")]
        assert len(value(obs, "push_time_seconds > 0")) == 1
        pushadd_to_gateway(obs.url, registry=registry(files=4), **group)
        assert [v for _, v in value(obs, 'sort_by_label({__name__=~"files|took"}, "__name__")')] == ["4", "1.5"]
        push_to_gateway(obs.url, registry=registry(files=5), **group)
        assert [v for _, v in value(obs, '{__name__=~"files|took"}')] == ["5"]
        other = CollectorRegistry()
        Histogram("size", "Sizes.", buckets=(1, 2), registry=other).observe(1.5)
        push_to_gateway(obs.url, job="other", registry=other)
        obs.stop()
        obs.start()
        assert eventually(lambda: value(obs, "files"))[0][1] == "5"
        assert [v for _, v in value(obs, 'size_bucket{le="2.0"}')] == ["1"]
        delete_from_gateway(obs.url, **group)
        assert value(obs, "files") == []
        assert value(obs, "size_count")[0][0] == {"__name__": "size_count", "job": "other"}


def test_native_histograms_are_pushed_and_kept(tmp_path: Path) -> None:
    page = delimited(family("took", 4, native_histogram()))
    kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    labels = {"__name__": "took", "job": "j", "path": "/"}

    def native(obs: ObsProcess) -> list[Any]:
        answer = json.loads(obs.client.transport.raw("/api/v1/query", [("query", "took")]))
        return [(r["metric"], r["histogram"][1]) for r in answer["data"]["result"] if "histogram" in r]

    with ObsProcess(tmp_path / "data") as obs:
        assert send(obs, "PUT", "/metrics/job/j", page, kind)[0] == 200
        ((metric, found),) = native(obs)
        assert (metric, found["count"], found["sum"]) == (labels, "6", "12.5")
        assert found["buckets"][1:] == [[0, "0.5", "1", "1"], [0, "1", "2", "3"], [0, "4", "8", "1"]]
        assert value(obs, 'took_bucket{le="4.0"}') == [({**labels, "__name__": "took_bucket", "le": "4.0"}, "5")]
        assert send(obs, "POST", "/metrics/job/j", b"files 3\n")[0] == 200
        obs.stop()
        obs.start()
        assert eventually(lambda: native(obs)) == [(labels, found)]
        assert send(obs, "POST", "/metrics/job/j", b'took{path="/"} 3\n')[0] == 200
        assert (native(obs), value(obs, "took")) == ([], [(labels, "3")])


def test_exemplars_are_of_the_push(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Histogram("size", "Sizes.", buckets=(1, 2), registry=registry).observe(1.5, exemplar={"trace_id": "ab"})
    native = delimited(family("took", 4, native_histogram()))
    kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

    def examples(obs: ObsProcess, query: str) -> list[Any]:
        given = [("query", query), ("start", "0"), ("end", "9999999999")]
        found = json.loads(obs.client.transport.raw("/api/v1/query_exemplars", given))["data"]
        return [(each["seriesLabels"], [(e["labels"], e["value"]) for e in each["exemplars"]]) for each in found]

    with ObsProcess(tmp_path / "data") as obs:
        assert send(obs, "PUT", "/metrics/job/j", generate_latest(registry), CONTENT_TYPE_LATEST)[0] == 200
        labels = {"__name__": "size_bucket", "job": "j", "le": "2.0"}
        assert examples(obs, "size_bucket") == [(labels, [({"trace_id": "ab"}, "1.5")])]
        assert send(obs, "POST", "/metrics/job/j", native, kind)[0] == 200
        assert examples(obs, "took")[0][1] == [({"trace_id": "ab"}, "1.5")]
        obs.stop()
        obs.start()  # the values are written again
        assert eventually(lambda: value(obs, "size_count"))
        assert examples(obs, "size_bucket") == [(labels, [({"trace_id": "ab"}, "1.5")])]


def test_other_forms_and_faults(tmp_path: Path) -> None:
    label = field(1, field(1, "mode") + field(2, "x"))
    metric = field(4, label + field(2, field(1, 2.5)))
    family = field(1, "level") + field(2, "How high.") + field(3, 1) + metric
    kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    with ObsProcess(tmp_path / "data") as obs:
        assert send(obs, "PUT", "/metrics/job@base64/YS9i/dir@base64/=", bytes([len(family)]) + family, kind)[0] == 200
        assert value(obs, "level") == [({"__name__": "level", "job": "a/b", "mode": "x"}, "2.5")]
        faults = [
            ("PUT", "/metrics/job/j/odd", b"a 1\n", "each label needs a value"),
            ("PUT", "/metrics/job/j/__x/1", b"a 1\n", "no label to group by"),
            ("PUT", "/metrics/job@base64/%25%25", b"a 1\n", "base64url"),
            ("POST", "/metrics/job/j", b"a 1 1000\n", "timestamps"),
            ("POST", "/metrics/job/j", b"a one\n", "line 1"),
            ("POST", "/metrics/job/j", b"a{b} 1\n", "cannot read series"),
            ("POST", "/metrics/job/j", b"\xff 1\n", "UTF-8"),
        ]
        for method, path, body, cause in faults:
            status, said = send(obs, method, path, body)
            assert (status, cause in said) == (400, True), (path, status, said)
        assert send(obs, "PUT", "/metrics/job/j", family[:9], kind)[0] == 400
        assert value(obs, '{job="j", __name__!~"push_.*"}') == []
        assert send(obs, "DELETE", "/metrics/job/none")[0] == 202
        assert send(obs, "GET", "/metrics")[0] == 200


def test_a_damaged_file_is_told_and_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "data" / "push").mkdir(parents=True)
    (tmp_path / "data" / "push" / "groups.json").write_text("[{")
    with ObsProcess(tmp_path / "data") as obs:
        assert send(obs, "PUT", "/metrics/job/j", b"a 1\n")[0] == 200
        assert "cannot read pushed groups" in obs.errors()


def test_a_push_that_inflates_too_far_is_refused(tmp_path: Path) -> None:
    with ObsProcess(tmp_path / "data") as obs:
        connection = http.client.HTTPConnection(obs.url.removeprefix("http://"), timeout=20)
        bomb = gzip.compress(b"files 3\n" * 2_000_000)
        connection.request("PUT", "/metrics/job/bomb", bomb, {"Content-Encoding": "gzip"})
        answer = connection.getresponse()
        assert (answer.status, b"inflates to more than" in answer.read()) == (413, True)
        assert value(obs, "files") == []
