"""The verbs of `obs trace` that look at many traces: search, graph, path, flame, compare, differences, related.

Each takes the conditions of a search; `--output json` gives the API's answer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from obs.cli.moments import moment_s
from obs.cli.options import DEFAULT_SERVER, Output, OutputOption, Server, reads_answers
from obs.cli.output import write_json, write_rows
from obs.client import ObsClient

Query = Annotated[str, typer.Argument(help="TraceQL, like '{ status = error }'; all spans where left out.")]
Service = Annotated[str, typer.Option("--service", help="Only spans of this service.")]
Limit = Annotated[int, typer.Option("--limit", help="How many traces; 0: as many as the server takes by itself.")]
From = Annotated[str, typer.Option("--start", help="From when: `-1h`, RFC 3339 or unix seconds; else all of time.")]
Until = Annotated[str, typer.Option("--end", help="Until when; the same forms, and `now`.")]
Given = Mapping[str, Any]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    verbs = (("search", search), ("graph", graph), ("path", path), ("flame", flame), ("compare", compare),
             ("differences", differences), ("related", related))  # fmt: skip
    for name, verb in verbs:
        group.command(name=name, help=verb.__doc__)(reads_answers(verb))


def _asked(query: str, service: str, start: str, end: str, **more: Any) -> Given:
    now = time.time()
    when = {name: round(moment_s(text, now) * 1e9) for name, text in (("start", start), ("end", end)) if text}
    return {"q": query or None, "service": service or None, **when, **{k: v or None for k, v in more.items()}}


def _write(found: Any, columns: list[str], rows: Iterable[tuple[Any, ...]], output: Output) -> None:
    if output is Output.JSON:
        write_json(found)
    else:
        write_rows(columns, rows, output)


def search(
    query: Query = "", service: Service = "", start: From = "", end: Until = "", limit: Limit = 20,
    order: Annotated[str, typer.Option("--order", help="newest oldest longest shortest spans errors")] = "newest",
    explain: Annotated[bool, typer.Option("--explain", help="Write how the query would run.")] = False,
    output: OutputOption = Output.TABLE, server: Server = DEFAULT_SERVER,
) -> None:  # fmt: skip
    """List the traces that match, in order over the whole range."""
    if explain:
        planned = ObsClient(server).traces.explain(query)
        return _write(planned, ["plan"], ((line,) for line in planned["plan"]), output)
    found = ObsClient(server).traces.analysis("search", _asked(query, service, start, end, limit=limit, order=order))
    rows = ((t["traceId"], t["rootService"], t["rootName"], _ms(t["durationNs"]), t["spans"], t["errors"])
            for t in found["traces"])  # fmt: skip
    for warning in found.get("warnings", ()):
        print(warning, file=sys.stderr)
    return _write(found, ["trace id", "service", "root", "ms", "spans", "errors"], rows, output)


def graph(
    query: Query = "", service: Service = "", start: From = "", end: Until = "",
    output: OutputOption = Output.TABLE, server: Server = DEFAULT_SERVER,
) -> None:  # fmt: skip
    """Show who calls whom: rates, errors and latencies of each edge."""
    found = ObsClient(server).traces.analysis("graph", _asked(query, service, start, end))
    rows = (
        (e["parent"], e["child"], e["calls"], round(e["callsPerSecond"], 3), _percent(e["errorRatio"]),
         *(_ms(e[name]) for name in ("p50Ns", "p90Ns", "p99Ns")))
        for e in found["edges"]
    )  # fmt: skip
    _write(found, ["parent", "child", "calls", "per s", "errors %", "p50 ms", "p90 ms", "p99 ms"], rows, output)


def path(
    query: Query = "", service: Service = "", start: From = "", end: Until = "", limit: Limit = 0,
    trace_id: Annotated[str, typer.Option("--trace", help="Of this trace alone.")] = "",
    quantile: Annotated[float, typer.Option("--quantile", help="Which traces count as slow.")] = 0.99,
    output: OutputOption = Output.TABLE, server: Server = DEFAULT_SERVER,
) -> None:  # fmt: skip
    """Show where time goes on the critical path, of one trace or over the longest thousand that match."""
    traces = ObsClient(server).traces
    if trace_id:
        found = traces.critical_path(trace_id)
        rows = ((s["service"], "  " * s["depth"] + s["name"], _ms(s["criticalNs"]), _percent(s["share"]), s["spanId"])
                for s in found["spans"])  # fmt: skip
        return _write(found, ["service", "span", "critical ms", "%", "span id"], rows, output)
    asked = _asked(query, service, start, end, limit=limit)
    found = traces.analysis("critical-path", {**asked, "quantile": quantile})
    rows = ((o["service"], o["name"], _ms(o["criticalNs"]), _percent(o["share"]), _percent(o["slowShare"]))
            for o in found["operations"])  # fmt: skip
    return _write(found, ["service", "operation", "critical ms", "% of all", "% of slow"], rows, output)


def flame(
    query: Query = "", service: Service = "", start: From = "", end: Until = "", limit: Limit = 0,
    folded: Annotated[bool, typer.Option("--folded", help="Lines as flame graph tools read them.")] = False,
    output: OutputOption = Output.TABLE, server: Server = DEFAULT_SERVER,
) -> None:  # fmt: skip
    """Merge the traces that match by their stacks, with the time that each spends itself."""
    asked = _asked(query, service, start, end, limit=limit)
    traces = ObsClient(server).traces
    if folded:
        return typer.echo(traces.folded(asked), nl=False)
    found = traces.analysis("flame", asked)
    return _write(found, ["stack", "spans", "self ms", "total ms"], _tree(found["nodes"]), output)


def _tree(nodes: list[dict[str, Any]]) -> Iterable[tuple[Any, ...]]:
    """The nodes in the order of the tree, the longest first."""
    below: dict[int, list[int]] = {}
    for i, node in enumerate(nodes):
        below.setdefault(node["parent"], []).append(i)
    stack = [(i, 0) for i in sorted(below.get(-1, ()), key=lambda i: nodes[i]["totalNs"])]
    while stack:
        i, depth = stack.pop()
        node = nodes[i]
        frame = f"{'  ' * depth}{node['service']} {node['name']}"
        yield frame, node["spans"], _ms(node["selfNs"]), _ms(node["totalNs"])
        stack += [(c, depth + 1) for c in sorted(below.get(i, ()), key=lambda c: nodes[c]["totalNs"])]


def compare(
    a: Annotated[str, typer.Argument(help="A trace's id.")],
    b: Annotated[str, typer.Argument(help="Another's.")],
    output: OutputOption = Output.TABLE, server: Server = DEFAULT_SERVER,
) -> None:  # fmt: skip
    """Compare two traces span by span."""
    found = ObsClient(server).traces.analysis("compare", {"a": a, "b": b})
    rows = ((r["service"], "  " * r["depth"] + r["name"], _side(r["a"]), _side(r["b"]), _ms(r["durationDeltaNs"]),
             _ms(r["selfDeltaNs"])) for r in found["spans"])  # fmt: skip
    _write(found, ["service", "span", "a ms", "b ms", "longer by ms", "itself ms"], rows, output)


def differences(
    query: Query = "", service: Service = "", start: From = "", end: Until = "",
    failed: Annotated[bool, typer.Option("--failed", help="What failed spans have more often than others.")] = False,
    slow: Annotated[str, typer.Option("--slow", help="From which duration a span is slow; else the slowest 5 %.")] = "",
    among: Annotated[str, typer.Option("--among", help="TraceQL of the set that is asked about.")] = "",
    rate: Annotated[float, typer.Option("--fdr", help="The false discovery rate that is let through.")] = 0.05,
    output: OutputOption = Output.TABLE, server: Server = DEFAULT_SERVER,
) -> None:  # fmt: skip
    """Show which attribute values are over-represented among slow, failed or other spans."""
    asked = _asked(query, service, start, end, failed="1" if failed else "", slow=slow, among=among)
    found = ObsClient(server).traces.analysis("differences", {**asked, "fdr": rate})
    rows = ((d["attribute"], d["value"], _percent(d["insideShare"]), _percent(d["outsideShare"]), f"{d['q']:.2g}")
            for d in found["differences"])  # fmt: skip
    _write(found, ["attribute", "value", "% inside", "% outside", "q"], rows, output)


def related(
    trace_id: Annotated[str, typer.Argument(help="The trace's id.")],
    output: OutputOption = Output.TABLE, server: Server = DEFAULT_SERVER,
) -> None:  # fmt: skip
    """Name the queries for a trace's logs and for its containers' metrics."""
    found = ObsClient(server).traces.related(trace_id)
    rows = [("logs", found["logs"]["query"]), *((m["title"], m["query"]) for m in found["metrics"])]
    _write(found, ["what", "query"], rows, output)


def _side(span: dict[str, Any] | None) -> float | None:
    return None if span is None else _ms(span["durationNs"])


def _ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


def _percent(share: float) -> float:
    return round(share * 100, 2)
