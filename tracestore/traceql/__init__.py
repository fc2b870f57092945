"""TraceQL: text → plan; the same search executes it as every other API's."""

from obs.tracestore.traceql.parse import parse, plan
from obs.tracestore.traceql.plan import Plan

__all__ = ["Plan", "parse", "plan"]
