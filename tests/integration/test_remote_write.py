"""Remote write into a real obs, both protocols: samples, native histograms, exemplars and metadata are read again."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from functools import cache
from urllib.parse import urlparse

import cramjam
import pytest
from obs_process import ObsProcess
from protobuf_fields import field, varint

from obs.remote_write import SeriesCache, decode_v2

V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


def labels(**pairs: str) -> bytes:
    """The labels of a series of protocol 1.0."""
    return b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(pairs.items()))


@cache
def now_ms() -> int:
    """When the tests began, the same for all; the file may have been read long before."""
    return int(time.time() * 1000)


def sample(value: float, t_ms: int | None = None) -> bytes:
    return field(1, value) + field(2, now_ms() if t_ms is None else t_ms)


def histogram() -> bytes:
    """Six observations in the buckets (0.5, 1], (1, 2] and (4, 8] of schema 0."""
    spans = field(11, field(1, 0) + field(2, 2)) + field(11, field(1, 2) + field(2, 1))
    deltas = field(12, varint(2) + varint(2) + varint(2))  # 1, 2, 3
    return field(1, 6) + field(3, 21.0) + spans + deltas + field(15, now_ms())


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("remote-write") / "data") as process:
        yield process


def write(obs: ObsProcess, body: bytes, **headers: str) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of the answer."""
    connection = http.client.HTTPConnection(urlparse(obs.url).netloc, timeout=60)
    given = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/api/v1/write", body, given)
    response = connection.getresponse()
    return response.status, response.read().decode(), dict(response.getheaders())


