"""Spans of whole traces by service and operation, as numbers: what sums and stacks are made over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from obs.tracestore.names import NO_SERVICE
from obs.tracestore.sources import MemorySource

Rows = npt.NDArray[np.int64]


def operation_codes(source: MemorySource) -> tuple[Rows, int]:
    """A code for the service and name of each span, and how many codes there may be."""
    c = source.spans
    width = len(c.names) + 1
    return (c.service + 1).astype(np.int64) * width + c.name + 1, (len(c.services) + 1) * width


def operation_of(source: MemorySource, code: int) -> tuple[str, str]:
    """Service and name of a code."""
    c = source.spans
    service, name = divmod(code, len(c.names) + 1)
    return c.services[service - 1] if service else NO_SERVICE, c.names[name - 1] if name else ""


def self_times(source: MemorySource) -> Rows:
    """Of each span the time in which no child ran."""
    return source.spans.duration - source.dag.covered


def critical_times(source: MemorySource) -> Rows:
    """Of each span the time on the critical path of its trace."""
    return self_times(source) - source.dag.off_path


def traces_at(source: MemorySource) -> Rows:
    """Of each span the position of its trace."""
    return np.repeat(np.arange(len(source.traces)), source.traces.spans)
