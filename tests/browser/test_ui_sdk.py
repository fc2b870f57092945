"""What a program sends through the OpenTelemetry SDK is found on the pages, and each signal leads to the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from obs_process import ObsProcess
from playwright.sync_api import expect
from sdk_sender import Sent
from watched_page import Watched

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["grpc", "http"])
def sent(request: pytest.FixtureRequest, shop: ObsProcess) -> Sent:
    return Sent(shop, request.param)


def test_the_metric_is_shown(visit: Watched, sent: Sent) -> None:
    page = visit.open(f"/ui/metrics?q=shop_orders_total%7Bjob%3D%22{sent.service}%22%7D&view=instant")
    expect(page.locator("#instant .ag-row")).to_have_count(1)
    expect(page.locator("#instant .ag-row")).to_contain_text("3")


def test_the_line_leads_to_its_trace_and_the_trace_to_its_line(
    visit: Watched, sent: Sent, pictures: Path | None
) -> None:
    page = visit.open("/ui/logs")
    page.locator("#log-query").fill(f'"{sent.text}"')
    page.locator("#log-query").press("Enter")
    expect(page.locator(".log-row")).to_have_count(1)
    page.locator(".log-head").first.click()
    page.get_by_text("Open its trace").click()
    expect(page.locator(".wf-row", has_text="place order")).to_be_visible()
    page.locator(".wf-row", has_text="place order").click()
    expect(page.locator("#span-detail")).to_contain_text("shop.order")
    expect(page.locator("#span-detail")).to_contain_text("paid")
    visit.settle()
    if pictures:
        page.screenshot(path=pictures / f"sdk-trace-{sent.service[:9]}.png")
    page.get_by_text("Logs of this span").click()
    expect(page.locator(".log-row")).to_have_count(1)
    expect(page.locator(".log-row")).to_contain_text(sent.text)
    page.go_back()
    page.locator("#trace-related").get_by_text(f"Metrics of {sent.service}").click()
    expect(page.locator("#instant .ag-row", has_text="shop_orders_total")).to_be_visible()
    visit.settle()


def test_the_trace_is_found_by_its_attribute(visit: Watched, sent: Sent) -> None:
    page = visit.open(f"/ui/traces?service={sent.service}")
    page.locator("#trace-tags").fill("shop.order=7")
    page.locator("#trace-tags").press("Enter")
    expect(page.locator("#traces .ag-row")).to_have_count(1)
    expect(page.locator("#traces .ag-row")).to_contain_text("place order")
