"""A real obs with a shop's telemetry and this machine's own, and a real Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shop_data
from obs_process import ObsProcess, eventually
from playwright.sync_api import BrowserContext, expect, sync_playwright
from watched_page import Watched, watch

from obs.client import ClientError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
expect.set_options(timeout=30_000)  # a busy machine may take seconds to draw a page
SCREEN = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
RULES = """
groups:
  - name: shop
    interval: 1s
    rules:
      - alert: AlwaysOn
        expr: vector(1)
        labels: {severity: page}
        annotations: {summary: "This one fires to be seen"}
      - record: shop:one
        expr: vector(1)
"""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    """obs with its agent, a rule that fires, and the shop's spans and records of the last hour."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "rules.yml").write_text(RULES)
    (folder / "obs.yml").write_text(f"rule_files: [{folder / 'rules.yml'}]\nagent: {{interval: 1s}}\n")
    obs = ObsProcess(folder / "data", "--config", str(folder / "obs.yml"), agent=True)
    try:
        now = time.time_ns()
        _post(f"{obs.otlp_http}/v1/traces", shop_data.traces(now).SerializeToString())
        _post(f"{obs.otlp_http}/v1/logs", shop_data.logs(now).SerializeToString())
        eventually(lambda: obs.client.prometheus.query("rate(node_cpu_seconds_total[1m])").result, seconds=60)
        assert eventually(lambda: _pages_are_loaded(obs), seconds=60)
        yield obs
    finally:
        obs.stop()


def _pages_are_loaded(obs: ObsProcess) -> bool:
    try:
        return b"_dash-config" in obs.client.transport.raw("/")
    except ClientError:
        return False


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/x-protobuf"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


@pytest.fixture(scope="module")
def chromium() -> Iterator[BrowserContext]:
    """One profile, so that scripts are fetched and compiled once, as they are for a user who comes again.

    Ends with its module: while Playwright is open, its loop keeps `asyncio.run` from working in other tests.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium here; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_context()
        browser.close()


@pytest.fixture
def visit(chromium: BrowserContext, shop: ObsProcess, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page that must stay free of faults; its parameter, where there is one, says on what screen."""
    screen: dict[str, Any] = {**SCREEN, **getattr(request, "param", {})}
    watched = watch(chromium, shop.url)
    watched.page.set_viewport_size(screen["viewport"])
    watched.page.emulate_media(color_scheme=screen["color_scheme"])
    yield watched
    if watched.page.url.startswith(shop.url):
        watched.page.evaluate("localStorage.clear()")
    watched.page.close()
    assert watched.faults == []


@pytest.fixture
def pictures() -> Path | None:
    """Where pictures of the pages go, if anywhere: the folder OBS_PICTURES names."""
    folder = os.environ.get("OBS_PICTURES")
    return Path(folder) if folder else None
