"""Prometheus's API of targets: /api/v1/targets, /targets/metadata, /scrape_pools.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#targets
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Response

from obs.collector.receivers.scrape.receiver import Pool, Scraped, Scraper

PREFIX = "/api/v1"


def router(scraper: Scraper) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix=PREFIX, tags=["scraping"])

    @api.get("/targets")
    def targets(state: str = "any", scrapePool: str = "") -> Response:
        pools = [pool for name, pool in sorted(scraper.pools.items()) if scrapePool in ("", name)]
        active = [_active(s) for pool in pools for s in list(pool.active.values())] if state != "dropped" else []
        dropped = [_dropped(d) for pool in pools for d in pool.dropped] if state != "active" else []
        counts = {pool.job.job_name: len(pool.dropped) for pool in pools}
        return _success({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts})

    @api.get("/scrape_pools")
    def scrape_pools() -> Response:
        return _success({"scrapePools": sorted(scraper.pools)})

    @api.get("/targets/metadata")
    def metadata(metric: str = "", limit: int = 0) -> Response:
        rows = list(_metadata(scraper.pools.values(), metric))
        return _success(rows[:limit] if limit > 0 else rows)

    return api


def _success(data: Any) -> Response:
    return Response(orjson.dumps({"status": "success", "data": data}), media_type="application/json")


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
        "scrapeInterval": f"{target.interval_s:g}s",
        "scrapeTimeout": f"{target.timeout_s:g}s",
    }


def _dropped(dropped: Any) -> dict[str, Any]:
    return {"discoveredLabels": dict(dropped.discovered), "scrapePool": dropped.job}


def _metadata(pools: Any, metric: str) -> Iterator[dict[str, Any]]:
    pool: Pool
    for pool in pools:
        for scraped in list(pool.active.values()):
            for name, family in scraped.families.items():
                if metric in ("", name):
                    shown = {"type": family.kind, "help": family.help, "unit": family.unit}
                    target = dict(scraped.target.labels)
                    yield {"target": target, **({} if metric else {"metric": name}), **shown}
