"""TraceQL: text → expression; the same search executes it as every other API's."""

from obs.tracestore.traceql.parse import parse

__all__ = ["parse"]
