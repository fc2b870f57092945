"""Structural operators on columns against a twin that walks from parent to parent, on random forests.

Ids repeat, parents are missing, spans are their own parents, cycles; traces stand in blocks, in the head, in both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from span_batches import SpanRow, spans_batch

from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import plan

ROWS = st.builds(
    SpanRow,
    trace=st.integers(1, 3), span=st.integers(1, 7), parent=st.integers(0, 8), name=st.sampled_from("lr"),
    service=st.sampled_from("lr"), start=st.integers(0, 3),
)  # fmt: skip
Parents = dict[int, int | None]


def ancestors(parents: Parents, span: int) -> list[int]:
    found: list[int] = []
    while (above := parents[span]) is not None:
        found.append(above)
        span = above
    return found


def related(op: str, parents: Parents, left: int, right: int) -> bool:
    """Whether the right span stands in the relation to the left."""
    if op == ">":
        return parents[right] == left
    if op == "<":
        return parents[left] == right
    if op == ">>":
        return left in ancestors(parents, right)
    if op == "<<":
        return right in ancestors(parents, left)
    return left != right and parents[left] is not None and parents[left] == parents[right]


def twin(op: str, parents: Parents, left: set[int], right: set[int]) -> set[int]:
    if op == "&&":
        return left | right if left and right else set()
    if op == "||":
        return left | right
    relation = op.lstrip("&!")
    pairs = [(a, b) for a in left for b in right if related(relation, parents, a, b)]
    found = {b for _, b in pairs}
    return right - found if op[0] == "!" else found | {a for a, _ in pairs} if op[0] == "&" else found


OPS = ["&&", "||", *(form + op for form in ("", "&", "!") for op in (">>", "<<", ">", "<", "~"))]


CUTS = st.lists(st.booleans(), min_size=24, max_size=24)


@given(rows=st.lists(ROWS, max_size=24), cuts=CUTS, op=st.sampled_from(OPS))
@examples(60)
def test_operators_do_what_a_walk_does(rows: list[SpanRow], cuts: list[bool], op: str) -> None:
    unique = list({(r.trace, r.span): r for r in rows}.values())
    with tempfile.TemporaryDirectory() as folder:
        store = TraceStore(Path(folder) / "t")
        store.open()
        for cut in (True, False):
            part = [row for row, c in zip(unique, cuts, strict=False) if c is cut]
            if part:
                store.consume(spans_batch(*part))
            if cut:
                store.flush()
        check(store, op, sorted({r.trace for r in unique}), lambda query: found_spans(store, query))
        store.close()


def found_spans(store: TraceStore, query: str) -> dict[int, set[int]]:
    asked = plan(query)
    wanted = asked.asked(TraceQuery(limit=100))
    ids = [t.trace_id for t in store.search(wanted).traces]
    sets = store.spansets(asked, ids, wanted)
    assert set(sets) == set(ids)
    return {
        int.from_bytes(trace_id, "big"): {int(s.span_id, 16) for spanset in found for s in spanset.spans}
        for trace_id, found in sets.items()
    }


def check(store: TraceStore, op: str, traces: list[int], found: Callable[[str], dict[int, set[int]]]) -> None:
    """Three shapes: the operator alone; after a grouping; and with a side that is a pair itself."""
    expected: dict[str, dict[int, set[int]]] = {"plain": {}, "grouped": {}, "nested": {}}
    for trace in traces:
        read = store.by_id(trace.to_bytes(16, "big"))
        assert read is not None
        spans = read.table.to_pylist()
        ids = [int.from_bytes(s["span_id"], "big") for s in spans]
        up = [s["parent_position"] for s in spans]
        parents = {i: ids[p] if p >= 0 else None for i, p in zip(ids, up, strict=True)}
        name = {i: s["name"] for i, s in zip(ids, spans, strict=True)}
        service = {i: s["resource.service.name:str"] for i, s in zip(ids, spans, strict=True)}
        left, right = ({i for i in ids if name[i] == n} for n in "lr")
        expected["plain"][trace] = twin(op, parents, left, right)
        expected["grouped"][trace] = set()
        for group in "lr":
            own = {i for i in ids if service[i] == group}
            expected["grouped"][trace] |= twin(op, parents, left & own, right & own)
        expected["nested"][trace] = twin(">>", parents, set(ids), twin(op, parents, left, right))
    text = f'{{ name = "l" }} {op} {{ name = "r" }}'
    queries = {
        "plain": text, "grouped": f"{{ }} | by(resource.service.name) | {text}", "nested": f"{{ }} >> ({text})",
    }  # fmt: skip
    for shape, query in queries.items():
        assert found(query) == {t: s for t, s in expected[shape].items() if s}, query
