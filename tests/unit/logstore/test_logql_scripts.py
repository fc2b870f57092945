"""Runs tests/scripts/logql: each script with its records in the head, in a block, and half in each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from log_recipes import NS, Record, logs_batch
from script_files import Step, read_script

from obs import warm
from obs.errors import QueryError
from obs.logstore.logql import LogQL
from obs.logstore.logql.units import duration_ns
from obs.logstore.responses import number
from obs.logstore.store import LogStore

SCRIPTS = sorted((Path(__file__).parents[2] / "scripts" / "logql").glob("*.test"))
COMMANDS = "load records instant range refused fail"


def record(line: str) -> Record:
    head, _, body = line.partition(" |")
    time, *pairs = head.split()
    resource, attributes, own = {}, {}, {}
    for key, value in (pair.split("=", 1) for pair in pairs):
        if key.split(".")[0] in ("service", "host", "k8s", "container"):
            resource[key] = value
        elif key == "severity":
            own[key] = value
        elif key == "trace_id":
            own[key] = bytes.fromhex(value)
        else:
            attributes[key] = int(value) if value.isdigit() else value
    return Record(duration_ns(time), body[1:].replace("\\n", "\n"), resource, attributes, **own)


def load(store: LogStore, lines: list[str], where: str) -> None:
    records = [record(line) for line in lines]
    half = len(records) // 2
    parts = {"head": [records, []], "block": [records, []], "both": [records[half:], records[:half]]}[where]
    for i, part in enumerate(parts):
        if part:
            store.consume(logs_batch(part))
        if where != "head" and i == 0:
            store.flush()


def shown(labels) -> str:
    return "{" + ", ".join(f'{k}="{v}"' for k, v in labels) + "}"


def answer(logql: LogQL, step: Step) -> list[str]:
    if step.command == "records":
        limit = re.search(r"limit (\d+)", step.options)
        forward = "backward" not in step.options
        found = logql.records(step.query, 0, 1 << 62, int(limit.group(1)) if limit else 100, not forward)
        return [f"{e.time_ns / NS:g}s {e.line}".rstrip().replace("\n", "\\n") for e in found.entries]
    if step.command == "instant":
        t_ms = duration_ns(step.options.removeprefix("at ")) // 1_000_000
        return sorted(f"{shown(v.labels)} {number(v.value)}" for v in logql.instant(step.query, t_ms))
    if step.command == "range":
        span, pace = step.options.split(" step ")
        start, end = (duration_ns(t) for t in span.split(".."))
        matrix, _, _ = logql.range(step.query, start, end, duration_ns(pace))
        rows = zip(matrix.labels, matrix.values.tolist(), matrix.present.tolist(), strict=True)
        return [
            f"{shown(ls)} " + " ".join(number(v) if p else "_" for v, p in zip(vs, ps, strict=True))
            for ls, vs, ps in rows
        ]
    if step.command == "refused":
        with pytest.raises(QueryError) as error:
            logql.instant(step.query, duration_ns(step.options.removeprefix("at ")) // 1_000_000)
        return [part for part in step.body if part in str(error.value)]
    with pytest.raises(QueryError) as error:
        logql.records(step.query, 0, 1 << 62) if logql.is_records(step.query) else logql.instant(step.query, 0)
    line, column, _ = str(error.value).split(":", 2)
    assert "^" in str(error.value)
    return [f"{line}:{column}"]


@pytest.mark.parametrize("where", ["head", "block", "both"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_script(script: Path, where: str, tmp_path: Path) -> None:
    warm.load_now("obs.logstore.kernels")
    store = LogStore(tmp_path)
    store.open()
    logql = LogQL(store)
    try:
        for step in read_script(script, COMMANDS):
            if step.command == "load":
                load(store, step.body, where)
            else:
                expected = sorted(step.body) if step.command == "instant" else step.body
                assert answer(logql, step) == expected, f"{script.name}:{step.line}: {step.query}"
    finally:
        store.close()
