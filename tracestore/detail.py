"""One trace as our own API writes it: spans in the order of the tree with all they carry, and what is odd in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from obs.tracestore import limits
from obs.tracestore.links import Link
from obs.tracestore.names import KINDS, NESTED_LEFT, STATUSES
from obs.tracestore.oddities import missing_parents, summary
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import Attributes, SpanView, as_json_value, event_attributes, span_views


def detail(trace: Trace, offset: int, limit: int) -> dict[str, Any]:
    """The trace with spans offset … offset + limit of the tree; `next` is the offset that continues."""
    table = trace.table
    order = np.argsort(table.column(NESTED_LEFT).to_numpy(), kind="stable")[offset : offset + limit]
    spans = span_views(table.take(pa.array(order)))
    found, total = trace.summary, table.num_rows
    return {
        "traceId": trace.trace_id.hex(), "rootService": found.root_service, "rootName": found.root_name,
        "startNs": found.start_ns, "durationNs": found.duration_ns, "services": list(found.services),
        "errors": found.errors, "totalSpans": total, "spans": [span_json(s) for s in spans],
        "warnings": warnings(trace), "missingParents": missing_parents(trace)[: limits.MAX_MISSING],
        "next": offset + limit if offset + limit < total else None,
    }  # fmt: skip


def span_json(span: SpanView) -> dict[str, Any]:
    """One span."""
    return {
        "spanId": span.span_id, "parentSpanId": span.parent_id or None, "name": span.name, "service": span.service,
        "kind": KINDS[span.kind] if span.kind < len(KINDS) else str(span.kind),
        "startNs": span.start_ns, "endNs": span.end_ns, "durationNs": span.duration_ns, "selfNs": span.self_ns,
        "criticalNs": span.critical_ns, "skewNs": span.skew_ns,
        "depth": span.depth,
        "status": {
            "code": STATUSES[span.status] if span.status < len(STATUSES) else str(span.status),
            "message": span.status_message,
        },
        "attributes": _attributes(span.attributes), "resource": _attributes(span.resource),
        "scope": {"name": span.scope_name, "version": span.scope_version, "attributes": _attributes(span.scope)},
        "events": [_event(e) for e in span.events], "links": [_link(e) for e in span.links],
        "traceState": span.trace_state, "flags": span.flags,
        "dropped": {
            "attributes": span.dropped_attributes, "events": span.dropped_events, "links": span.dropped_links,
        },
    }  # fmt: skip


def _attributes(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": k, "type": t, "value": as_json_value(t, v)} for k, t, v in attributes]


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"timeNs": event["time_ns"], "name": event["name"] or "", "attributes": event_attributes(event),
            "dropped": event["dropped"] or 0}  # fmt: skip


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "traceId": (link["trace_id"] or b"").hex(), "spanId": (link["span_id"] or b"").hex(),
        "traceState": link["trace_state"] or "", "attributes": event_attributes(link),
    }  # fmt: skip


def links_json(links: Iterable[Link]) -> list[dict[str, Any]]:
    """Each link from its span to what it links to; a span that is not named is null."""
    return [
        {
            "traceId": k.trace_id.hex(), "spanId": k.span_id.hex(), "linkedTraceId": k.linked_trace_id.hex(),
            "linkedSpanId": k.linked_span_id.hex() or None,
        }
        for k in links
    ]  # fmt: skip


def linked_from(links: Sequence[Link]) -> dict[str, Any]:
    """The links to a trace as part of its answer."""
    shown = links[: limits.LINKS_IN_DETAIL]
    return {"linkedFrom": links_json(shown), "linkedFromTruncated": len(links) > len(shown)}


def warnings(trace: Trace) -> Sequence[str]:
    """What to know before believing the tree: missing parents, broken cycles, clocks that disagree."""
    c, dag = trace.source.spans, trace.source.dag
    found = [*summary(trace)]
    if shifted := int((dag.skew != 0).sum()):
        most = int(np.abs(dag.skew).max())
        found.append(
            f"clock skew: {shifted} spans of another host lie outside their parent; shifting them by skewNs, up to "
            f"{most} ns, puts them inside; startNs and endNs are as sent"
        )
    start = c.start + dag.skew
    child = np.flatnonzero(dag.parent >= 0)
    ahead = start[dag.parent[child]] - start[child]
    if early := int((ahead > 0).sum()):
        found.append(f"{early} spans start before their parent, by up to {int(ahead.max())} ns")
    return found
