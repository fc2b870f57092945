"""Results to Plotly figures. Pure; a figure is a plain dict, as Plotly's JavaScript takes it.

Backgrounds are clear and text and grid are coloured by the style sheet, so that one figure serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obs.ui.palette import ERROR, LEVELS, MUTED, color
from obs.ui.timerange import TimeRange
from obs.ui.units import BYTES, BYTES_S, NONE, RATE, Unit

Figure = dict[str, Any]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
UNIFIED_MAX = 12
"""Past this many lines a hover box that lists them all hides the chart."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series to draw: seconds since 1970 and values (None: a gap)."""

    name: str
    times_s: Sequence[float]
    values: Sequence[float | None]
    color: str | None = None


def lines(
    series: Sequence[Line], span: TimeRange, unit: Unit = NONE, *, stacked: bool = False, legend: bool = True,
    top: float | None = None,
) -> Figure:  # fmt: skip
    """Lines, or areas on top of each other, over a time range; `top` fixes the upper end of the axis."""
    traces = [_trace(line, i, span, unit, stacked) for i, line in enumerate(series)]
    layout = _layout(span, legend and len(series) > 1)
    layout["hovermode"] = "x unified" if len(series) <= UNIFIED_MAX else "closest"
    layout["yaxis"] |= {"tickformat": _tick(unit, traces), "ticksuffix": _tick_suffix(unit), "rangemode": "tozero"}
    if top is not None:
        layout["yaxis"]["range"] = [0, top]
    elif unit in (BYTES, BYTES_S) and _highest(traces) < 1:  # nobody counts thousandths of a byte
        layout["yaxis"] |= {"range": [0, 1], "dtick": 1}
    return {"data": traces, "layout": layout}


def _trace(line: Line, index: int, span: TimeRange, unit: Unit, stacked: bool) -> dict[str, Any]:
    shade = line.color or color(index)
    trace: dict[str, Any] = {
        "type": "scatter", "mode": "lines", "name": line.name, "x": _local_ms(line.times_s, span),
        "y": [finite(v) for v in line.values], "line": {"width": 1.5, "color": shade},
        "hovertemplate": f"%{{y:{unit.tick}}}{_tick_suffix(unit)}", "connectgaps": False,
    }  # fmt: skip
    if stacked:
        trace |= {"stackgroup": "all", "fillcolor": _faint(shade, 0.45), "line": {"width": 0.6, "color": shade}}
    if sum(v is not None for v in trace["y"]) == 1:
        trace |= {"mode": "markers", "marker": {"size": 5, "color": shade}}
    return trace


def volume(counts: Mapping[str, Sequence[float]], times_s: Sequence[float], width_s: float, span: TimeRange) -> Figure:
    """Bars of log records by level; `counts[level][i]` are those of `times_s[i] - width_s` to `times_s[i]`."""
    order = [level for level in LEVELS if level in counts]
    middle = [t - width_s / 2 for t in times_s]
    bars = [
        {
            "type": "bar", "name": level, "x": _local_ms(middle, span), "y": list(counts[level]),
            "width": width_s * 1000 * 0.9, "marker": {"color": LEVELS[level], "line": {"width": 0}},
            "hovertemplate": "%{y:,.0f}",
        }
        for level in order
    ]  # fmt: skip
    layout = _layout(span, len(order) > 1)
    layout |= {"barmode": "stack", "hovermode": "x unified", "bargap": 0}
    layout["yaxis"] |= {"tickformat": "~s", "nticks": 4}
    return {"data": bars, "layout": layout}


@dataclass(frozen=True, slots=True)
class Dot:
    """One trace in the duration chart."""

    trace_id: str
    start_s: float
    duration_s: float
    name: str
    spans: int
    failed: bool


def durations(dots: Sequence[Dot], span: TimeRange) -> Figure:
    """Traces by start and duration (logarithmic); failed ones in red. `customdata` holds the ids."""
    parts = []
    for failed, name, shade in ((False, "ok", color(0)), (True, "with errors", ERROR)):
        chosen = [d for d in dots if d.failed is failed]
        if chosen:
            parts.append(_dots(chosen, name, shade, span))
    layout = _layout(span, len(parts) > 1)
    layout |= {"hovermode": "closest", "dragmode": "zoom"}
    layout["yaxis"] |= {"type": "log", "tickformat": "~s", "ticksuffix": "s", "nticks": 6, "dtick": 1}
    return {"data": parts, "layout": layout}


