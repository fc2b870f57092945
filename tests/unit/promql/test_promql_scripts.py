"""Runs scripts in Prometheus's dialect: our own, all of which pass, and Prometheus's where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from obs import warm
from obs.tsdb.compiled import KERNELS
from obs.tsdb.promql.scripts import ScriptResult, run_file
from obs.tsdb.promql.scripts.memory import MemorySource
from obs.tsdb.promql.scripts.runner import ScriptStore
from obs.tsdb.promql.scripts.stored import StoredSource

ROOT = Path(__file__).resolve().parents[3]
OWN = sorted((ROOT / "tests/scripts/promql").glob("*.test"))
THEIRS = os.environ.get("OBS_PROMQL_SCRIPTS")
"""A folder of Prometheus's scripts, if there is one."""

FLOOR = {
    "aggregators.test": 160,
    "collision.test": 2,
    "functions.test": 431,
    "histograms.test": 185,
    "info.test": 53,
    "limit.test": 37,
    "literals.test": 25,
    "name_label_dropping.test": 30,
    "operators.test": 214,
    "selectors.test": 31,
    "staleness.test": 17,
    "subquery.test": 34,
    "trig_functions.test": 19,
}
"""How many evals of each of Prometheus's scripts pass: raise a number when more do, never lower one."""


def told(result: ScriptResult) -> str:
    """The failures, one a paragraph."""
    return "\n".join(f"{result.path.name}:{f.line}: {f.query}\n    {f.reason}" for f in result.failures)


@pytest.fixture(params=["memory", "blocks", "blocks, compiled"])
def source(request: pytest.FixtureRequest) -> Iterator[Callable[[], ScriptStore]]:
    """Blocks are read otherwise as soon as kernels are compiled, and rates worked out where the samples lie."""
    before = warm.ready(KERNELS)
    if request.param == "blocks, compiled":
        warm.load_now(KERNELS)
    else:
        warm._state.ready.discard(KERNELS)
    yield MemorySource if request.param == "memory" else StoredSource
    warm._state.ready.discard(KERNELS)
    if before:
        warm.load_now(KERNELS)


@pytest.mark.parametrize("path", OWN, ids=lambda p: p.name)
def test_own_script_passes(path: Path, source: Callable[[], ScriptStore]) -> None:
    result = run_file(path, source)
    assert result.passed > 0
    assert not result.failures, told(result)


@pytest.mark.parametrize("name", sorted(FLOOR))
def test_prometheus_script_reaches_its_floor(name: str, source: Callable[[], ScriptStore]) -> None:
    if THEIRS is None:
        pytest.skip("OBS_PROMQL_SCRIPTS names no folder of Prometheus's scripts")
    result = run_file(Path(THEIRS) / name, source)
    assert result.passed >= FLOOR[name], told(result)
