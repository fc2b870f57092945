"""Files of samples as import reads them, and what became of them, as plain values."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from obs.interchange.faults import Faults
from obs.interchange.importing import pieces
from obs.interchange.pieces import LabelSets, Piece
from obs.interchange.sources import Format, Source
from obs.model.labels import Labels

Samples = dict[tuple[Labels, int], bytes]
"""(labels, t_ms) → the bits of a float."""


def bits(value: float) -> bytes:
    """A value that can be compared with all its bits."""
    return struct.pack("<d", value)


def samples(found: Iterable[Piece]) -> Samples:
    """All samples, the last of each series and time."""
    return {
        (piece.series[place], t_ms): bits(value)
        for piece in found
        for place, t_ms, value in zip(piece.which.tolist(), piece.t_ms.tolist(), piece.values.tolist(), strict=True)
    }


def imported(
    path: Path, kind: Format | None = None, added: Mapping[str, str] | None = None
) -> tuple[Samples, list[str], Counter[str]]:
    """The samples of a file, what was said of its faults, and how often each cause came."""
    said: list[str] = []
    faults = Faults(said.append)
    source = Source(str(path))
    try:
        return samples(pieces(source, kind, LabelSets(added), faults)), said, faults.counts
    finally:
        source.close()
