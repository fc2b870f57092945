"""The analyses over one store, in the head, in blocks and split: figures worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from span_batches import SpanRow, spans_batch
from standing_spans import asked, standing

from obs.errors import QueryLimit
from obs.tracestore import catalog
from obs.tracestore.analysis.flame import folded, merged_stacks
from obs.tracestore.analysis.two_traces import compared
from obs.tracestore.sources import MemorySource

MS = 10**6
NOW = 1_700_000_000 * 10**9
RETRY = {"time_ns": NOW, "name": "retry", "attributes": "{}", "dropped": 0}
ODD: dict[str, Any] = {"status": 2, "events": (RETRY,), "message": "odd", "library": "lib"}
POD = {"k8s.pod.name": "cart-1", "container.id": "ab" * 32, "host.name": "h1"}


def shop(trace: int, cart_ms: int, **of_cart: Any) -> list[SpanRow]:
    """web calls cart, then db; the root ends 10 ms after them."""
    at, start = NOW + trace * 10**9, 5 * MS
    cart, db = start + cart_ms * MS, start + (cart_ms + 20) * MS
    return [
        SpanRow(trace, 1, 0, "web", "GET /", at, at + db + 10 * MS, kind=2),
        SpanRow(trace, 2, 1, "cart", "add", at + start, at + cart, resource=POD, **of_cart),
        SpanRow(trace, 3, 1, "db", "read", at + cart, at + db),
    ]


ROWS = [
    *(row for t in range(1, 21) for row in shop(t, 30, attributes={"version": "old", "tier": "a"})),
    *(row for t in range(21, 31) for row in shop(t, 300, attributes={"version": "new", "tier": "a"}, **ODD)),
    SpanRow(60, 1, 0, "batch", "monthly", NOW, NOW + 30 * 86_400 * 10**9),
    SpanRow(50, 1, 0, "web", "GET /", NOW, NOW + 100 * MS, kind=3, resource={"host.name": "h1"}),
    SpanRow(50, 2, 1, "far", "work", NOW + 500 * MS, NOW + 540 * MS, kind=2, resource={"host.name": "h2"}),
]


@pytest.fixture(scope="module", params=["head", "block", "split"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("traces") / "traces"
    with standing(folder, request.param, ROWS[::2], ROWS[1::2]) as store, asked(store) as client:
        yield client


def get(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(f"/api/traces/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_graph_tells_rates_errors_and_percentiles(client: TestClient) -> None:
    edges = {(e["parent"], e["child"]): e for e in get(client, "graph")["edges"]}
    cart = edges["web", "cart"]
    assert (cart["calls"], cart["errors"]) == (30, 10)
    assert cart["errorRatio"] == pytest.approx(1 / 3)
    assert cart["p50Ns"] == pytest.approx(30 * MS, rel=0.02)
    assert cart["p90Ns"] == cart["p99Ns"] == pytest.approx(300 * MS, rel=0.02)
    assert cart["callsPerSecond"] == pytest.approx(1.0, rel=0.02)
    failed = get(client, "graph", q="{ status = error }")["edges"]
    assert [(e["child"], e["calls"], e["p50Ns"]) for e in failed] == [("cart", 10, cart["p99Ns"])]


def test_critical_path_of_one(client: TestClient) -> None:
    found = get(client, f"{1:032x}/critical-path")
    assert [(s["service"], s["criticalNs"]) for s in found["spans"]] == [
        ("web", 15 * MS), ("cart", 30 * MS), ("db", 20 * MS),
    ]  # fmt: skip
    assert found["criticalNs"] == found["durationNs"] == 65 * MS


def test_critical_path_of_many_shows_what_the_slow_ones_wait_for(client: TestClient) -> None:
    found = get(client, "critical-path", service="cart", quantile="0.9")
    assert (found["traces"], found["slowTraces"], found["slowFromNs"]) == (30, 10, 335 * MS)
    cart = found["operations"][0]
    assert (cart["service"], cart["spansOnPath"]) == ("cart", 30)
    assert cart["slowShare"] == pytest.approx(300 / 335)
    assert cart["share"] == pytest.approx((20 * 30 + 10 * 300) / (20 * 65 + 10 * 335))
    assert sum(o["share"] for o in found["operations"]) == pytest.approx(1)


def test_flame_merges_stacks(client: TestClient) -> None:
    nodes = get(client, "flame", service="cart")["nodes"]
    stacks = sorted((n["parent"], n["service"], n["spans"]) for n in nodes)
    assert stacks == [(-1, "web", 30), (0, "cart", 30), (0, "db", 30)]
    assert nodes[0]["selfNs"] == 30 * 15 * MS
    assert nodes[0]["totalNs"] == (20 * 65 + 10 * 335) * MS
    lines = client.get("/api/traces/flame", params={"service": "cart", "format": "folded"}).text.splitlines()
    assert f"web GET / {30 * 15 * 1000}" in lines
    assert f"web GET /;cart add {(20 * 30 + 10 * 300) * 1000}" in lines


def test_two_traces_are_compared_by_stack(client: TestClient) -> None:
    found = get(client, "compare", a=f"{1:x}", b=f"{21:x}")
    assert found["durationDeltaNs"] == 270 * MS
    assert [(s["name"], s["durationDeltaNs"], s["selfDeltaNs"]) for s in found["spans"]] == [
        ("GET /", 270 * MS, 0), ("add", 270 * MS, 270 * MS), ("read", 0, 0),
    ]  # fmt: skip
    other = get(client, "compare", a=f"{1:x}", b=f"{50:x}")
    assert (other["onlyA"], other["onlyB"]) == (2, 1)


@pytest.mark.parametrize("ask", [{"failed": "1"}, {"slow": "200ms"}, {"among": '{ span.version = "new" }'}])
def test_differences_find_what_the_slow_and_failed_have(client: TestClient, ask: dict[str, str]) -> None:
    found = get(client, "differences", service="cart", **ask)
    assert (found["inside"], found["outside"]) == (10, 20)
    assert [(d["attribute"], d["value"]) for d in found["differences"]] == [("span.version", "new")]
    difference = found["differences"][0]
    assert (difference["insideShare"], difference["outsideShare"]) == (1.0, 0.0)
    assert difference["p"] == pytest.approx(1 / 30045015)  # 10 of 30, all of them the failed ones
    assert difference["p"] <= difference["q"] <= 0.05


def test_differences_among_what_only_events_and_messages_tell(client: TestClient) -> None:
    for among in ('{ event:name = "retry" }', '{ statusMessage = "odd" }', '{ instrumentation:name = "lib" }'):
        found = get(client, "differences", service="cart", among=among)
        assert (found["inside"], found["outside"]) == (10, 20), among


def test_heat_map_counts_every_span_once(client: TestClient) -> None:
    found = get(client, "heatmap", service="cart", columns=10)
    assert sum(map(sum, found["spans"])) == 30
    assert sum(map(sum, found["errors"])) == 10
    rows = [low for low, row in zip(found["rowsNs"], found["spans"], strict=True) if any(row)]
    assert [low <= ms * MS < low * 1.25 for low, ms in zip(rows, (30, 300), strict=True)] == [True, True]


def test_scatter(client: TestClient) -> None:
    points = get(client, "scatter", q="{ status = error }")["traces"]
    assert sorted(p["durationNs"] for p in points) == [335 * MS] * 10


def test_related_names_logs_and_metrics_by_id_and_resource(client: TestClient) -> None:
    found = get(client, f"{1:x}/related")
    assert found["logs"]["query"] == f'{{}} | trace_id = "{1:032x}"'
    queries = [m["query"] for m in found["metrics"]]
    assert f'sum(rate(container_cpu_usage_seconds_total{{container_id="{"ab" * 32}"}}[1m]))' in queries
    assert any("container_label_io_kubernetes_pod_name" in q for q in queries)
    assert all(m["url"].startswith("/api/v1/query_range?query=") for m in found["metrics"])


def test_metrics_of_a_long_trace_come_in_steps_that_a_server_answers(client: TestClient) -> None:
    for trace, least in ((1, 15), (60, 2593)):
        url = get(client, f"{trace:x}/related")["metrics"][0]["url"]
        asked = {name: int(values[0]) for name, values in parse_qs(urlsplit(url).query).items() if name != "query"}
        assert asked["step"] == least
        assert (asked["end"] - asked["start"]) / asked["step"] <= 1000


def test_clock_skew_is_told(client: TestClient) -> None:
    found = get(client, f"{50:x}")
    assert [(s["startNs"] - NOW, s["skewNs"], s["criticalNs"]) for s in found["spans"]] == [
        (0, 0, 60 * MS), (500 * MS, -470 * MS, 40 * MS),
    ]  # fmt: skip
    assert any("clock skew: 1 spans" in w for w in found["warnings"])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("critical-path?service=none", "cannot analyse traces: the search finds none"),
        ("compare?a=1", "cannot compare traces: b names none"),
        (f"compare?a=1&b={99:x}", "cannot find trace"),
        ("critical-path?quantile=2", "cannot read quantile"),
        ("differences?fdr=x", "cannot read fdr"),
        ("differences?among={ nonsense", "1:"),
        ("differences?among={ } | rate()", "cannot search for traces by a metric"),
        ("differences?failed=maybe", "cannot read failed"),
        ("heatmap?columns=x", "cannot read columns"),
        ("zz/critical-path", "cannot read trace id"),
        (f"{99:x}/related", "cannot find trace"),
    ],
)
def test_bad_questions_are_answered_in_words(client: TestClient, path: str, words: str) -> None:
    answer = client.get(f"/api/traces/{path}")
    assert 400 <= answer.status_code < 500
    assert words in answer.json()["error"]


def test_catalogs_of_before_have_no_buckets() -> None:
    found = catalog.decode(b'{"operations":{},"edges":[["a","b",1,0,5]]}')
    assert (found.bucketed, found.edges["a", "b"].calls) == (False, 1)


def deep(first: int, spans: int) -> MemorySource:
    """A chain of spans, each the child of the one before it."""
    rows = [
        SpanRow(1, i + 1, i, "web", f"f{i % 7}", first + i, first + 2 * spans * MS - i) for i in range(spans)
    ]  # fmt: skip
    return MemorySource("deep", pa.Table.from_batches([spans_batch(*rows).tables["spans"]]))


def test_a_deep_trace_is_compared_with_itself_and_merged() -> None:
    source = deep(NOW, 5_000)
    found = compared(source, source)
    assert (found["onlyA"], found["onlyB"], len(found["spans"])) == (0, 0, 5_000)
    assert [s["depth"] for s in found["spans"]] == list(range(5_000))
    nodes = merged_stacks(source)
    assert [n.parent for n in nodes] == list(range(-1, 4_999))
    with pytest.raises(QueryLimit, match="cannot write stacks of"):
        list(folded(nodes))
