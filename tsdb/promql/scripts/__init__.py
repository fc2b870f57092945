"""Prometheus's script dialect: run a file of `load` and `eval` commands against the engine."""

from obs.tsdb.promql.scripts.runner import Failure, ScriptResult, run_file

__all__ = ["Failure", "ScriptResult", "run_file"]
