"""Prometheus's API of targets: what is shown, what is chosen, and what is said of bad parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.scrape.api import router
from obs.collector.receivers.scrape.config import parse as jobs
from obs.collector.receivers.scrape.receiver import Pool, Scraped, Scraper
from obs.collector.receivers.scrape.targets import targets_of
from obs.exposition.text import Family
from obs.model.clock import SYSTEM_CLOCK
from obs.tsdb.params import selector

PAGES = {
    "a:1": {"up_since": Family("gauge", "s", "Since."), "jobs": Family("counter", "", "Jobs.")},
    "b:1": {"jobs": Family("counter", "", "Jobs.")},
}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    scraper = Scraper(Intake(Pipeline({}), Ledger()), SYSTEM_CLOCK, Path())
    drop = [{"source_labels": ["__address__"], "regex": "dropped.*", "action": "drop"}]
    entry = {"job_name": "app", "scrape_interval": "90s", "relabel_configs": drop}
    for job in jobs([entry, {"job_name": "none"}]):
        scraper.pools[job.job_name] = pool = Pool(job, [])
        if job.job_name == "app":
            found, pool.dropped = targets_of(job, [tuple({"__address__": a} for a in (*PAGES, "dropped:1"))])
            for target in found:
                pool.active[target.key] = Scraped(target, families=PAGES[dict(target.labels)["instance"]])
    app = FastAPI()
    app.include_router(router(scraper, partial(selector, parameter="match_target"), lambda job: job.job_name))
    with TestClient(app) as opened:
        yield opened
    scraper.close()


A, B = ({"instance": address, "job": "app"} for address in PAGES)
SINCE = {"type": "gauge", "help": "Since.", "unit": "s"}
JOBS = {"type": "counter", "help": "Jobs.", "unit": ""}
FIRST = [{"target": A, "metric": "up_since", **SINCE}, {"target": A, "metric": "jobs", **JOBS}]
SECOND = [{"target": B, "metric": "jobs", **JOBS}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", FIRST + SECOND),
        ("metric=jobs", [{"target": A, **JOBS}, {"target": B, **JOBS}]),
        ("metric=none", []),
        ('match_target={instance="b:1"}', SECOND),
        ('match_target={instance=~"a.*"}&metric=jobs', [{"target": A, **JOBS}]),
        ('match_target={job="other"}', []),
        ("limit=1", FIRST),  # whole targets, as Prometheus counts
        ("limit=2", FIRST),
        ("limit=3", FIRST + SECOND),
        ("limit=0", []),
        ("limit=-1", FIRST + SECOND),
    ],
)
def test_metadata_of_targets(client: TestClient, query: str, expected: Any) -> None:
    assert client.get(f"/api/v1/targets/metadata?{query}").json() == {"status": "success", "data": expected}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("limit=x", "limit must be a number"),
        ('match_target={job="', 'invalid parameter "match_target": 1:6: parse error: unterminated quoted string'),
    ],
)
def test_bad_parameters(client: TestClient, query: str, error: str) -> None:
    answer = client.get(f"/api/v1/targets/metadata?{query}")
    told = answer.json()
    assert (answer.status_code, told["status"], told["errorType"]) == (400, "error", "bad_data")
    assert told["error"].startswith(error)


@pytest.mark.parametrize(
    ("query", "active", "dropped"),
    [("", 2, 1), ("state=ANY", 2, 1), ("state=active", 2, 0), ("state=Dropped", 0, 1), ("state=other", 0, 0),
     ("scrapePool=app", 2, 1), ("scrapePool=none", 0, 0)],
)  # fmt: skip
def test_targets_by_state_and_pool(client: TestClient, query: str, active: int, dropped: int) -> None:
    found = client.get(f"/api/v1/targets?{query}").json()["data"]
    assert (len(found["activeTargets"]), len(found["droppedTargets"])) == (active, dropped)
    for target in found["activeTargets"]:
        assert (target["scrapeInterval"], target["scrapeTimeout"]) == ("1m30s", "10s")
        assert target["discoveredLabels"]["__scrape_interval__"] == "1m30s"
        assert (target["health"], target["lastScrape"]) == ("unknown", "0001-01-01T00:00:00Z")


def test_steps_of_relabeling(client: TestClient) -> None:
    def told(address: str) -> Any:
        params = {"scrapePool": "app", "labels": f'{{"__address__": "{address}"}}'}
        (step,) = client.get("/api/v1/targets/relabel_steps", params=params).json()["data"]["steps"]
        assert step["rule"]["action"] == "drop" and step["rule"]["source_labels"] == ["__address__"]
        return step["keep"], step["output"]

    assert told("dropped:1") == (False, {}) and told("a:1") == (True, {"__address__": "a:1"})


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("targets/relabel_steps", "no scrapePool parameter provided"),
        ("targets/relabel_steps?scrapePool=app", "no labels parameter provided"),
        ("targets/relabel_steps?scrapePool=app&labels=1", "error parsing labels"),
        ("targets/relabel_steps?scrapePool=x&labels={}", 'error retrieving scrape config: scrape pool "x" not found'),
        ("scrape_pools/config", "no scrapePool parameter provided"),
        ("scrape_pools/config?scrapePool=x", 'error retrieving scrape config: scrape pool "x" not found'),
    ],
)
def test_bad_pools(client: TestClient, path: str, error: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 400 and answer.json()["error"].startswith(error)
    assert client.get("/api/v1/scrape_pools/config?scrapePool=app").json()["data"] == {"yaml": "app"}
