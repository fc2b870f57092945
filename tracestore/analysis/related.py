"""From a trace to its logs and its containers' metrics: ready queries by ids and resource, with nothing to configure.

In: the spans of a trace. Out: LogQL and PromQL with the addresses that answer them on this server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from obs.tracestore.spanview import SpanView

AROUND_NS = 60 * 10**9
"""Logs and metrics of a minute before and after are shown with a trace: scrapes are that far apart."""

STEP_S, MAX_STEPS = 15, 1_000
"""Metrics are asked for as often as they are scraped, of long traces as often as a chart can show."""


def related(trace_id: str, spans: Iterable[SpanView], start_ns: int, end_ns: int) -> dict[str, Any]:
    """The queries; metrics come by what a resource names: container, pod, service, host."""
    first, last = start_ns - AROUND_NS, end_ns + AROUND_NS
    logs = f"{{}} | trace_id = {_quoted(trace_id)}"
    begin, end = first // 10**9, -(-last // 10**9)
    range_ = {"start": begin, "end": end, "step": max(STEP_S, -(-(end - begin) // MAX_STEPS))}
    metrics = {}
    for resource in _resources(spans):
        for title, query in _metric_queries(resource):
            url = f"/api/v1/query_range?{urlencode({'query': query, **range_})}"
            metrics[query] = {"title": title, "query": query, "url": url}
    url = f"/loki/api/v1/query_range?{urlencode({'query': logs, 'start': first, 'end': last})}"
    return {"startNs": first, "endNs": last, "logs": {"query": logs, "url": url}, "metrics": list(metrics.values())}


def _resources(spans: Iterable[SpanView]) -> Iterator[Mapping[str, str]]:
    """The distinct resources."""
    seen: dict[tuple[tuple[str, str], ...], None] = {}
    for span in spans:
        seen[tuple((k, str(v)) for k, _, v in span.resource)] = None
    return map(dict, seen)


def _metric_queries(resource: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(what it shows, PromQL) in the agent's names of container and host metrics, and the job that OTLP gives."""
    service = resource.get("service.name", "")
    container, name, pod = (resource.get(k, "") for k in ("container.id", "container.name", "k8s.pod.name"))
    selectors = []
    if container:
        id_ = f"={_quoted(container)}" if len(container) == 64 else f"=~{_quoted(re.escape(container) + '.*')}"
        selectors.append((f"container {container[:12]}", f"container_id{id_}"))
    elif name:
        selectors.append((f"container {name}", f"name={_quoted(name)}"))
    if pod:
        selectors.append((f"pod {pod}", f"container_label_io_kubernetes_pod_name={_quoted(pod)}"))
    for title, selector in selectors:
        yield f"CPU of {title}", f"sum(rate(container_cpu_usage_seconds_total{{{selector}}}[1m]))"
        yield f"Memory of {title}", f"sum(container_memory_working_set_bytes{{{selector}}})"
    if service:
        job = f"job=~{_quoted('(.*/)?' + re.escape(service))}"
        instance = resource.get("service.instance.id")
        own = f"{job}, instance={_quoted(instance)}" if instance else job
        yield f"Metrics of {service}", f"count by (__name__) ({{{own}}})"
    if host := resource.get("host.name"):
        yield f"Load of {host}", f"node_load1{{instance=~{_quoted(re.escape(host) + '(:[0-9]+)?')}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
