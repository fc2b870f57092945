"""PromQL answers as charts and tables."""

from __future__ import annotations

from obs.client import ClientError, QueryResult
from obs.ui.pages import containers, metric_results, node
from obs.ui.pages.services import elements, table_rows
from obs.ui.timerange import TimeRange
from obs.ui.view import View

SPAN = TimeRange(0.0, 3600.0)


def matrix(*metrics: dict[str, str]) -> QueryResult:
    """A range vector of constant series."""
    return QueryResult("matrix", [{"metric": m, "values": [[0, "1"], [15, "3"]]} for m in metrics], ("note",))


def test_series_are_named_by_what_differs_and_summed_up() -> None:
    drawn = metric_results.draw(
        {"a_bytes": matrix({"__name__": "a_bytes", "i": "1"}, {"__name__": "a_bytes", "i": "2"})}, SPAN
    )
    assert [row["name"] for row in drawn.rows] == ["1", "2"]
    assert {k: drawn.rows[0][k] for k in ("last", "min", "mean", "max", "unit")} == {
        "last": 3, "min": 1, "mean": 2, "max": 3, "unit": "bytes",
    }  # fmt: skip
    assert drawn.note == "note"


def test_series_of_several_queries_carry_the_query_where_names_coincide() -> None:
    drawn = metric_results.draw({"x": matrix({}), "y": matrix({})}, SPAN)
    assert [row["name"] for row in drawn.rows] == ["x", "y"]


def test_too_many_series_are_cut_and_that_is_said() -> None:
    drawn = metric_results.draw({"q": matrix(*({"i": str(i)} for i in range(100)))}, SPAN)
    assert len(drawn.rows) == metric_results.DRAWN_MAX
    assert drawn.note.startswith("60 of 100 series drawn")


def test_errors_leave_the_chart_empty_and_silent() -> None:
    drawn = metric_results.draw({"q": ClientError("no")}, SPAN)
    assert drawn.rows == []
    assert drawn.figure["layout"]["annotations"][0]["text"] == ""


def test_instant_values_of_every_kind() -> None:
    answers = {
        "v": QueryResult("vector", [{"metric": {"a": "1"}, "value": [0, "NaN"]}, {"metric": {}, "value": [0, "2.5"]}]),
        "s": QueryResult("scalar", [0, "7"]),
        "h": QueryResult("vector", [{"metric": {"a": "h"}, "histogram": [0, {}]}]),
        "bad": ClientError("no"),
    }
    rows = [(row["name"], row["value"]) for row in metric_results.instant_rows(answers)]
    assert rows == [('{a="1"}', "NaN"), ("v", 2.5), ("s", "7"), ('{a="h"}', "a histogram")]


def test_metrics_start_with_the_query_one_would_ask_first() -> None:
    about = {"http_seconds": [{"type": "histogram", "help": "how long", "unit": "seconds"}]}
    bucket, total, gauge = metric_results.browser_rows(["http_seconds_bucket", "x_total", "g"], about)
    assert bucket["help"] == "how long"
    assert "histogram_quantile" in bucket["query"]
    assert total["query"] == "rate(x_total[1m])"
    assert gauge["query"] == "g"


def test_container_rows_join_the_answers() -> None:
    def vector(*pairs: tuple[str, str]) -> QueryResult:
        return QueryResult("vector", [{"metric": {"id": i}, "value": [0, v]} for i, v in pairs])

    rows = containers.rows(
        {"cpu": vector(("/a", "0.1"), ("/b", "0.4"), ("/", "1")), "limit": vector(("/a", "0"))}, View()
    )
    assert [(row["id"], row.get("cpu"), row.get("limit")) for row in rows] == [("/b", 0.4, None), ("/a", 0.1, None)]
    assert "container_cpu_usage_seconds_total" in rows[0]["href"]


def test_the_service_map_has_a_node_for_everyone_named() -> None:
    calls = [{"parent": "web", "child": "db", "calls": 10, "errors": 1, "durationNs": 10**9}]
    rows = table_rows(["web", "idle"], calls, View())
    assert [(r["service"], r["incoming"], r["outgoing"]) for r in rows] == [
        ("db", 10, 0),
        ("idle", 0, 0),
        ("web", 0, 10),
    ]
    assert (rows[0]["failed"], rows[0]["took"], rows[1]["took"]) == (0.1, 0.1, None)
    assert [e["data"].get("label") for e in elements(rows, calls)] == ["db", "idle", "web", "10"]


def test_tiles_without_data_tell_a_new_node_from_a_past_without_it() -> None:
    answers = {name: QueryResult("vector", [], ()) for name in node.TILES}
    assert "No host metrics yet" in str(node.tiles(answers, View.parse("")))
    assert "at this moment" in str(node.tiles(answers, View.parse("?from=now-7d&to=now-6d")))
