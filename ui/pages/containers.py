"""The overview's table of containers and control groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obs.client import ClientError, QueryResult
from obs.ui.asking import vector
from obs.ui.components.grid import linked, number, text
from obs.ui.view import View, link

BY = "sum by (id, name, image)"
QUERIES = {
    "cpu": f"{BY} (rate(container_cpu_usage_seconds_total[1m]))",
    "memory": f"{BY} (container_memory_working_set_bytes)",
    "limit": f"{BY} (container_spec_memory_limit_bytes)",
    "processes": f"{BY} (container_processes)",
    "read": f"{BY} (rate(container_fs_reads_bytes_total[1m]))",
    "written": f"{BY} (rate(container_fs_writes_bytes_total[1m]))",
}
COLUMNS = [
    linked(text("shown", "Name", flex=2, minWidth=220), "href"),
    text("image", "Image", minWidth=120),
    number("cpu", "CPU", "percent", sort="desc"),
    number("memory", "Memory", "bytes"),
    number("limit", "Limit", "bytes"),
    number("processes", "Processes", "count", width=96),
    number("read", "Read", "bytes/s"),
    number("written", "Written", "bytes/s"),
]
EMPTY = "No control groups reported yet: the agent reads them from /sys/fs/cgroup"
UNLIMITED = 1 << 60


def rows(answers: Mapping[str, QueryResult | ClientError], view: View) -> list[dict[str, Any]]:
    """One row a group; the root group is the node itself and is left out."""
    found: dict[str, dict[str, Any]] = {}
    for column, answer in answers.items():
        for labels, value in vector(answer):
            group = labels.get("id", "")
            if group in ("", "/"):
                continue
            row = found.setdefault(group, _row(group, labels, view))
            row[column] = value if column != "limit" or 0 < value < UNLIMITED else None
    return sorted(found.values(), key=lambda row: (-row.get("cpu", 0.0), -row.get("memory", 0.0)))


def _row(group: str, labels: Mapping[str, str], view: View) -> dict[str, Any]:
    selector = '{id="' + group.replace("\\", "\\\\").replace('"', '\\"') + '"}'
    queries = (
        f"rate(container_cpu_usage_seconds_total{selector}[1m])",
        f"container_memory_working_set_bytes{selector}",
    )
    return {
        "id": group,
        "shown": labels.get("name") or group,
        "image": labels.get("image", ""),
        "href": link("/ui/metrics", view, q=queries),
    }