def _dots(dots: Sequence[Dot], name: str, shade: str, span: TimeRange) -> dict[str, Any]:
    sizes = [min(5 + math.log2(max(d.spans, 1)), 14) for d in dots]
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": _local_ms([d.start_s for d in dots], span),
        "y": [max(d.duration_s, 1e-9) for d in dots], "customdata": [d.trace_id for d in dots],
        "text": [f"{d.name} · {d.spans} spans" for d in dots],
        "marker": {"color": shade, "opacity": 0.8, "line": {"width": 0}, "size": sizes},
        "hovertemplate": "%{text}<br>%{y:.3~s}s<extra></extra>",
    }  # fmt: skip


def blank(text: str, span: TimeRange) -> Figure:
    """An empty chart that says why it is empty."""
    layout = _layout(span, False)
    middle = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
    layout["annotations"] = [{"text": text, "font": {"color": MUTED}, **middle}]
    layout["yaxis"] |= {"showticklabels": False, "showgrid": False, "range": [0, 1]}
    return {"data": [], "layout": layout}


def matrix_lines(result: Sequence[Mapping[str, Any]], step_s: float, names: Sequence[str]) -> list[Line]:
    """The lines of a Prometheus matrix; a hole of more than one step becomes a gap."""
    return [Line(name, *_with_gaps(series["values"], step_s)) for name, series in zip(names, result, strict=True)]


def visible(series: Sequence[Line], least: float = 0.005) -> list[Line]:
    """The lines that reach `least` of the highest; in a stack the others could not be seen."""
    peaks = [max((v for v in line.values if v is not None and math.isfinite(v)), default=0.0) for line in series]
    return [line for line, peak in zip(series, peaks, strict=True) if peak >= least * max(peaks)]


def _with_gaps(points: Sequence[tuple[float, str]], step_s: float) -> tuple[list[float], list[float | None]]:
    times: list[float] = []
    values: list[float | None] = []
    for t, text in points:
        if times and t - times[-1] > 1.5 * step_s:
            times.append(times[-1] + step_s)
            values.append(None)
        times.append(float(t))
        values.append(float(text))
    return times, values


def finite(value: float | None) -> float | None:
    """The value where JSON can hold it, else None (a gap)."""
    return value if value is not None and math.isfinite(value) else None


def _local_ms(times_s: Sequence[float], span: TimeRange) -> list[float]:
    """Plotly shows numbers on a date axis as UTC: shifted, they read as the reader's clock."""
    return [(t + span.offset_s) * 1000.0 for t in times_s]


def _tick(unit: Unit, traces: Sequence[Mapping[str, Any]]) -> str:
    """Plain numbers under a thousand are written out: half a core is 0.5, not 500m."""
    return ".3~r" if unit in (NONE, RATE) and 0.001 <= _highest(traces) < 1000 else unit.tick


def _highest(traces: Sequence[Mapping[str, Any]]) -> float:
    return max((abs(v) for trace in traces for v in trace["y"] if v is not None), default=0.0)


def _tick_suffix(unit: Unit) -> str:
    return "" if unit.name == "percent" else unit.suffix


def _faint(shade: str, alpha: float) -> str:
    red, green, blue = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def _layout(span: TimeRange, legend: bool) -> dict[str, Any]:
    start, end = _local_ms([span.start_s, span.end_s], span)
    return {
        "autosize": True, "margin": {"l": 52, "r": 8, "t": 28 if legend else 8, "b": 24},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font": {"family": FONT, "size": 11},
        "showlegend": legend, "dragmode": "zoom",
        "hoverlabel": {"font": {"family": FONT, "size": 11}, "namelength": 60},
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "yref": "container", "y": 1, "yanchor": "top",
                   "itemwidth": 30, "font": {"size": 10.5}, "traceorder": "normal", "uirevision": "keep"},
        "xaxis": {"type": "date", "range": [start, end], "showgrid": False, "zeroline": False, "nticks": 6,
                  "tickangle": 0, "ticks": "outside", "ticklen": 3, "hoverformat": "%b %d %H:%M:%S",
                  "spikethickness": 1, "spikecolor": MUTED, "spikedash": "dot"},
        "yaxis": {"zeroline": False, "nticks": 6, "automargin": False, "fixedrange": True},
    }  # fmt: skip
