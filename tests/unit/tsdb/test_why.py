"""Why queries give nothing: the words, against a small store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from obs.model.build import metrics_batch
from obs.model.labels import make_labels
from obs.model.stale import STALE
from obs.tsdb.promql import PromQL
from obs.tsdb.store import MetricStore
from obs.tsdb.why.walk import When, why_empty

NOW = 1_700_000_000_000
HOUR = 3_600_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricStore]:
    store = MetricStore(tmp_path_factory.mktemp("why") / "metrics")
    store.open()
    rows = [
        (f"{kind}_total", {"job": job, "instance": f"{job}:1", **extra}, NOW - k * 60_000, 100.0 - k)
        for kind, extra in (("http_requests", {"code": "200"}), ("errors", {"reason": "x"}))
        for job in ("api", "db")
        for k in range(10)
    ]
    rows += [("early", {"job": "api"}, NOW - 3 * HOUR, 1.0), ("ended", {}, NOW - 1000, STALE)]
    rows += [("early", {"job": "api"}, NOW + 2 * HOUR, 1.0), ("lat_bucket", {"job": "api"}, NOW, 1.0)]
    store.consume(metrics_batch([(make_labels({"__name__": n, **ls}), t, v) for n, ls, t, v in rows]))
    yield store
    store.close()


CASES = [
    ("http_request_total", "1:1",
     'no metric is called "http_request_total"; the nearest names are http_requests_total'),
    ("zzz", "1:1", 'no metric is called "zzz", and none of the 5 metrics has a name like it'),
    ('sum(rate(http_requests_total{job="apis"}[5m]))', "1:10",
     'of 2 series with http_requests_total, none has job="apis": the label is "api", "db"'),
    ('http_requests_total{service="api"}', "1:1", "none has this label; job has this value"),
    ('http_requests_total{serice="9"}', "1:1", "none has this label; their labels are code, instance, job"),
    ('http_requests_total{job="api",instance="db:1"}', "1:1",
     'of 1 series with http_requests_total{job="api"}, none has instance="db:1": the label is "api:1"'),
    ('http_requests_total{code!~"2.."}', "1:1", 'the label is "200" on all of them'),
    ('{__name__=~"xyz.+"}', "1:1", 'no metric\'s name satisfies __name__=~"xyz.+"; some of the 5 metrics: early'),
    ("early", "1:1", "the last before is 2h55m earlier (2023-11-14 19:13:20 UTC)"),
    ("early", "1:1", "the first after is 2h later (2023-11-15 00:13:20 UTC)"),
    ("early offset 1d", "1:1", "have no sample between 2023-11-13 22:08:20 UTC and 2023-11-13 22:13:20 UTC"),
    ("ended", "1:1", "1 series ended: the last stale marker is of 2023-11-14 22:13:19 UTC"),
    ("rate(http_requests_total[1m])", "1:1",
     "rate needs two samples in a window, and samples are 1m apart: [1m] is too short; [4m] would do"),
    ("errors_total / http_requests_total", "1:1",
     'code is absent on the left and "200" on the right; reason is "x" on the left and absent on the right; '
     "match with on (instance, job)"),
    ("errors_total > 1e3", "1:1",
     "the comparison > holds for none of the values on the left, which are between 100 and 100"),
    ("1e3 < errors_total", "1:1", "the comparison < holds for none of the values on the right"),
    ("errors_total unless errors_total", "1:1", "each of the 2 series on the left has one with the same labels"),
    ("absent(errors_total)", "1:1", "absent gives nothing where there is something"),
    ("histogram_quantile(0.9, lat_bucket)", "1:1", "the 1 series it is given have no label le"),
    ("max_over_time(nothing_at_all[1h:1m])", "1:15", 'no metric is called "nothing_at_all"'),
    ("1 +\n zzz", "2:2", "no metric is called"),
    ("topk(0, errors_total)", "1:1", "topk keeps none of the series that it is given"),
]  # fmt: skip


@pytest.mark.parametrize("step", [0, 30_000], ids=["instant", "range"])
@pytest.mark.parametrize(("query", "place", "said"), CASES, ids=[f"{q} {p}" for q, p, _ in CASES])
def test_reasons(store: MetricStore, query: str, place: str, said: str, step: int) -> None:
    (reason,) = why_empty(store, PromQL(store), query, When(NOW, NOW, step, 300_000))
    assert f"{reason.line}:{reason.column}" == place
    assert said in reason.text


def test_each_part_that_is_missing_is_told(store: MetricStore) -> None:
    found = why_empty(store, PromQL(store), "aaa or (bbb and errors_total) or aaa", When(NOW, NOW, 0, 300_000))
    assert [(r.column, r.expression) for r in found] == [(1, "aaa"), (9, "bbb"), (34, "aaa")]


@pytest.mark.parametrize("query", ["errors_total", "1", "vector(1) unless aaa", "absent(aaa)", "errors_total[5m]"])
def test_what_gives_something_has_no_reason(store: MetricStore, query: str) -> None:
    assert why_empty(store, PromQL(store), query, When(NOW, NOW, 0, 300_000)) == []
