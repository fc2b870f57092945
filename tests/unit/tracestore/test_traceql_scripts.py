"""Runs tests/scripts/traceql: each script with its spans in the head, in a block, in both, and in two blocks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from script_files import Step, read_script
from span_batches import SpanRow, spans_batch
from span_scripts import span_letter, spans_of

from obs.errors import QueryError
from obs.tracestore.durations import duration_ns
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import plan
from obs.tracestore.traceql.metrics.window import Window

SCRIPTS = sorted((Path(__file__).parents[2] / "scripts" / "traceql").glob("*.test"))
COMMANDS = "load search traces fail metric instant"


def load(store: TraceStore, rows: list[SpanRow], where: str) -> None:
    parts = [rows] if where in ("head", "block") else [rows[::2], rows[1::2]]
    for i, part in enumerate(parts):
        if part:
            store.consume(spans_batch(*part))
        if where in ("block", "blocks") or (where == "both" and i == 0):
            store.flush()


def shown(value: object) -> str:
    return "nil" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def found_sets(store: TraceStore, query: str) -> list[str]:
    asked = plan(query)
    wanted = asked.asked(TraceQuery(limit=1000, descending=False))
    ids = [t.trace_id for t in store.search(wanted).traces]
    sets = store.spansets(asked, ids, wanted)
    lines = []
    for trace_id in ids:
        for spanset in sets.get(trace_id, []):
            assert spanset.matched == len(spanset.spans)
            with_values = "select" in query
            spans = " ".join(span_letter(s.span_id) + values(s.values * with_values) for s in spanset.spans)
            notes = " ".join(f"{name}={shown(value)}" for name, value in spanset.notes)
            lines.append(f"{int.from_bytes(trace_id, 'big')}: {spans}" + (f" [{notes}]" if notes else ""))
        assert trace_id in sets, f"trace {trace_id.hex()} was found without a span"
    return lines


def values(pairs: tuple[tuple[object, object], ...]) -> str:
    return "(" + ", ".join(f"{field}={shown(value)}" for field, value in pairs) + ")" if pairs else ""


def answer(store: TraceStore, step: Step) -> list[str]:
    if step.command == "search":
        return found_sets(store, step.query)
    if step.command == "traces":
        asked = plan(step.query).asked(TraceQuery(limit=1000))
        return [str(int.from_bytes(t.trace_id, "big")) for t in store.search(asked).traces]
    if step.command in ("metric", "instant"):
        return points(store, step)
    with pytest.raises(QueryError) as error:
        plan(step.query)
    line, column, _ = str(error.value).split(":", 2)
    assert "^" in str(error.value)
    return [f"{line}:{column}"]


def points(store: TraceStore, step: Step) -> list[str]:
    span, _, pace = step.options.partition(" step ")
    start, end = (duration_ns(t) for t in span.split(".."))
    window = Window.over(start, end, duration_ns(pace)) if pace else Window.whole(start, end)
    found = store.measure(plan(step.query), window, 5)
    return [
        "{" + ", ".join(f"{key}={label(value)}" for key, value in s.labels) + "} "
        + " ".join("_" if math.isnan(v) else f"{v:.4g}" for v in s.values.tolist())
        for s in found.series
    ]  # fmt: skip


def label(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else shown(value)


@pytest.mark.parametrize("where", ["head", "block", "both", "blocks"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_script(script: Path, where: str, tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    store.open()
    try:
        for step in read_script(script, COMMANDS):
            if step.command == "load":
                load(store, list(spans_of(step.body)), where)
            else:
                assert answer(store, step) == step.body, f"{script.name}:{step.line}: {step.query}"
    finally:
        store.close()


def test_every_operator_has_a_script() -> None:
    from obs.tracestore.traceql.operators import OPERATORS

    texts = "".join(path.read_text() for path in SCRIPTS)
    assert [op for op in OPERATORS if f"}} {op} {{" not in texts] == []


def test_every_metric_has_a_script() -> None:
    from obs.tracestore.traceql.metrics import MEASURES

    texts = "".join(path.read_text() for path in SCRIPTS)
    assert [name for name in (*MEASURES, "compare", "topk", "bottomk") if f"{name}(" not in texts] == []
