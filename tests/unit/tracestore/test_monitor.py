"""The monitor's series against the plainest reckoning, wherever the spans stand; Jaeger's metric families; faults."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from span_batches import SpanRow
from standing_spans import standing

from obs.tracestore import api, limits
from obs.tracestore.monitor import MonitorQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.windowquantiles import window_quantiles

S, MS = 10**9, 10**6
NOW = 1_700_000_000 * S
METRICS = "/jaeger/api/metrics"


def rows() -> list[SpanRow]:
    """Four hundred spans of ninety traces over ten minutes; some begin on the very edge of a window."""
    chance = random.Random(7)
    found = []
    for i in range(400):
        start = NOW - chance.choice([chance.randrange(600 * S), chance.randrange(10) * 60 * S])
        found.append(
            SpanRow(i % 90 + 1, i + 1, 0, chance.choice(["web", "cart", None]), chance.choice(["a", "b"]), start,
                    start + chance.randrange(900) * MS - 50 * MS, chance.choice([2, 2, 3]), chance.choice([0, 0, 2]))
        )  # fmt: skip
    return found


ROWS = rows()


@pytest.fixture(scope="module", params=["head", "block", "split"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraceStore]:
    folder = tmp_path_factory.mktemp("traces") / "traces"
    with standing(folder, request.param, ROWS[:250], ROWS[200:]) as store:  # fifty come twice
        yield store


def plainly(query: MonitorQuery) -> dict[tuple[str, str | None], list[float]]:
    """What the module says, span by span."""
    kinds = query.kinds or range(6)
    spans = [r for r in ROWS if (r.service or "unknown_service") in query.services and r.kind in kinds]
    steps, groups = query.steps().tolist(), set()
    values: dict[tuple[str, str | None], list[float]] = {}
    for r in spans:
        if steps[0] - query.rate_ns < r.start <= steps[-1]:
            groups.add((r.service or "unknown_service", r.name if query.by_operation else None))
    for service, name in groups:
        mine = [r for r in spans if (r.service or "unknown_service") == service and name in (None, r.name)]
        windows = [[r for r in mine if t - query.rate_ns < r.start <= t] for t in steps]
        values[service, name] = [_value(query, w) for w in windows]
    return values


def _value(query: MonitorQuery, spans: list[SpanRow]) -> float:
    if query.kind == "calls":
        return len(spans) / (query.rate_ns / S)
    if not spans:
        return math.nan
    if query.kind == "errors":
        return sum(r.status == 2 for r in spans) / len(spans)
    durations = sorted(max(r.end - r.start, 0) for r in spans)
    return durations[max(math.ceil(query.quantile * len(spans)), 1) - 1]


@pytest.mark.parametrize("kind", ["calls", "errors", "latencies"])
@pytest.mark.parametrize("by_operation", [False, True])
@pytest.mark.parametrize(
    ("services", "kinds", "step_s", "rate_s", "quantile"),
    [
        (["web"], [2], 60, 120, 0.5),
        (["web", "cart"], [], 45, 60, 0.95),
        (["unknown_service"], [2, 3], 7, 1, 1.0),
        (["cart", "none"], [3], 60, 600, 0.0),
        (["none"], [2], 60, 600, 0.5),
    ],
)
def test_series(
    store: TraceStore, kind: Any, by_operation: bool, services: list[str], kinds: list[int], step_s: int, rate_s: int,
    quantile: float,
) -> None:  # fmt: skip
    query = MonitorQuery(
        kind, services, NOW, 540 * S, step_s * S, rate_s * S, kinds, by_operation=by_operation, quantile=quantile
    )
    found = {(s.service, s.operation): s.values for s in store.monitor(query)}
    wanted = plainly(query)
    assert list(found) == sorted(wanted, key=lambda k: (k[0], k[1] or ""))
    for key, values in wanted.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-12)


@pytest.mark.parametrize("cells", [64, 1 << 20])
def test_quantiles_of_many_durations_are_within_half_a_percent(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr("obs.tracestore.windowquantiles.CELLS", cells)
    chance = np.random.default_rng(3)
    bins = np.sort(chance.integers(0, 40, 9_000)).astype(np.uint16)
    durations = np.exp(chance.normal(16, 3, len(bins))).astype(np.int64)
    low, high = np.arange(-1, 38), np.arange(1, 40)
    for quantile in (0.0, 0.5, 0.99, 1.0):
        found = window_quantiles(bins, durations, low, high, quantile)
        for k in range(len(low)):
            inside = np.sort(durations[(bins > low[k]) & (bins <= high[k])])
            exact = inside[max(math.ceil(quantile * len(inside)), 1) - 1]
            assert found[k] == pytest.approx(exact, rel=0.0051)


@pytest.fixture(scope="module")
def client(store: TraceStore) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(api.router(store))
    with TestClient(app) as test_client:
        yield test_client


UI = {"endTs": NOW // MS, "lookback": 540_000, "step": 60_000, "ratePer": 120_000, "spanKind": "server"}


def get(client: TestClient, kind: str, **params: Any) -> Any:
    answer = client.get(f"{METRICS}/{kind}", params={**UI, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_families(client: TestClient) -> None:
    calls = get(client, "calls", service="web")
    assert (calls["name"], calls["type"], calls["help"]) == (
        "service_call_rate", "GAUGE", "calls/sec, grouped by service",
    )  # fmt: skip
    (series,) = calls["metrics"]
    assert series["labels"] == [{"name": "service_name", "value": "web"}]
    assert [p["timestamp"] for p in series["metricPoints"]][:2] == ["2023-11-14T22:04:20Z", "2023-11-14T22:05:20Z"]
    query = MonitorQuery("calls", ["web"], NOW, 540 * S, 60 * S, 120 * S, [2])
    wanted = plainly(query)["web", None]
    assert [p["gaugeValue"]["doubleValue"] for p in series["metricPoints"]] == pytest.approx(wanted)
    errors = get(client, "errors", service="web", spanKind="SPAN_KIND_SERVER", groupByOperation="true")
    assert errors["name"] == "service_operation_error_rate"
    assert [m["labels"][1] for m in errors["metrics"]] == [{"name": "operation", "value": n} for n in ("a", "b")]
    latencies = get(client, "latencies", service="web", quantile="0.95")
    assert (latencies["name"], latencies["help"]) == (
        "service_latencies", "0.95th quantile latency, grouped by service",
    )  # fmt: skip
    slowest = [p["gaugeValue"]["doubleValue"] for p in latencies["metrics"][0]["metricPoints"]]
    assert 0 < max(slowest) <= 900
    assert get(client, "calls", service="none")["metrics"] == []
    assert client.get(f"{METRICS}/minstep").json()["data"] == 1


def test_windows_without_calls_and_fractions_of_a_second(client: TestClient) -> None:
    (series,) = get(client, "errors", service="web", endTs=NOW // MS + 600_000)["metrics"]
    assert series["metricPoints"][-1] == {"gaugeValue": {"doubleValue": "NaN"}, "timestamp": "2023-11-14T22:23:20Z"}
    (series,) = get(client, "calls", service="web", step=20_500)["metrics"]
    assert [p["timestamp"] for p in series["metricPoints"]][1] == "2023-11-14T22:04:40.500Z"


def test_a_step_that_is_too_short_is_lengthened(client: TestClient) -> None:
    (series,) = get(client, "calls", service="web", step=1)["metrics"]
    assert limits.MONITOR_POINTS / 2 < len(series["metricPoints"]) <= limits.MONITOR_POINTS + 1
    many = get(client, "calls", service="web", step=1, groupByOperation="true")["metrics"]
    assert all(len(m["metricPoints"]) <= limits.MONITOR_POINTS_OF_MANY + 1 for m in many)


def test_only_the_busiest_operations_are_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MONITOR_SERIES", 1)
    for kind in ("calls", "errors", "latencies"):
        found = get(client, kind, service=["web", "cart"], groupByOperation="true", quantile=0.5)
        assert len(found["metrics"]) == 1
        assert found["help"].endswith("the 1 with most calls")


@pytest.mark.parametrize(
    ("kind", "params", "said"),
    [
        ("calls", {"service": ""}, "unable to parse param 'service': please provide at least one service name"),
        ("latencies", {}, "unable to parse param 'quantile'"),
        ("latencies", {"quantile": "1.5"}, "no number from 0 to 1"),
        ("latencies", {"quantile": "nan"}, "no number from 0 to 1"),
        ("calls", {"spanKind": "sever"}, "unsupported span kind: 'sever'"),
        ("calls", {"step": "0"}, "unable to parse param 'step'"),
        ("calls", {"ratePer": "1m"}, "ratePer"),
        ("calls", {"groupByOperation": "maybe"}, "groupByOperation"),
        ("calls", {"endTs": "5"}, "endTs"),
        ("calls", {"endTs": "9" * 18}, "endTs"),
        ("calls", {"lookback": "9" * 18}, "look back"),
    ],
)
def test_faults(client: TestClient, kind: str, params: dict[str, str], said: str) -> None:
    answer = client.get(f"{METRICS}/{kind}", params={"service": "web", **UI, **params})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"], said in error["msg"]) == (400, 400, True), error
