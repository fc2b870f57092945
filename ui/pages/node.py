"""The node's tiles and charts on the overview: their queries, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obs.client import ClientError, QueryResult
from obs.ui import figures
from obs.ui.asking import first_value, matrix
from obs.ui.components.states import failure, message
from obs.ui.components.tiles import tile
from obs.ui.figures import Figure
from obs.ui.timerange import TimeRange
from obs.ui.units import BYTES, BYTES_S, NONE, PERCENT, Unit, count, duration
from obs.ui.view import View, link

Answers = Mapping[str, QueryResult | ClientError]
DISK = 'node_filesystem_{}_bytes{{fstype!~"tmpfs|overlay|squashfs|ramfs|devtmpfs"}}'
NET = 'sum(rate(node_network_{}_bytes_total{{device!="lo"}}[1m]))'

TILES = {
    "cpu": '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[1m]))',
    "cores": "count(count by (cpu) (node_cpu_seconds_total))",
    "memory": "1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes)",
    "memory_total": "sum(node_memory_MemTotal_bytes)",
    "load": "avg(node_load1)",
    "load15": "avg(node_load15)",
    "disk": f"max(1 - {DISK.format('avail')} / {DISK.format('size')})",
    "disk_free": f"min({DISK.format('avail')})",
    "received": NET.format("receive"),
    "sent": NET.format("transmit"),
    "up": "max(node_time_seconds - node_boot_time_seconds)",
    "processes": "sum(node_procs_running)",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of named queries, each one line."""

    id: str
    title: str
    queries: Mapping[str, str]
    unit: Unit = NONE
    stacked: bool = False

    def at(self, span: TimeRange) -> dict[str, str]:
        """The queries by a name unique to the page, with the window for this range filled in."""
        return {f"{self.id}/{name}": query.replace("$w", span.window) for name, query in self.queries.items()}

    def figure(self, answers: Answers, span: TimeRange) -> Figure:
        """Drawn, or blank with the reason."""
        mine = {name: answers[f"{self.id}/{name}"] for name in self.queries}
        errors = [str(a) for a in mine.values() if isinstance(a, ClientError)]
        found = [(name, s) for name, answer in mine.items() for s in matrix(answer)]
        if not found:
            text = errors[0].splitlines()[0][:90] if errors else "no data in this range"
            return figures.blank(text, span)
        lines = figures.matrix_lines([s for _, s in found], span.step_s, [name for name, _ in found])
        if self.stacked:
            lines = figures.visible(lines)
        return figures.lines(lines, span, self.unit, stacked=self.stacked)


CPU = 'sum(rate(node_cpu_seconds_total{{mode=~"{}"}}[$w])) / scalar(count(count by (cpu) (node_cpu_seconds_total)))'
CPU_MODES = {
    "user": CPU.format("user|nice"),
    "system": CPU.format("system|irq|softirq"),
    "wait": CPU.format("iowait"),
    "steal": CPU.format("steal"),
}
CHARTS = (
    Chart("cpu", "CPU", CPU_MODES, PERCENT, stacked=True),
    Chart(
        "memory", "Memory",
        {
            "used": "sum(node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)",
            "reclaimable": "sum(node_memory_MemAvailable_bytes - node_memory_MemFree_bytes)",
            "free": "sum(node_memory_MemFree_bytes)",
        },
        BYTES, stacked=True,
    ),
    Chart("load", "Load", {"1 min": "avg(node_load1)", "5 min": "avg(node_load5)", "15 min": "avg(node_load15)"}),
    Chart(
        "disk", "Disk",
        {
            "read": "sum(rate(node_disk_read_bytes_total[$w]))",
            "written": "sum(rate(node_disk_written_bytes_total[$w]))",
        },
        BYTES_S,
    ),
    Chart(
        "network", "Network",
        {
            "received": 'sum(rate(node_network_receive_bytes_total{device!="lo"}[$w]))',
            "sent": 'sum(rate(node_network_transmit_bytes_total{device!="lo"}[$w]))',
        },
        BYTES_S,
    ),
    Chart(
        "pressure", "Waiting for",
        {
            "CPU": "avg(rate(node_pressure_cpu_waiting_seconds_total[$w]))",
            "disk": "avg(rate(node_pressure_io_waiting_seconds_total[$w]))",
            "memory": "avg(rate(node_pressure_memory_waiting_seconds_total[$w]))",
        },
        PERCENT,
    ),
)  # fmt: skip


def tiles(answers: Answers, view: View) -> list[Any]:
    """The row of tiles, or a word on why there is nothing to show."""
    errors = [a for a in answers.values() if isinstance(a, ClientError)]
    if len(errors) == len(answers):
        return [failure(errors[0])]
    value = {name: first_value(answer) for name, answer in answers.items()}
    if all(v is None for v in value.values()) and view.get("to", "now") != "now":
        return [message("No host metrics at this moment", "The tiles show the end of the time range; try another one.")]
    if all(v is None for v in value.values()):
        return [message("No host metrics yet", "The agent sends the first within seconds of its start; "
                        "on another machine run: obs agent --to HOST:4317")]  # fmt: skip

    def metrics(*queries: str) -> str:
        return link("/ui/metrics", view, q=queries)

    total, load, cores = value["memory_total"], value["load"], value["cores"]
    used = None if total is None or value["memory"] is None else total * value["memory"]
    return [
        tile("CPU", PERCENT.text(value["cpu"]), f"{count(cores)} cores", value["cpu"], metrics(TILES["cpu"])),
        tile("Memory", PERCENT.text(value["memory"]), f"{BYTES.text(used)} of {BYTES.text(total)}", value["memory"],
             metrics(TILES["memory"])),
        tile("Load", count(load), f"15 min: {count(value['load15'])}",
             None if load is None or not cores else load / cores / 2, metrics("node_load1", "node_load15")),
        tile("Fullest disk", PERCENT.text(value["disk"]), f"{BYTES.text(value['disk_free'])} free", value["disk"],
             metrics(TILES["disk"])),
        tile("Network in", BYTES_S.text(value["received"]), f"out: {BYTES_S.text(value['sent'])}", None,
             metrics(TILES["received"], TILES["sent"])),
        tile("Up for", duration(value["up"]) if value["up"] is not None else "–",
             f"running now: {count(value['processes'])}", None, metrics(TILES["up"])),
    ]  # fmt: skip
