"""Every page on real data, in Chromium: what it shows, and what one can do with it."""

from __future__ import annotations

import re

import pytest
import shop_data
from playwright.sync_api import expect
from watched_page import Watched

pytestmark = pytest.mark.browser
FAILED = shop_data.trace_id(4).hex()
LEGENDS_IN_PLOTS = """[...document.querySelectorAll(".js-plotly-plot")].flatMap(chart => {
    const legend = chart.querySelector("g.legend"), plot = chart.querySelector(".nsewdrag");
    if (!legend || !plot) return [];
    const low = legend.getBoundingClientRect().bottom, top = plot.getBoundingClientRect().top;
    return low > top + 1 ? [`${legend.textContent}: ${low} below ${top}`] : [];
})"""


def test_the_overview_shows_node_groups_and_obs(visit: Watched) -> None:
    page = visit.open("/")
    expect(page.locator(".tile")).to_have_count(6)
    expect(page.locator(".tile-value").first).to_contain_text("%")
    expect(page.locator(".charts .scatterlayer .trace").first).to_be_attached()
    assert page.evaluate(LEGENDS_IN_PLOTS) == []
    expect(page.locator("#stores")).to_contain_text("traces")
    expect(page.locator("#stores .state-ok")).to_have_count(3)


def test_a_metric_is_completed_run_and_drawn(visit: Watched) -> None:
    page = visit.open("/ui/metrics")
    page.locator("#metric-filter").fill("load1")
    expect(page.locator("#metric-list .ag-row")).to_have_count(2)
    box = page.locator("#promql-rows textarea").first
    box.press_sequentially("rate(node_cpu_sec")
    expect(page.locator(".completion.chosen")).to_have_text("node_cpu_seconds_total")
    box.press("Tab")
    box.press_sequentially("[1m])")
    box.press("Enter")
    expect(page).to_have_url(re.compile(r"q=rate%28node_cpu_seconds_total%5B1m%5D%29"))
    expect(page.locator("#series .ag-row").first).to_be_visible()
    expect(page.locator("#metrics-graph .scatterlayer .trace").first).to_be_attached()


def test_queries_are_added_removed_and_come_back_with_the_button(visit: Watched) -> None:
    page = visit.open("/ui/metrics?q=node_load1&view=instant")
    expect(page.locator("#instant .ag-row")).to_have_count(1)
    page.get_by_text("Add query").click()
    page.locator("#promql-rows textarea").nth(1).fill("node_load5")
    page.locator("#run-promql").click()
    expect(page.locator("#instant .ag-row")).to_have_count(2)
    page.locator("[title='Remove this query']").first.click()
    expect(page.locator("#promql-rows textarea")).to_have_count(1)
    expect(page.locator("#promql-rows textarea")).to_have_value("node_load5")
    page.go_back()
    expect(page.locator("#promql-rows textarea")).to_have_count(2)
    visit.settle()


def test_a_broken_query_shows_where(visit: Watched) -> None:
    page = visit.open("/ui/metrics?q=sum(rate(x)")
    expect(page.locator(".failure")).to_contain_text("^")
    visit.faults.clear()  # the refusal itself is no fault of the page


def test_a_query_that_finds_nothing_says_why(visit: Watched) -> None:
    page = visit.open("/ui/metrics?q=node_lode1")
    expect(page.locator("#promql-errors")).to_contain_text(
        'no metric is called "node_lode1"; the nearest names are node_load1'
    )


def test_logs_are_found_opened_narrowed_and_lead_to_a_trace(visit: Watched) -> None:
    page = visit.open("/ui/logs")
    expect(page.locator(".log-row")).to_have_count(200)
    page.get_by_text("Load more").click()
    expect(page.locator(".log-row")).to_have_count(600)
    page.locator("#log-query").fill("timeout")
    page.locator("#log-query").press("Enter")
    expect(page.locator("mark").first).to_have_text("timeout")
    page.locator("#log-facets .facet-row", has_text="payment").click()
    expect(page.locator(".chip")).to_have_text("service_name=payment")
    visit.settle()
    expect(page.locator(".log-service").first).to_have_text("payment")
    page.goto(f"{visit.base}/ui/logs?q=%7B%7D+%7C+trace_id+%3D+%22{FAILED}%22")
    page.locator(".log-head").first.click()
    expect(page.locator(".attributes")).to_contain_text("thread_name")
    page.get_by_text("Lines around it").click()
    expect(page.locator(".log-near-line.here")).to_have_count(1)
    assert page.locator(".log-near-line").count() > 20
    page.get_by_text("Open its trace").click()
    expect(page.locator(".trace-title")).to_contain_text("GET /checkout")
    visit.settle()


