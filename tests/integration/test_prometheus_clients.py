"""Prometheus's clients against a real obs: promtool, prometheus-api-client, Grafana's requests, a Prometheus itself."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cramjam
import httpx
import obs_command
import pytest
from obs_process import ObsProcess, eventually
from prometheus_api_client import PrometheusConnect
from prometheus_process import PrometheusProcess, program
from protobuf_fields import field

NOW_S = int(time.time()) - 5
N = 40


def series(labels: dict[str, str], *parts: bytes) -> bytes:
    named = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
    return field(1, named + b"".join(parts))


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    """Two counters that rise by 15 every 15 s, with an exemplar and a description."""
    exemplar = field(3, field(1, field(1, b"trace_id") + field(2, b"abc")) + field(2, 0.5) + field(3, NOW_S * 1000))
    body = field(3, field(1, 1) + field(2, b"shop_orders") + field(4, b"Orders taken."))
    for job in ("api", "db"):
        samples = [field(2, field(1, 15.0 * k) + field(2, (NOW_S - (N - 1 - k) * 15) * 1000)) for k in range(N)]
        samples.append(field(2, field(1, 15.0 * (N - 1)) + field(2, int(time.time()) * 1000)))  # NOW_S may be long ago
        body += series({"__name__": "shop_orders_total", "job": job}, *samples, exemplar)
    with ObsProcess(tmp_path_factory.mktemp("clients") / "data") as process:
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        packed = bytes(cramjam.snappy.compress_raw(body))
        assert httpx.post(f"{process.url}/api/v1/write", content=packed, headers=headers).status_code == 204
        yield process


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["instant", "URL", "sum(shop_orders_total)"], "{} => 1170 @["),
        (["range", f"--start={NOW_S - 60}", f"--end={NOW_S}", "--step=60s", "URL", "sum(shop_orders_total)"],
         f"{{}} =>\n1050 @[{NOW_S - 60}]\n1170 @[{NOW_S}]\n"),
        (["series", "--match=shop_orders_total", "URL"], '{__name__="shop_orders_total", job="api"}\n'),
        (["labels", "URL", "job"], "api\ndb\n"),
    ],
    ids=lambda value: value[0],
)  # fmt: skip
def test_promtool(obs: ObsProcess, arguments: list[str], said: str) -> None:
    argv = [program("promtool"), "query", *(obs.url if a == "URL" else a for a in arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


def test_prometheus_api_client(obs: ObsProcess) -> None:
    client = PrometheusConnect(url=obs.url)
    assert client.check_prometheus_connection()
    assert "shop_orders_total" in client.all_metrics()
    assert {"job", "__name__"} <= set(client.get_label_names())
    assert {"api", "db"} <= set(client.get_label_values("job"))
    (now,) = client.get_current_metric_value("shop_orders_total", {"job": "api"}, {"time": NOW_S})
    assert now["value"] == [NOW_S, "585"]
    start, end = (datetime.fromtimestamp(NOW_S - ago, UTC) for ago in (60, 0))
    found = client.custom_query_range("sum(shop_orders_total)", start, end, "30")
    assert found[0]["values"] == [[NOW_S - ago, str(1170 - 2 * ago)] for ago in (60, 30, 0)]
    raw = client.get_metric_range_data("shop_orders_total", {"job": "db"}, start, end)
    assert len(raw[0]["values"]) >= 4


def grafana(obs: ObsProcess, method: str, path: str, **given: object) -> object:
    """One request of Grafana's data source, and the data of its answer."""
    where = {"data" if method == "POST" else "params": given}
    answer = httpx.request(method, f"{obs.url}/api/v1/{path}", **where)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["status"]) == (200, "success"), answer.text
    return answer.json()["data"]


def test_what_grafana_asks(obs: ObsProcess) -> None:
    """Save & test, the query builder from metric to label to value, a panel, its exemplars, the alerting page."""
    when = {"start": NOW_S - 600, "end": NOW_S}
    assert "version" in grafana(obs, "GET", "status/buildinfo")
    assert grafana(obs, "POST", "query", query="1+1", time=NOW_S)["result"] == [NOW_S, "2"]
    assert "shop_orders_total" in grafana(obs, "GET", "label/__name__/values", **when, limit=40000)
    assert grafana(obs, "GET", "metadata", limit=40000)["shop_orders"][0]["help"] == "Orders taken."
    selector = {"match[]": '{__name__="shop_orders_total"}'}
    assert grafana(obs, "POST", "labels", **when, **selector) == ["__name__", "job"]
    assert grafana(obs, "GET", "label/job/values", **when, **selector) == ["api", "db"]
    assert len(grafana(obs, "POST", "series", **when, **selector)) == 2
    query = "max by (job) (increase(shop_orders_total[1m0s]) * 0 + 7)"
    panel = grafana(obs, "POST", "query_range", query=query, **when, step=15)
    assert [s["metric"] for s in panel["result"]] == [{"job": "api"}, {"job": "db"}]
    assert {v for s in panel["result"] for _, v in s["values"][2:]} == {"7"}
    found = grafana(obs, "POST", "query_exemplars", query=query, **when)
    assert [e["labels"] for s in found for e in s["exemplars"]] == [{"trace_id": "abc"}] * 2
    assert grafana(obs, "GET", "rules") == {"groups": []}
    assert grafana(obs, "GET", "alerts") == {"alerts": []}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "shop_orders_totl",
            '1:1 shop_orders_totl: no metric is called "shop_orders_totl"; the nearest names are ',
        ),
        ('shop_orders_total{job="apy"}', 'none has job="apy": the label is "api", "db"'),
        ("sum(\n shop_orders_total{)", f"\n   shop_orders_total{{)\n{21 * ' '}^"),
    ],
)
def test_the_command_line_points_at_what_is_wrong(obs: ObsProcess, query: str, said: str) -> None:
    done = obs_command.obs("query", query, "--why", server=obs.url)
    assert said in done.stderr
    assert done.returncode == (2 if "^" in said else 0)


CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
  - {job_name: itself, static_configs: [{targets: [SELF]}]}
  - job_name: federation
    honor_labels: true
    metrics_path: /federate
    params: {"match[]": ["shop_orders_total"]}
    static_configs: [{targets: [OBS]}]
remote_write:
  - url: http://OBS/api/v1/write
    queue_config: {batch_send_deadline: 500ms}
    metadata_config: {send_interval: 1s}
"""


@pytest.fixture(scope="module")
def prometheus(obs: ObsProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with PrometheusProcess(folder, CONFIG.replace("OBS", obs.url.removeprefix("http://"))) as process:
        yield process


def test_prometheus_federates_obs_and_writes_to_it(obs: ObsProcess, prometheus: PrometheusProcess) -> None:
    taken = eventually(lambda: prometheus.client.prometheus.query("shop_orders_total").result, lambda r: len(r) == 2)
    assert [(s["metric"], s["value"][1]) for s in taken] == [
        ({"__name__": "shop_orders_total", "job": job}, "585") for job in ("api", "db")
    ]
    build = eventually(lambda: obs.client.prometheus.query("prometheus_build_info").result)
    assert build[0]["metric"]["job"] == "itself"
    kinds = eventually(lambda: obs.client.prometheus.metadata("prometheus_build_info"))
    assert kinds["prometheus_build_info"][0]["type"] == "gauge"