def packed(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


@pytest.mark.parametrize("flushed", [False, True])
def test_the_first_protocol(obs: ObsProcess, flushed: bool) -> None:
    job = f"one-{flushed}"
    exemplar = field(1, field(1, b"trace_id") + field(2, b"abc")) + field(2, 0.5) + field(3, now_ms())
    series = labels(__name__="rw_total", job=job) + field(2, sample(3.0)) + field(3, exemplar)
    native = labels(__name__="rw_seconds", job=job) + field(4, histogram())
    metadata = field(3, field(1, 1) + field(2, b"rw") + field(4, b"What was written."))
    assert write(obs, packed(field(1, series) + field(1, native) + metadata))[:2] == (204, "")
    if flushed:
        obs.client.flush()
    (element,) = obs.client.prometheus.query(f'rw_total{{job="{job}"}}').result
    assert element["value"][1] == "3"
    query = f'histogram_quantile(0.5, rw_seconds{{job="{job}"}})'
    assert obs.client.prometheus.query(query).result[0]["value"][1] == "4"  # from above, as Prometheus counts
    raw = obs.client.prometheus.query(f'rw_seconds{{job="{job}"}}').result[0]["histogram"][1]
    assert (raw["count"], raw["sum"]) == ("6", "21")
    assert raw["buckets"] == [[0, "0.5", "1", "1"], [0, "1", "2", "2"], [0, "4", "8", "3"]]


def test_the_second_protocol(obs: ObsProcess) -> None:
    symbols = ["", "__name__", "rw2_total", "job", "two", "How many.", "seconds"]
    refs = b"".join(map(varint, (1, 2, 3, 4)))
    series = field(1, refs) + field(2, sample(7.0)) + field(5, field(1, 1) + field(3, 5) + field(4, 6))
    body = b"".join(field(4, s.encode()) for s in symbols) + field(5, series)
    status, text, headers = write(obs, packed(body), Content_Type=V2)
    assert (status, text, headers["x-prometheus-remote-write-samples-written"]) == (204, "", "1")
    assert obs.client.prometheus.query('rw2_total{job="two"}').result[0]["value"][1] == "7"
    assert obs.client.prometheus.metadata("rw2")["rw2"][0]["help"] == "How many."


def test_a_body_of_the_first_protocol_that_is_called_one_of_the_second(obs: ObsProcess) -> None:
    body = field(1, labels(__name__="rw_miscalled") + field(2, sample(3.0)))
    status, text, headers = write(obs, packed(body), Content_Type=V2)
    assert (status, text, headers["x-prometheus-remote-write-samples-written"]) == (204, "", "1")
    assert obs.client.prometheus.query("rw_miscalled").result[0]["value"][1] == "3"


def test_types_units_and_starts_of_the_second_protocol() -> None:
    symbols = ["", "__name__", "rw2_total", "__type__", "gauge", "seconds"]
    refs = b"".join(map(varint, (1, 2, 3, 4)))
    began = field(2, sample(7.0, 60_000) + field(3, 45_000)) + field(3, histogram() + field(17, now_ms() - 1))
    body = b"".join(field(4, s.encode()) for s in symbols) + field(
        5, field(1, refs) + began + field(5, field(1, 1) + field(4, 5))
    )
    plain, typed = (decode_v2(body, SeriesCache(typed)).batch.tables for typed in (False, True))
    assert plain["series"]["labels"].to_pylist() == [[("__name__", "rw2_total"), ("__type__", "gauge")]]
    assert typed["series"]["labels"].to_pylist() == [
        [("__name__", "rw2_total"), ("__type__", "counter"), ("__unit__", "seconds")]
    ]
    ((series_id,),) = (set(typed["starts"]["series_id"].to_pylist()),)
    assert series_id == typed["series"]["series_id"][0].as_py() == typed["samples"]["series_id"][0].as_py()
    rows = zip(typed["starts"]["t_ms"].to_pylist(), typed["starts"]["start_ms"].to_pylist(), strict=True)
    assert list(rows) == [(60_000, 45_000), (now_ms(), now_ms() - 1)]


def test_metadata_that_says_nothing_is_none() -> None:
    symbols = b"".join(field(4, s.encode()) for s in ("", "__name__", "rw2_bare"))
    bare = field(1, varint(1) + varint(2)) + field(2, sample(7.0)) + field(5, b"")
    tables = decode_v2(symbols + field(5, bare), SeriesCache()).batch.tables
    assert "metadata" not in tables


def test_a_sample_of_the_farthest_future_leaves_the_status_readable(obs: ObsProcess) -> None:
    for t_ms in (2**63 - 1, -(2**63)):
        body = field(1, labels(__name__="rw_far") + field(2, sample(1.0, t_ms)))
        assert write(obs, packed(body))[0] == 204
    figures = obs.client.status()["stores"]["metrics"]
    assert (figures["min_ns"], figures["max_ns"]) == (-(2**63 - 1), 2**63 - 1)


def test_a_faulty_series_is_told_and_the_others_are_stored(obs: ObsProcess) -> None:
    good = field(1, labels(__name__="rw_good") + field(2, sample(1.0)))
    twice = field(1, field(1, b"a") + field(2, b"1"))
    bad = field(1, twice + twice + field(2, sample(1.0)))
    status, text, _ = write(obs, packed(good + bad))
    assert (status, "twice" in text) == (400, True)
    assert obs.client.prometheus.query("rw_good").result


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"\xff\xff", {}, 400, "snappy"),
        (packed(b"\x0a\x7f"), {}, 400, "cut off"),
        (packed(b"x"), {"Content_Type": "text/plain"}, 415, "text/plain"),
        (packed(b"x"), {"Content_Type": "application/x-protobuf;proto=other"}, 415, "other"),
        (b"\x80\x80\x80\x80\x04rest", {}, 413, "limit"),
    ],
    ids=["no snappy", "cut", "text", "other message", "bomb"],
)
def test_faulty_requests(obs: ObsProcess, body: bytes, headers: dict[str, str], status: int, said: str) -> None:
    got, text, _ = write(obs, body, **headers)
    assert (got, said in text) == (status, True), text
    for entry in obs.client.status()["ledger"]:
        assert entry["received"] == entry["stored"] + sum(entry["dropped"].values()), entry
