"""What surrounds the pages: time range, refresh, colour scheme, small screens, and the API beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import shop_data
from obs_process import ObsProcess
from playwright.sync_api import expect
from watched_page import Watched

from obs.client import ClientError

pytestmark = pytest.mark.browser
TRACE = shop_data.trace_id(4).hex()
PAGES = {
    "overview": "/?from=now-15m", "metrics": "/ui/metrics?q=rate(node_cpu_seconds_total%5B1m%5D)&from=now-15m",
    "logs": "/ui/logs", "traces": "/ui/traces", "trace": f"/ui/traces/{TRACE}", "services": "/ui/services",
    "alerts": "/ui/alerts",
}  # fmt: skip
LIGHT = {"color_scheme": "light"}
DARK = {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}}


def shown(visit: Watched, name: str, kind: str, pictures: Path | None) -> None:
    """Open the page; it must fit the screen's width. Keep a picture where wanted."""
    page = visit.open(PAGES[name])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=pictures / f"{name}-{kind}.png")


@pytest.mark.parametrize("visit", [LIGHT], indirect=True)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_free_of_faults_in_light(visit: Watched, name: str, pictures: Path | None) -> None:
    shown(visit, name, "light", pictures)


@pytest.mark.parametrize("visit", [DARK], indirect=True)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_free_of_faults_in_dark(visit: Watched, name: str, pictures: Path | None) -> None:
    shown(visit, name, "dark", pictures)
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_a_phone(visit: Watched, name: str, pictures: Path | None) -> None:
    shown(visit, name, "phone", pictures)


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
def test_the_menu_opens_on_a_phone(visit: Watched) -> None:
    page = visit.open("/")
    expect(page.locator(".menu-link", has_text="Traces")).not_to_be_in_viewport()
    page.locator("#burger").click()
    page.locator(".menu-link", has_text="Traces").click()
    expect(page.locator("#find-traces")).to_be_visible()
    expect(page.locator(".menu-link", has_text="Traces")).not_to_be_in_viewport()
    visit.settle()


def test_the_colour_scheme_is_remembered(visit: Watched) -> None:
    page = visit.open("/ui/alerts")
    page.locator("#scheme").click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    visit.settle()


def test_the_time_range_stays_from_page_to_page(visit: Watched) -> None:
    page = visit.open("/ui/logs")
    page.locator("#range-button").click()
    page.get_by_text("Last 24 hours").click()
    expect(page.locator("#range-label")).to_have_text("Last 24 hours")
    page.locator(".menu-link", has_text="Traces").click()
    expect(page).to_have_url(re.compile(r"/ui/traces\?from=now-24h"))
    expect(page.locator("#range-label")).to_have_text("Last 24 hours")
    page.go_back()
    expect(page).to_have_url(re.compile(r"/ui/logs\?from=now-24h"))
    page.go_back()
    expect(page.locator("#range-label")).to_have_text("Last hour")
    visit.settle()


def test_a_range_of_ones_own_is_checked(visit: Watched) -> None:
    page = visit.open("/ui/logs")
    page.locator("#range-button").click()
    page.locator("#from").fill("whenever")
    expect(page.get_by_text("write now-2h, or 2026-01-31 09:30")).to_be_visible()
    page.locator("#from").fill("now-3h")
    page.locator("#to").fill("now-1h")
    visit.settle()
    page.get_by_text("Show this range").click()
    expect(page.locator("#range-label")).to_have_text("now-3h → now-1h")
    visit.settle()


def test_refresh_asks_again(visit: Watched) -> None:
    page = visit.open("/ui/services?refresh=5s")
    with page.expect_request("**/_dash-update-component*", timeout=15_000):
        pass
    visit.settle()


def test_the_api_is_where_it_was(visit: Watched, shop: ObsProcess) -> None:
    transport = shop.client.transport
    assert transport.json("/api/status")["ready"] is True
    assert b"obs_received_total" in transport.raw("/metrics")
    assert "/api/v1/query" in transport.json("/api/openapi.json")["paths"]
    assert not [path for path in transport.json("/api/openapi.json")["paths"] if path.startswith("/ui")]
    for unknown in ("/nothing", "/api/nothing", "/uii"):
        with pytest.raises(ClientError) as caught:
            transport.raw(unknown)
        assert caught.value.status == 404
