"""OpenMetrics and Prometheus text, with timestamps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from obs.errors import UserError
from obs.interchange.faults import Faults
from obs.interchange.pieces import LabelSets, Piece


def read(file: str, lines: Iterable[tuple[int, bytes]], sets: LabelSets, faults: Faults) -> Iterator[Piece]:
    """Pieces of the samples; lines that are none go to `faults`."""
    raise UserError(f"cannot read {file!r} as openmetrics: this version does not; send CSV, Parquet or a dump")