def test_a_log_query_that_computes_numbers_is_drawn(visit: Watched) -> None:
    page = visit.open("/ui/logs?q=sum+by+(service_name)+(count_over_time({}[5m]))")
    expect(page.locator("#log-note")).to_have_text(re.compile(r"\d series"))


def test_traces_are_searched_ordered_and_opened(visit: Watched) -> None:
    page = visit.open("/ui/traces?service=frontend&order=longest")
    expect(page.locator("#traces .ag-row").first).to_contain_text("GET /checkout")
    expect(page.locator("#trace-note")).to_contain_text("longest first")
    widths = page.locator("#traces .bar").evaluate_all("bars => bars.map(bar => parseFloat(bar.style.width))")
    assert widths[0] == 100
    assert all(0 < width < 100 for width in widths[1:5])
    page.locator("#trace-tags").fill("user.id=68")
    page.locator("#trace-tags").press("Enter")
    expect(page.locator("#traces .ag-row")).to_have_count(1)
    page.goto(f"{visit.base}/ui/traces?order=longest")
    expect(page.locator("#traces .ag-cell[col-id=errors].num:not(.bad)").first).to_be_visible()
    page.locator("#trace-tags").fill('{ name = "charge" && status = error }')
    page.locator("#find-traces").click()
    visit.settle()
    expect(page.locator("#traces .bad").first).to_be_visible()
    page.locator("#traces .ag-row a").first.click()
    expect(page.locator(".wf-row.failed").first).to_be_visible()
    visit.settle()


def test_a_span_shows_its_event_and_leads_to_its_logs(visit: Watched) -> None:
    page = visit.open(f"/ui/traces/{FAILED}")
    page.locator(".wf-row", has_text="charge").click()
    expect(page.locator("#span-detail")).to_contain_text("bank did not answer in 3 s")
    expect(page).to_have_url(re.compile("span="))
    page.locator(".wf-caret", has_text="▾").first.click()
    expect(page.locator(".wf-row:not(.wf-ruler)")).to_have_count(1)
    page.get_by_text("Logs of this trace").click()
    expect(page.locator(".log-row").first).to_be_visible()
    page.go_back()
    expect(page.locator("#span-detail .span-title")).to_have_text("charge")
    visit.settle()


@pytest.mark.parametrize("visit", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_durations_stay_off_the_names_on_a_phone(visit: Watched) -> None:
    page = visit.open(f"/ui/traces/{FAILED}")
    expect(page.locator(".wf-took").first).to_be_visible()
    over = "all => all.filter(t => t.getBoundingClientRect().left < t.parentElement.getBoundingClientRect().left - 4)"
    assert page.locator(".wf-took").evaluate_all(f"{over}.map(t => t.textContent)") == []


def test_the_service_map_and_its_table(visit: Watched) -> None:
    page = visit.open("/ui/services")
    expect(page.locator("#service-map canvas").first).to_be_visible()
    expect(page.locator("#services [row-id=payment]").first).to_contain_text("%")


def test_alerts_and_rules(visit: Watched) -> None:
    page = visit.open("/ui/alerts")
    expect(page.locator(".alert-firing")).to_contain_text("This one fires to be seen")
    expect(page.locator("#rules")).to_contain_text("shop:one")


def test_an_address_that_is_no_page_says_so(visit: Watched) -> None:
    page = visit.open("/ui/nothing/here")
    expect(page.locator(".notice-title")).to_have_text("There is no page here")
    page.get_by_text("Go to the overview").click()
    expect(page.locator(".tile").first).to_be_visible()
    visit.settle()
