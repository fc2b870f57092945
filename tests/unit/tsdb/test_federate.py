"""Federation: the newest sample of each series, in text and in protobuf."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from obs.model.build import metrics_batch
from obs.model.labels import make_labels
from obs.model.stale import STALE
from obs.tsdb import federate
from obs.tsdb.store import MetricStore

NOW_MS = 1_700_000_000_000
UTF8 = {"Accept": "text/plain;version=0.0.4;escaping=allow-utf-8"}


class At:
    """A clock that stands."""

    def now_ns(self) -> int:
        return NOW_MS * 1_000_000


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    store = MetricStore(tmp_path / "metrics", clock=At())
    store.open()
    rows = [
        ("b_total", {"job": "j", "instance": "h:1"}, NOW_MS - 1000, 2.0),
        ("b_total", {"job": "j", "instance": "h:1"}, NOW_MS - 2000, 1.0),
        ("b_total", {"job": 'q"\\'}, NOW_MS - 1000, 1e6),
        ("a.c", {"l.m": "x"}, NOW_MS, math.inf),
        ("ended", {}, NOW_MS - 2000, 1.0),
        ("ended", {}, NOW_MS - 1000, STALE),
        ("old", {}, NOW_MS - 300_001, 1.0),
        ("later", {}, NOW_MS + 1, 1.0),
    ]
    store.consume(metrics_batch([(make_labels({"__name__": n, **ls}), t, v) for n, ls, t, v in rows]))
    app = FastAPI()
    app.include_router(federate.router(store, lambda: {"region": "eu", "job": "never"}))
    with TestClient(app) as opened:
        yield opened
    store.close()


ALL = "/federate?match[]=b_total&match[]={__name__!=''}"
B = (
    f'# TYPE b_total untyped\nb_total{{instance="h:1",job="j",region="eu"}} 2 {NOW_MS - 1000}\n'
    f'b_total{{job="q\\"\\\\",instance="",region="eu"}} 1e+06 {NOW_MS - 1000}\n'
)


def test_the_newest_of_each_series_by_name(client: TestClient) -> None:
    answer = client.get(ALL)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    added = 'instance="",job="never",region="eu"'
    assert answer.text == f'# TYPE a_c untyped\na_c{{l_m="x",{added}}} +Inf {NOW_MS}\n{B}'
    assert client.post("/federate", data={"match[]": "b_total"}).text == B


def test_names_of_any_characters_where_the_scraper_reads_them(client: TestClient) -> None:
    answer = client.get("/federate?match[]={'a.c'}", headers=UTF8)
    assert answer.headers["content-type"].endswith("escaping=allow-utf-8")
    line = f'{{"a.c","l.m"="x",instance="",job="never",region="eu"}} +Inf {NOW_MS}\n'
    assert answer.text == f'# TYPE "a.c" untyped\n{line}'


def test_nothing_asked_for_nothing_given(client: TestClient) -> None:
    assert (client.get("/federate").status_code, client.get("/federate").text) == (200, "")
    refused = client.get("/federate?match[]=m{")
    assert (refused.status_code, refused.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert "1:3: parse error" in refused.text


PROTO = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.mark.parametrize(
    ("accept", "is_protobuf"),
    [
        ("", False), ("*/*", False), (f"{PROTO};q=0.7,text/plain;version=0.0.4;q=0.3", True), (PROTO, True),
        (f"{PROTO};q=0.2,text/plain;q=0.3", False), (f"{PROTO};q=0", False), (f"{PROTO};q=x,*/*", False),
        (PROTO.replace("delimited", "text"), False),
    ],
)  # fmt: skip
def test_what_the_scraper_likes(accept: str, is_protobuf: bool) -> None:
    assert federate.wants_protobuf(accept) is is_protobuf


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1.5, "1.5"), (999999.0, "999999"), (1e6, "1e+06"), (1234567.25, "1.23456725e+06"),
        (-2875392e1, "-2.875392e+07"), (1e-4, "0.0001"), (1e-5, "1e-05"), (1.5e300, "1.5e+300"), (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert federate.number(value) == text
