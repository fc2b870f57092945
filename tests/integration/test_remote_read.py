"""Remote read from a real obs: both forms of answer, from the head and from blocks, and by a real Prometheus."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import cramjam
import numpy as np
import pytest
import remote_read_client as client
from obs_process import ObsProcess
from prometheus_process import PrometheusProcess
from protobuf_fields import field

from obs.model.stale import STALE
from obs.tsdb.remote_read import xor

NOW_MS = int(time.time()) * 1000
N = 250
STEP_MS = 15_000
T0 = NOW_MS - N * STEP_MS
OPTIONS = ("--enable-feature=native-histograms", "--web.enable-remote-write-receiver")


def series(labels: dict[str, str], *parts: bytes) -> bytes:
    named = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
    return field(1, named + b"".join(parts))


def sample(t_ms: int, value: float) -> bytes:
    return field(2, field(1, value) + field(2, t_ms))


def native(t_ms: int, count: float) -> bytes:
    """A float histogram of schema 0 with observations in the buckets 3 and 5."""
    spans = field(11, field(1, 6) + field(2, 1)) + field(11, field(1, 2) + field(2, 1))
    counts = field(13, count / 2) * 2
    return field(4, field(2, count) + field(3, 21.5) + spans + counts + field(15, t_ms))


def write(url: str, body: bytes) -> None:
    """Remote write."""
    connection = http.client.HTTPConnection(urlparse(url).netloc, timeout=60)
    headers = {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }  # fmt: skip
    connection.request("POST", "/api/v1/write", bytes(cramjam.snappy.compress_raw(body)), headers)
    response = connection.getresponse()
    assert response.status == 204, response.read()


def value(i: int, k: int) -> float:
    return i * 1000 + k * 0.25


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("remote-read") / "data") as process:
        for half in (range(N // 2), range(N // 2, N)):  # the first into a block, the second stays in the head
            body = b"".join(
                series({"__name__": "rr_total", "i": str(i)}, *(sample(T0 + k * STEP_MS, value(i, k)) for k in half))
                for i in range(100)
            )
            body += series({"__name__": "rr_seconds"}, *(native(T0 + k * STEP_MS, float(k + 2)) for k in half))
            write(process.url, body)
            if half.start == 0:
                process.client.flush()
        yield process


def ends() -> tuple[int, int]:
    return T0, NOW_MS


@pytest.mark.parametrize("form", [client.SAMPLES, client.CHUNKS])
def test_both_forms_have_every_sample(obs: ObsProcess, form: int) -> None:
    queries = [client.query(*ends(), (0, "__name__", "rr_total")), client.query(*ends(), (2, "i", "[[:digit:]]"))]
    status, headers, body = client.ask(obs.url, client.request(queries, [form]))
    assert status == 200, body
    if form == client.SAMPLES:
        assert (headers["content-type"], headers["content-encoding"]) == ("application/x-protobuf", "snappy")
        answers = client.read_samples(body)
    else:
        assert headers["content-type"] == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
        frames = client.read_frames(body)
        answers = [[s for query, s in frames if query == n] for n in range(2)]
        assert {len(s.chunks) for _, s in frames} == {3}
    assert [len(found) for found in answers] == [100, 10]
    assert answers[1] == [s for s in answers[0] if len(s.labels["i"]) == 1]
    for found in answers[0]:
        i = int(found.labels["i"])
        assert found.samples == [(T0 + k * STEP_MS, value(i, k)) for k in range(N)]
    assert [s.labels["i"] for s in answers[0]] == sorted(map(str, range(100)))


@pytest.mark.parametrize("form", [client.SAMPLES, client.CHUNKS])
def test_stale_markers_keep_their_bits(obs: ObsProcess, form: int) -> None:
    write(obs.url, series({"__name__": "rr_gone"}, sample(T0, 1.0), sample(T0 + 1, STALE)))
    query = client.query(*ends(), (0, "__name__", "rr_gone"))
    _, _, body = client.ask(obs.url, client.request([query], [form]))
    (found,) = client.read_samples(body)[0] if form == client.SAMPLES else [s for _, s in client.read_frames(body)]
    assert [(t, float(v).hex() if v == v else np.float64(v).tobytes()) for t, v in found.samples] == [
        (T0, "0x1.0000000000000p+0"), (T0 + 1, np.float64(STALE).tobytes())
    ]  # fmt: skip


@pytest.mark.parametrize("form", [client.SAMPLES, client.CHUNKS])
def test_both_forms_have_native_histograms(obs: ObsProcess, form: int) -> None:
    query = client.query(T0, T0 + 9 * STEP_MS, (0, "__name__", "rr_seconds"))
    _, _, body = client.ask(obs.url, client.request([query], [form]))
    (found,) = client.read_samples(body)[0] if form == client.SAMPLES else [s for _, s in client.read_frames(body)]
    half = [(k + 2) / 2 for k in range(10)]
    assert found.histograms == [(T0 + k * STEP_MS, 2 * half[k], 21.5, {3: half[k], 5: half[k]}) for k in range(10)]
    assert found.samples == []


def test_the_first_form_that_is_known_is_used(obs: ObsProcess) -> None:
    query = client.query(*ends(), (0, "__name__", "nothing"))
    for accepted, kind in (
        ([], "application/x-protobuf"),
        ([9, 1, 0], "application/x-streamed-protobuf"),
        ([0, 1], "application/x-protobuf"),
    ):
        _, headers, _ = client.ask(obs.url, client.request([query], accepted))
        assert headers["content-type"].split(";")[0] == kind


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\xff\xff", "cannot unpack snappy body"),
        (client.request([client.query(*ends(), (2, "i", "("))], [client.CHUNKS]), "cannot compile regex"),
        (client.request([client.query(*ends(), (7, "i", "x"))]), "cannot read matcher"),
        (client.request([client.query(*ends(), (0, "i", "x"))], [5]), "cannot answer in response types [5]"),
    ],
    ids=["no snappy", "regex", "matcher", "form"],
)
def test_faulty_requests(obs: ObsProcess, body: bytes, said: str) -> None:
    status, headers, text = client.ask(obs.url, body)
    assert (status, headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert said in text.decode()


@pytest.mark.parametrize(
    "promql",
    [
        "sum by (i) (rate(rr_total{i=~'[1-3].'}[5m]))",
        "rr_total{i='7'} offset 10m",
        "count(rr_total)",
    ],
)
def test_prometheus_reads_from_obs(obs: ObsProcess, prometheus: PrometheusProcess, promql: str) -> None:
    start, end = (T0 + 20 * STEP_MS) / 1000, NOW_MS / 1000
    ours = obs.client.prometheus.query_range(promql, start, end, 60)
    theirs = prometheus.client.prometheus.query_range(promql, start, end, 60)
    assert len(ours.result) > 0
    assert by_labels(theirs.result) == by_labels(ours.result)


def test_chunks_are_written_as_prometheus_writes_them(obs: ObsProcess, prometheus: PrometheusProcess) -> None:
    times = [T0 + k * STEP_MS + k * 7919 % 1500 for k in range(100)]
    body = series({"__name__": "same_total"}, *(sample(t, t / 7) for t in times))
    body += series({"__name__": "same_seconds"}, native(NOW_MS, 7.0))
    for url in (obs.url, prometheus.url):
        write(url, body)
    request = client.request([client.query(*ends(), (2, "__name__", "same_.*"))], [client.CHUNKS])
    ours, theirs = (client.read_frames(client.ask(url, request)[2]) for url in (obs.url, prometheus.url))
    assert [s.samples for _, s in ours] == [s.samples for _, s in theirs] == [[], [(t, t / 7) for t in times]]
    assert ours[0] == theirs[0]
    for kind, _, _, data in theirs[1][1].chunks:  # cut at other times than ours
        found = list(client.xor_samples(data))
        again = xor.encode_chunk([t for t, _ in found], [int(np.float64(v).view(np.int64)) for _, v in found])
        assert (kind, again) == (1, data)


def by_labels(result: list[dict]) -> dict[str, list]:
    return {str(sorted(s["metric"].items())): s["values"] for s in result}


@pytest.fixture(scope="module")
def prometheus(obs: ObsProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    config = f"remote_read: [{{url: '{obs.url}/api/v1/read', read_recent: true}}]"
    with PrometheusProcess(folder, config, *OPTIONS) as process:
        yield process
