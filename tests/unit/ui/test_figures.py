"""Figures: what is drawn, and that Plotly itself accepts it."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import pytest

from obs.ui import figures
from obs.ui.figures import Dot, Line
from obs.ui.timerange import TimeRange
from obs.ui.units import BYTES, BYTES_S, NONE, PERCENT

SPAN = TimeRange(1000.0, 2000.0, offset_s=3600)


def accepted(figure: dict[str, Any]) -> dict[str, Any]:
    """The figure, checked against Plotly's schema."""
    go.Figure(figure)
    return figure


def test_lines_are_placed_by_the_readers_clock() -> None:
    figure = accepted(figures.lines([Line("a", [1000.0, 1010.0], [1.0, 2.0])], SPAN, BYTES))
    assert figure["data"][0]["x"] == [4_600_000.0, 4_610_000.0]
    assert figure["layout"]["xaxis"]["range"] == [4_600_000.0, 5_600_000.0]
    assert figure["layout"]["yaxis"]["ticksuffix"] == "B"


def test_values_that_json_cannot_hold_become_gaps() -> None:
    figure = accepted(figures.lines([Line("a", [1.0, 2.0, 3.0], [1.0, float("nan"), float("inf")])], SPAN))
    assert figure["data"][0]["y"] == [1.0, None, None]
    assert figure["data"][0]["mode"] == "markers"  # a line of one point would not be seen


def test_stacked_areas_and_a_fixed_top() -> None:
    two = [Line("a", [1.0, 2.0], [1.0, 1.0]), Line("b", [1.0, 2.0], [2.0, 2.0])]
    figure = accepted(figures.lines(two, SPAN, PERCENT, stacked=True, top=1.0))
    assert {t["stackgroup"] for t in figure["data"]} == {"all"}
    assert figure["layout"]["yaxis"]["range"] == [0, 1.0]
    assert figure["layout"]["showlegend"] is True


def test_many_lines_have_no_common_hover_box() -> None:
    few = figures.lines([Line(str(i), [1.0], [1.0]) for i in range(3)], SPAN)
    many = accepted(figures.lines([Line(str(i), [1.0], [1.0]) for i in range(30)], SPAN))
    assert few["layout"]["hovermode"] == "x unified"
    assert many["layout"]["hovermode"] == "closest"


@pytest.mark.parametrize(
    ("top", "tick"), [(0.5, ".3~r"), (900.0, ".3~r"), (5e6, ".3~s"), (1e-6, ".3~s"), (0.0, ".3~s")]
)
def test_plain_numbers_under_a_thousand_are_written_out(top: float, tick: str) -> None:
    figure = figures.lines([Line("a", [1.0, 2.0], [0.0, top])], SPAN, NONE)
    assert figure["layout"]["yaxis"]["tickformat"] == tick


def test_bytes_are_not_counted_in_thousandths() -> None:
    figure = accepted(figures.lines([Line("a", [1.0, 2.0], [0.0, 0.0])], SPAN, BYTES_S))
    assert figure["layout"]["yaxis"]["range"] == [0, 1] and figure["layout"]["yaxis"]["dtick"] == 1
    assert "dtick" not in figures.lines([Line("a", [1.0, 2.0], [0.0, 5.0])], SPAN, BYTES_S)["layout"]["yaxis"]


def test_holes_in_a_series_are_not_bridged() -> None:
    result = [{"values": [[0, "1"], [10, "2"], [60, "NaN"], [70, "4"]]}]
    (line,) = figures.matrix_lines(result, 10, ["a"])
    assert list(line.times_s) == [0, 10, 20, 60, 70]
    assert list(line.values)[2] is None


def test_lines_too_low_to_be_seen_are_left_out_of_a_stack() -> None:
    high, low, none = Line("a", [1.0], [100.0]), Line("b", [1.0], [0.1]), Line("c", [1.0], [None])
    assert figures.visible([high, low, none]) == [high]
    assert figures.visible([none]) == [none]
    assert figures.visible([]) == []


def test_volume_bars_stand_over_their_interval() -> None:
    figure = accepted(figures.volume({"info": [3, 4], "error": [1, 0]}, [1060.0, 1120.0], 60, SPAN))
    assert [bar["name"] for bar in figure["data"]] == ["error", "info"]
    assert figure["data"][0]["x"][0] == (1030 + 3600) * 1000
    assert figure["layout"]["barmode"] == "stack"


def test_durations_keep_failed_traces_apart() -> None:
    dots = [Dot("a", 1.0, 0.5, "x", 3, False), Dot("b", 2.0, 0.0, "y", 0, True)]
    figure = accepted(figures.durations(dots, SPAN))
    assert [part["name"] for part in figure["data"]] == ["ok", "with errors"]
    assert figure["data"][1]["customdata"] == ["b"]
    assert figure["data"][1]["y"][0] > 0  # a logarithmic axis has no zero


def test_a_blank_chart_says_why() -> None:
    figure = accepted(figures.blank("no data", SPAN))
    assert figure["layout"]["annotations"][0]["text"] == "no data"
