"""Traces: search and reading by id over obs' own API, services and dependencies over Jaeger's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from obs.client.transport import Params, Transport, segment

MOST_SPANS = 20_000
"""More than this no page shows and no terminal scrolls."""


class Traces:
    """Search, single traces, and the services seen."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def search(
        self, *, service: str | None = None, operation: str | None = None, tags: Mapping[str, str] | None = None,
        min_duration: str | None = None, max_duration: str | None = None, start_ns: int | None = None,
        end_ns: int | None = None, status: str | None = None, traceql: str | None = None, order: str | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Summaries `{traceId, rootService, rootName, startNs, durationNs, spans, errors, services}`.

        Durations are written `250ms`; `order` (newest, oldest, longest, shortest, spans, errors) holds over the range.
        """
        found: list[dict[str, Any]] = self.found(
            service=service, operation=operation, tags=tags, min_duration=min_duration, max_duration=max_duration,
            start_ns=start_ns, end_ns=end_ns, status=status, traceql=traceql, order=order, limit=limit,
        )["traces"]  # fmt: skip
        return found

    def found(
        self, *, service: str | None = None, operation: str | None = None, tags: Mapping[str, str] | None = None,
        min_duration: str | None = None, max_duration: str | None = None, start_ns: int | None = None,
        end_ns: int | None = None, status: str | None = None, traceql: str | None = None, order: str | None = None,
        limit: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The same as `traces`, and `warnings`: what was not searched, and why."""
        params: Params = [
            ("service", service), ("operation", operation), ("tags", json.dumps(dict(tags)) if tags else None),
            ("minDuration", min_duration), ("maxDuration", max_duration), ("start", start_ns), ("end", end_ns),
            ("status", status), ("q", traceql), ("order", order), ("limit", limit),
        ]  # fmt: skip
        answer: dict[str, Any] = self._transport.json("/api/traces/search", params)
        return answer

    def trace(self, trace_id: str, most_spans: int = MOST_SPANS) -> dict[str, Any]:
        """One trace with its spans in the order of the tree; very large ones are read in pages.

        Past `most_spans` no page is read; its warnings say so.
        """
        path = f"/api/traces/{segment(trace_id)}"
        found: dict[str, Any] = self._transport.json(path)
        while found.get("next") is not None and len(found["spans"]) < most_spans:
            page = self._transport.json(path, [("offset", found["next"])])
            found = {**found, "spans": [*found["spans"], *page["spans"]], "next": page["next"]}
        if found.get("next") is not None:
            shown, total = len(found["spans"]), found["totalSpans"]
            cut = f"only the first {shown} of {total} spans are here, in the order of the tree"
            found["warnings"] = [cut, *found["warnings"]]
        return found

    def analysis(self, name: str, asked: Mapping[str, Any]) -> Any:
        """An analysis by its name under /api/traces, with the parameters of a search and its own."""
        return self._transport.json(f"/api/traces/{name}", asked.items())

    def explain(self, traceql: str) -> Any:
        """What a TraceQL query is planned into: `{query, plan}`, a line each."""
        return self._transport.json("/api/traces/explain", [("q", traceql or None)])

    def folded(self, asked: Mapping[str, Any]) -> str:
        """A flame graph's stacks, `a;b;c microseconds` a line."""
        return self._transport.raw("/api/traces/flame", [*asked.items(), ("format", "folded")]).decode()

    def critical_path(self, trace_id: str) -> Any:
        """The spans that a trace waited for."""
        return self._transport.json(f"/api/traces/{segment(trace_id)}/critical-path")

    def related(self, trace_id: str) -> Any:
        """Queries for a trace's logs and its containers' metrics."""
        return self._transport.json(f"/api/traces/{segment(trace_id)}/related")

    def graph(self, start_ns: int, end_ns: int) -> list[dict[str, Any]]:
        """Calls between services: `{parent, child, calls, errors, durationNs}`."""
        found: list[dict[str, Any]] = self._transport.json("/api/traces/graph", [("start", start_ns), ("end", end_ns)])[
            "edges"
        ]
        return found

    def services(self) -> list[str]:
        """Names of services that sent spans."""
        return list(self._transport.json("/jaeger/api/services").get("data") or [])

    def operations(self, service: str) -> list[str]:
        """Names of a service's operations."""
        answer = self._transport.json(f"/jaeger/api/services/{segment(service)}/operations").get("data") or []
        return [o["name"] if isinstance(o, dict) else o for o in answer]

    def dependencies(self, end_ms: int, lookback_ms: int) -> list[dict[str, Any]]:
        """Calls between services: `{parent, child, callCount}`."""
        params: Params = [("endTs", end_ms), ("lookback", lookback_ms)]
        return list(self._transport.json("/jaeger/api/dependencies", params).get("data") or [])
