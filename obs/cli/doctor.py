"""`obs doctor`: whether a server is well, and what to do where it is not."""

from __future__ import annotations

from typing import Any

import typer

from obs.cli.options import DEFAULT_SERVER, Output, OutputOption, Server, reads_answers
from obs.cli.output import write_json, write_rows
from obs.client import ObsClient

SAMPLED_OUT = "sampled_out"
"""The ledger's reason for what tail sampling was told to leave out."""

Check = tuple[str, str, str]  # what, "ok" | "warning" | "error", detail


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="doctor", help="Check a running obs.")(reads_answers(doctor))


def doctor(output: OutputOption = Output.TABLE, server: Server = DEFAULT_SERVER) -> None:
    """Write each check; exit with 1 where one is an error."""
    status = ObsClient(server).status()
    checks = [*_stores(status), *_cardinality(status), *ledger(status), _agent(status), _kernels(status)]
    if output is Output.JSON:
        write_json([dict(zip(("check", "state", "detail"), c, strict=True)) for c in checks])
    else:
        write_rows(("check", "state", "detail"), checks, output)
    if any(state == "error" for _, state, _ in checks):
        raise typer.Exit(1)


def _stores(status: dict[str, Any]) -> list[Check]:
    checks: list[Check] = []
    for name, store in status["stores"].items():
        facts = f"{store['items_head']:,} items in memory, {store['items_blocks']:,} in {store['blocks']:,} blocks"
        facts += f", {store['bytes_disk'] / 1e6:,.1f} MB on disk"
        state = "ok"
        if store["recovering"] is not None:
            state, facts = "warning", f"reading the WAL back, {store['recovering']:.0%} done; {facts}"
        if store["extra"].get("quarantined"):
            state, facts = "error", f"{store['extra']['quarantined']} damaged files in quarantine/; {facts}"
        checks.append((f"store {name}", state, facts))
    return checks


def _cardinality(status: dict[str, Any]) -> list[Check]:
    """A line for each metric of which samples were dropped since it has too many series."""
    dropped = status["stores"]["metrics"]["extra"].get("dropped_by_metric", {})
    advice = "send fewer distinct label values, or raise tsdb.max_series_per_metric or tsdb.max_series"
    return [
        (f"series of {metric or 'no metric name'}", "warning",
         f"{count:,} samples of new series dropped past a limit; {advice}")
        for metric, count in sorted(dropped.items(), key=lambda entry: -entry[1])
    ]  # fmt: skip


def ledger(status: dict[str, Any]) -> list[Check]:
    """A line for each receiver: whether all that came is accounted for, and what was dropped against one's will."""
    checks: list[Check] = []
    for entry in status["ledger"]:
        dropped = sum(entry["dropped"].values())
        wanted = entry["dropped"].get(SAMPLED_OUT, 0)
        lost = entry["received"] - entry["stored"] - dropped
        state = "error" if lost else "warning" if dropped > wanted else "ok"
        reasons = "; ".join(f"{count:,} × {reason}" for reason, count in entry["dropped"].items())
        facts = f"{entry['received']:,} received, {entry['stored']:,} stored" + (
            f", dropped: {reasons}" if dropped else ""
        )
        checks.append((f"{entry['signal']} from {entry['receiver']}", state, facts))
    return checks


def _agent(status: dict[str, Any]) -> Check:
    pid, restarts = status["agent"]["pid"], status["agent"]["restarts"]
    if pid is None:
        return ("agent", "warning", "not running beside this server; `obs agent --to HOST:4317` runs it alone")
    return ("agent", "warning" if restarts else "ok", f"process {pid}, {restarts} restarts")


def _kernels(status: dict[str, Any]) -> Check:
    kernels = status["kernels"]
    if kernels["failed"]:
        return ("kernels", "warning", f"slow paths serve in place of {', '.join(kernels['failed'])}")
    return ("kernels", "ok", f"{len(kernels['done'])} of {kernels['total']} compiled")
