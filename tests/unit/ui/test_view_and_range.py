"""URL state, time ranges, and the addresses of pages."""

from __future__ import annotations

import pytest

from obs.ui import shell
from obs.ui.pages import ROUTES
from obs.ui.timerange import STEPS_S, TimeRange, label, parse_time, time_range
from obs.ui.view import View, link

NOW = 1_800_000_000.0


def test_parameters_may_repeat_and_are_kept_in_order() -> None:
    view = View.parse("?q=a&q=b%2Bc&from=now-6h&empty=")
    assert view.all("q") == ("a", "b+c")
    assert view.get("from") == "now-6h"
    assert view.get("none", "x") == "x"
    assert View.parse(view.search()) == view


def test_changes_replace_add_and_remove() -> None:
    view = View.parse("?q=a&q=b&from=now-6h")
    assert view.search(q=("c",), from_=None, rows="10") == "?q=c&rows=10"
    assert View.parse(None).search() == ""


def test_links_keep_the_time_range_only() -> None:
    view = View.parse("?q=a&from=now-6h&refresh=5s&rows=400")
    assert link("/ui/traces", view, service="cart") == "/ui/traces?from=now-6h&refresh=5s&service=cart"
    assert link("/ui/metrics", q="up", view="instant") == "/ui/metrics?q=up&view=instant"


@pytest.mark.parametrize(
    ("text", "offset_s", "expected"),
    [
        ("now", 0, NOW), ("now-15m", 0, NOW - 900), (" now - 1.5h ", 0, NOW - 5400), ("now-2w", 0, NOW - 1209600),
        ("1700000000", 0, 1.7e9), ("1700000000000", 0, 1.7e9), ("2026-01-31 09:30", 0, 1769851800),
        ("2026-01-31 09:30", 7200, 1769851800 - 7200), ("2026-01-31T09:30:00+00:00", 7200, 1769851800),
    ],
)  # fmt: skip
def test_times_as_people_write_them(text: str, offset_s: int, expected: float) -> None:
    assert parse_time(text, NOW, offset_s) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "now-5y", "now+1h", "12"])
def test_times_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read time"):
        parse_time(text, NOW)


@pytest.mark.parametrize("search", ["", "?from=nonsense", "?from=now&to=now-1h", "?from=now&to=now"])
def test_a_bad_range_becomes_the_last_hour(search: str) -> None:
    span = time_range(View.parse(search), NOW)
    assert (span.start_s, span.end_s) == (NOW - 3600, NOW)


@pytest.mark.parametrize(
    ("span_s", "step"), [(60, 10), (3600, 15), (21600, 120), (86400, 600), (604800, 3600), (1e9, 86400)]
)
def test_steps_leave_a_few_hundred_points(span_s: float, step: int) -> None:
    span = TimeRange(NOW - span_s, NOW)
    assert span.step_s == step
    assert span.step_s in STEPS_S
    assert span.aligned().start_s % step == 0


def test_windows_hold_several_samples() -> None:
    assert TimeRange(NOW - 60, NOW).window == "60s"
    assert TimeRange(NOW - 86400, NOW).window == "1200s"


def test_the_time_picker_says_what_is_shown() -> None:
    assert label(View.parse("")) == "Last hour"
    assert label(View.parse("?from=now-7d")) == "Last 7 days"
    assert label(View.parse("?from=now-5m")) == "Last 5 minutes"
    assert label(View.parse("?from=now-1d")) == "Last 1 day"
    assert label(View.parse("?from=now-3h&to=now-1h")) == "now-3h → now-1h"
    assert label(View.parse("?from=1700000000&to=1700000060"), 3600) == "Nov 14 23:13:20 → Nov 14 23:14:20"


@pytest.mark.parametrize(
    ("path", "page", "argument"),
    [
        ("/", "/", ""), ("/ui", "/", ""), ("/ui/", "/", ""), ("/ui/logs", "/ui/logs", ""),
        ("/ui/logs/", "/ui/logs", ""),
        ("/ui/traces", "/ui/traces", ""), ("/ui/traces/ab%20c", "/ui/traces/*", "ab c"), ("/ui/traces/a/b", None, None),
        ("/ui/nothing", None, None), ("/metrics", None, None),
    ],
)  # fmt: skip
def test_which_page_answers(path: str, page: str | None, argument: str | None) -> None:
    found = [(route.path, route.match(path)) for route in ROUTES if route.match(path) is not None]
    assert found == ([] if page is None else [(page, argument)])


def test_refresh_is_as_asked_else_as_the_page_is_used() -> None:
    assert shell.refresh_of(View.parse("?refresh=5s"), "/") == "5s"
    assert shell.refresh_of(View.parse("?refresh=2s"), "/") == "off"
    assert shell.refresh_of(View.parse(""), "/") == "10s"
    assert shell.refresh_of(View.parse(""), "/ui/logs") == "off"


def test_a_typed_range_is_checked() -> None:
    assert shell.range_errors("now-1h", "now", NOW, 0) == (None, None)
    assert shell.range_errors("soon", "now", NOW, 0)[0] is not None
    assert shell.range_errors("now", "now-1h", NOW, 0) == (None, "this is before the start")
