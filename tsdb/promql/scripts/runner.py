"""Runs scripts on a fresh in-memory source and counts evals passed and failed.

An instant eval is also run over a range around its time and must give the same in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from obs.errors import ObsError
from obs.model.labels import Labels
from obs.model.ports import SampleSource
from obs.tsdb.promql.context import QueryOptions
from obs.tsdb.promql.engine import PromQL
from obs.tsdb.promql.histogram import UNKNOWN, Histogram
from obs.tsdb.promql.result import Result
from obs.tsdb.promql.scripts import start_lines
from obs.tsdb.promql.scripts.compare import SAID_UNKNOWN, difference
from obs.tsdb.promql.scripts.custom_buckets import Sample, convert
from obs.tsdb.promql.scripts.dialect import Command, parse_script
from obs.tsdb.promql.scripts.memory import MemorySource
from obs.tsdb.promql.scripts.notation import Unsupported, parse_series


class ScriptStore(SampleSource, Protocol):
    """Where a script loads to and reads from."""

    def add(self, labels: Labels, t_ms: int, value: object, start_ms: int) -> None:
        """One sample, and when what it counts began (0: unknown)."""

    def close(self) -> None:
        """Let go of what it holds."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An eval that did not do as expected."""

    line: int
    query: str
    reason: str


@dataclass(slots=True)
class ScriptResult:
    """What came of one script."""

    path: Path
    passed: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many evals failed."""
        return len(self.failures)


def run_file(path: Path, fresh: Callable[[], ScriptStore] = MemorySource) -> ScriptResult:
    """Run one script; `fresh` makes an empty store, at the start and at every `clear`."""
    result = ScriptResult(Path(path))
    store, tells_starts = fresh(), False
    for command in parse_script(Path(path)):
        if command.verb == "clear":
            store.close()
            store, tells_starts = fresh(), False
        elif command.verb == "load":
            tells_starts |= _load(store, command)
        else:
            reason = _evaluate(PromQL(store, QueryOptions(use_starts=tells_starts)), command)
            if reason:
                result.failures.append(Failure(command.line, command.query, reason))
            else:
                result.passed += 1
    store.close()
    return result


def _load(store: ScriptStore, command: Command) -> bool:
    """Whether any sample came with a start timestamp."""
    lines, samples, tells_starts = iter(command.body), list[Sample](), False
    for line in lines:
        told = start_lines.read(line)
        line = line if told is None else next(lines, "")
        tells_starts |= told is not None
        labels, values = parse_series(line)
        if told is not None and (told[0] != labels or len(told[1]) != len(values)):
            raise Unsupported(f"the start timestamps above {line!r} do not go with it")
        for i, value in enumerate(values):
            if value is not None:
                t_ms, offset_ms = i * command.gap_ms, None if told is None else told[1][i]
                samples.append((labels, t_ms, _loaded(value)))
                store.add(*samples[-1], 0 if offset_ms is None else t_ms + offset_ms)
    for sample in convert(samples) if command.nhcb else ():
        store.add(*sample, 0)
    return tells_starts


def _loaded(value: object) -> object:
    return value.with_hint(UNKNOWN) if isinstance(value, Histogram) and value.hint == SAID_UNKNOWN else value


def _evaluate(promql: PromQL, command: Command) -> str:
    failing = [e for e in command.expects if e.what == "fail"]
    try:
        result = _query(promql, command)
        if failing:
            return "expected to fail, but did not"
        reason = difference(command, result) or _annotations(command, result)
        return reason or _middle(promql, command, result)
    except ObsError as e:
        if failing and any(x.accepts(str(e)) for x in failing):
            return ""
        return f"fails with {e}"
    except Unsupported as e:
        return f"skipped: {e}"
    except Exception as e:  # a bug of ours: the script goes on, and says where
        return f"bug: {type(e).__name__}: {e}"


def _query(promql: PromQL, command: Command) -> Result:
    if command.instant:
        return promql.query(command.query, command.start_ms)
    return promql.query_range(command.query, command.start_ms, command.end_ms, command.step_ms)


_OF_THE_RANGE = re.compile(r"\b(start|end|step|range)\(\)")
"""Functions that tell of the query's own range: another range, another value."""


def _middle(promql: PromQL, command: Command, result: Result) -> str:
    """The same eval as the middle step of a range; order and raw samples have no meaning there."""
    if not command.instant or command.ordered or result.kind not in ("vector", "scalar"):
        return ""
    if _OF_THE_RANGE.search(command.query):
        return ""
    at = command.start_ms
    wide = promql.query_range(command.query, at - 60_000, at + 60_000, 60_000)
    if result.kind == "scalar":
        wide = Result("scalar", wide.labels, wide.times, wide.values, wide.present)
    fault = difference(command, wide, column=1)
    return f"as a range: {fault}" if fault else ""


def _annotations(command: Command, result: Result) -> str:
    for what, got in (("warn", result.warnings), ("info", result.infos)):
        wanted = [e for e in command.expects if e.what == what]
        if any(e.what == f"no_{what}" for e in command.expects) and got:
            return f"expected no {what}, got {_joined(got)}"
        for expect in wanted:
            if not any(expect.accepts(message) for message in got):
                return f"expected {what} {expect.text!r}, got {_joined(got)}"
    return ""


def _joined(messages: Sequence[str]) -> str:
    return "; ".join(messages) or "none"
