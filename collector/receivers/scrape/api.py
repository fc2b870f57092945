"""Prometheus's API of targets: /api/v1/targets, /targets/{metadata,relabel_steps}, /scrape_pools, /scrape_pools/config.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#targets
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Response

from obs.collector.receivers.scrape.config import Job
from obs.collector.receivers.scrape.receiver import Scraped, Scraper
from obs.collector.receivers.scrape.relabel import relabel
from obs.cors import OpenRoute
from obs.errors import ObsError
from obs.model.durations import duration_text
from obs.model.labels import Matcher

PREFIX = "/api/v1"

Selecting = Callable[[str], Sequence[Matcher]]


def router(scraper: Scraper, selecting: Selecting, shown: Callable[[Job], str] = lambda job: "") -> APIRouter:
    """The routes; `selecting` reads a series selector, and raises a QueryError; `shown` is a job without secrets."""
    api = APIRouter(prefix=PREFIX, tags=["scraping"], route_class=OpenRoute)

    @api.get("/targets")
    def targets(state: str = "any", scrapePool: str = "") -> Response:
        pools = [pool for name, pool in sorted(scraper.pools.items()) if scrapePool in ("", name)]
        shown = state.lower() or "any"
        every = [s for pool in pools for s in list(pool.active.values())]
        active = [_active(s) for s in every] if shown in ("any", "active") else []
        dropped = [_dropped(d) for pool in pools for d in pool.dropped] if shown in ("any", "dropped") else []
        counts = {pool.job.job_name: len(pool.dropped) for pool in pools}
        return _success({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts})

    @api.get("/scrape_pools")
    def scrape_pools() -> Response:
        return _success({"scrapePools": sorted(scraper.pools)})

    @api.get("/scrape_pools/config")
    def pool_config(scrapePool: str = "") -> Response:
        if scrapePool not in scraper.pools:
            return _no_pool(scrapePool)
        return _success({"yaml": shown(scraper.pools[scrapePool].job)})

    @api.get("/targets/relabel_steps")
    def steps(scrapePool: str = "", labels: str = "") -> Response:
        if not (scrapePool and labels):
            return _bad_data(f"no {'labels' if scrapePool else 'scrapePool'} parameter provided")
        try:
            given = {str(k): str(v) for k, v in dict(orjson.loads(labels)).items()}
        except (ValueError, TypeError):
            return _bad_data(f"error parsing labels: cannot read {labels!r}: give a JSON object of texts")
        if scrapePool not in scraper.pools:
            return _no_pool(scrapePool)
        return _success({"steps": relabel_steps(scraper.pools[scrapePool].job, given)})

    @api.get("/targets/metadata")
    def metadata(metric: str = "", limit: str = "", match_target: str = "") -> Response:
        if not re.fullmatch(r"([+-]?\d{1,18})?", limit, re.ASCII):
            return _bad_data("limit must be a number")
        try:
            matchers = selecting(match_target) if match_target else ()
        except ObsError as e:
            return _bad_data(str(e))
        targets = [s for _, pool in sorted(scraper.pools.items()) for s in list(pool.active.values())]
        matching = (s for s in targets if _matches(s, matchers))
        return _success(_metadata(matching, metric, int(limit or -1)))

    return api


def relabel_steps(job: Job, labels: dict[str, str]) -> list[dict[str, Any]]:
    """What each of a job's rules makes of a target's labels; nothing once a rule has dropped them."""
    left: dict[str, str] | None = labels
    steps = []
    for rule in job.relabel_configs:
        left = None if left is None else relabel(dict(left), [rule.rule()])
        told = {k: v for k, v in rule.model_dump(mode="json").items() if v not in ("", [], 0)}
        steps.append({"rule": told, "output": left or {}, "keep": left is not None})
    return steps


def _no_pool(name: str) -> Response:
    if not name:
        return _bad_data("no scrapePool parameter provided")
    return _bad_data(f"error retrieving scrape config: scrape pool {orjson.dumps(name).decode()} not found")


def _success(data: Any) -> Response:
    return Response(orjson.dumps({"status": "success", "data": data}), media_type="application/json")


def _bad_data(said: str) -> Response:
    body = orjson.dumps({"status": "error", "errorType": "bad_data", "error": said})
    return Response(body, 400, media_type="application/json")


def _active(scraped: Scraped) -> dict[str, Any]:
    target = scraped.target
    last = datetime.fromtimestamp(scraped.last_ns / 1e9, UTC) if scraped.last_ns else datetime(1, 1, 1, tzinfo=UTC)
    return {
        "discoveredLabels": dict(target.discovered),
        "labels": dict(target.labels),
        "scrapePool": target.job.job_name,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": scraped.last_error,
        "lastScrape": last.isoformat().replace("+00:00", "Z"),
        "lastScrapeDuration": scraped.took_s,
        "health": scraped.health,
        "scrapeInterval": duration_text(round(target.interval_s * 1000)),
        "scrapeTimeout": duration_text(round(target.timeout_s * 1000)),
    }


def _dropped(dropped: Any) -> dict[str, Any]:
    return {"discoveredLabels": dict(dropped.discovered), "scrapePool": dropped.job}


def _matches(scraped: Scraped, matchers: Sequence[Matcher]) -> bool:
    labels = dict(scraped.target.labels)
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def _metadata(targets: Iterator[Scraped], metric: str, limit: int) -> list[dict[str, Any]]:
    """What the targets' pages say of their metrics; no further target is looked at past `limit` (-1: none)."""
    rows: list[dict[str, Any]] = []
    for scraped in targets:
        if 0 <= limit <= len(rows):
            break
        for name, family in scraped.families.items():
            if metric in ("", name):
                shown = {"type": family.kind, "help": family.help, "unit": family.unit}
                target = dict(scraped.target.labels)
                rows.append({"target": target, **({} if metric else {"metric": name}), **shown})
    return rows
