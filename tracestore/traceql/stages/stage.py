"""What a stage of a pipeline is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from obs.tracestore.bounds import Bound
from obs.tracestore.expressions import Field
from obs.tracestore.summaries import TraceRows
from obs.tracestore.traceql.spansets import Spansets


class Stage(Protocol):
    """Prints itself as TraceQL."""

    def apply(self, sets: Spansets) -> Spansets:
        """The spansets that it leaves."""

    def fields(self) -> Iterator[Field]:
        """Every field that it reads."""

    def bound(self, traces: TraceRows) -> Bound:
        """Traces of which it may leave something; never exact but where each of them surely stays."""

    def explain(self, indent: str) -> Iterator[str]:
        """What it will do, a line each."""
