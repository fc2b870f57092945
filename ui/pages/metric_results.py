"""PromQL answers as a chart, a table of series, a table of values, and a list of metrics to start from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obs.client import ClientError, QueryResult
from obs.ui import figures
from obs.ui.asking import matrix
from obs.ui.components.grid import number, text
from obs.ui.figures import Figure
from obs.ui.naming import full_name, short_names
from obs.ui.palette import color
from obs.ui.timerange import TimeRange
from obs.ui.units import NONE, Unit, unit_of

DRAWN_MAX = 60
"""More lines cannot be told apart, and the browser feels them."""
ROWS_MAX = 2000
UNIT_WORDS = {"bytes": "bytes", "seconds": "seconds", "percent": "ratio"}
STATS = ("last", "min", "mean", "max")

BY_ROW = {"function": "obsNumber(params.value, params.data.unit)"}
SERIES = [
    {**text("name", "Series", flex=6, minWidth=240), "cellRenderer": "ObsSwatch", "tooltipField": "title"},
    *({**number(f, f.capitalize(), width=100, minWidth=80), "valueFormatter": BY_ROW} for f in STATS),
]
INSTANT = [
    text("name", "Series", flex=5, minWidth=240),
    {**number("value", "Value", "exact"), "width": 200},
]
Answers = Mapping[str, QueryResult | ClientError]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The chart, the rows of its series, and a note on what is not shown or lacking."""

    figure: Figure
    rows: list[dict[str, Any]]
    note: str


def draw(answers: Answers, span: TimeRange) -> Drawn:
    """All queries in one chart."""
    found = [(query, series) for query, answer in answers.items() for series in matrix(answer)]
    notes = [note for answer in answers.values() if isinstance(answer, QueryResult) for note in answer.notes]
    if not found:
        text = "" if any(isinstance(a, ClientError) for a in answers.values()) else "no data in this range"
        return Drawn(figures.blank(text, span), [], " · ".join(notes))
    if len(found) > DRAWN_MAX:
        notes.insert(0, f"{DRAWN_MAX} of {len(found)} series drawn; topk() or sum by () leave fewer")
    shown = found[:DRAWN_MAX]
    unit = common_unit([query for query, _ in shown])
    names = _names([series["metric"] for _, series in shown], [query for query, _ in shown])
    lines = figures.matrix_lines([series for _, series in shown], span.step_s, names)
    rows = [
        _row(i, line, series["metric"], unit) for i, (line, (_, series)) in enumerate(zip(lines, shown, strict=True))
    ]
    return Drawn(figures.lines(lines, span, unit, legend=False), rows, " · ".join(notes))


def _names(metrics: Sequence[Mapping[str, str]], queries: Sequence[str]) -> list[str]:
    """Short names; where those of two queries coincide, the query goes first."""
    names = short_names(metrics)
    if len(set(queries)) == 1 and any(names.count(n) == 1 for n in names):
        return [queries[0] if n == "value" else n for n in names]
    if len(set(names)) == len(names) and "value" not in names:
        return names
    return [q if n == "value" else f"{q} · {n}" for q, n in zip(queries, names, strict=True)]


def _row(index: int, line: figures.Line, metric: Mapping[str, str], unit: Unit) -> dict[str, Any]:
    values = [v for v in line.values if v is not None and math.isfinite(v)]
    row = {"name": line.name, "color": color(index), "title": full_name(metric), "unit": unit.name}
    if not values:
        return {**row, **dict.fromkeys(STATS)}
    stats = (values[-1], min(values), sum(values) / len(values), max(values))
    return {**row, **dict(zip(STATS, stats, strict=True))}


def common_unit(queries: Sequence[str]) -> Unit:
    """The unit of all queries, where they agree."""
    units = {unit_of(query) for query in queries}
    return units.pop() if len(units) == 1 else NONE


def instant_rows(answers: Answers) -> list[dict[str, Any]]:
    """A row a series, the value in full."""
    rows: list[dict[str, Any]] = []
    for query, answer in answers.items():
        if not isinstance(answer, QueryResult):
            continue
        if answer.kind in ("scalar", "string"):
            rows.append({"name": query, "value": answer.result[1]})
        elif answer.kind == "vector":
            rows += [_instant_row(element, query) for element in answer.result]
        elif answer.kind == "matrix":
            rows += [{"name": full_name(s["metric"]), "value": f"{len(s['values'])} samples"} for s in matrix(answer)]
    return rows[:ROWS_MAX]


def _instant_row(element: Mapping[str, Any], query: str) -> dict[str, Any]:
    name = full_name(element["metric"]) if element["metric"] else query
    if "value" not in element:
        return {"name": name, "value": "a histogram"}
    value = float(element["value"][1])
    return {"name": name, "value": value if math.isfinite(value) else element["value"][1]}


def browser_rows(names: Sequence[str], about: Mapping[str, Sequence[Mapping[str, str]]]) -> list[dict[str, Any]]:
    """Every metric with what is known of it, and a query to start with."""
    return [_browser_row(name, about) for name in names]


def _browser_row(name: str, about: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, Any]:
    family = next((about[f] for f in _families(name) if about.get(f)), [{}])[0]
    kind = family.get("type", "")
    return {
        "name": name,
        "type": kind,
        "unit": family.get("unit") or UNIT_WORDS.get(unit_of(name).name, ""),
        "help": family.get("help", ""),
        "query": starting_query(name, kind),
    }


def _families(name: str) -> list[str]:
    stems = [name.removesuffix(s) for s in ("_total", "_bucket", "_sum", "_count") if name.endswith(s)]
    return [name, *stems]


def starting_query(name: str, kind: str) -> str:
    """What one would ask of a metric first: the rate of a counter, a quantile of a histogram, a gauge as it is."""
    if name.endswith("_bucket"):
        return f"histogram_quantile(0.95, sum by (le) (rate({name}[5m])))"
    if kind == "counter" or name.endswith(("_total", "_count", "_sum")):
        return f"rate({name}[1m])"
    return name
