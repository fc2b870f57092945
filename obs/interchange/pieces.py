"""Samples on their way: some ten thousand at a time, as arrays beside the label sets that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.errors import UserError
from obs.interchange.faults import Unreadable
from obs.interchange.limits import KNOWN_SERIES, PIECE_LABEL_BYTES, PIECE_SAMPLES
from obs.model.labels import METRIC_NAME, Labels
from obs.model.schema import HISTOGRAMS
from obs.remote_write import reasons
from obs.remote_write.messages import labels_of

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

HISTOGRAM = pa.struct([field.with_nullable(True) for field in list(HISTOGRAMS)[2:]])
"""A native histogram as one value: the columns of `HISTOGRAMS` without its series and time."""

Family = tuple[str, str, str, str]
"""Metadata: metric family, type, unit, help."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples in the order of their file: sample i is of series[which[i]]."""

    series: list[Labels]
    which: I64
    t_ms: I64
    values: F64
    hists: pa.StructArray | None = None  # of HISTOGRAM, per sample, null where it is a float; None: floats only
    families: tuple[Family, ...] = ()

    def __len__(self) -> int:
        return len(self.t_ms)

    def part(self, start: int, stop: int) -> Piece:
        """Some of its samples."""
        rows = slice(start, stop)
        hists = None if self.hists is None else self.hists[rows]
        return Piece(self.series, self.which[rows], self.t_ms[rows], self.values[rows], hists, self.families)

    def where(self, kept: npt.NDArray[np.bool_]) -> Piece:
        """Those of its samples that a mask names."""
        hists = None if self.hists is None else self.hists.filter(pa.array(kept))
        return Piece(self.series, self.which[kept], self.t_ms[kept], self.values[kept], hists, self.families)


class LabelSets:
    """Label sets as they are wanted: with the labels that `--label` adds, and refused where they cannot be kept."""

    def __init__(self, added: Mapping[str, str] | None = None) -> None:
        self._added = dict(added or {})

    def make(self, pairs: Iterable[tuple[str, str]], text: str = "") -> Labels:
        """Canonical labels of a series. Raises: Unreadable."""
        given = [pair for pair in pairs if pair[0] not in self._added]
        labels = labels_of([*given, *self._added.items()])
        if isinstance(labels, str):
            raise Unreadable("labels", text or str(dict(given)), reasons.SENTENCES[labels])
        return labels


class Draft:
    """Collects samples one by one; `key` is whatever names a series in a file, and is read only when it is new."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Labels] = {}
        self._empty()

    def _empty(self) -> None:
        self.places: dict[Hashable, int] = {}
        self._series: list[Labels] = []
        self._label_bytes = 0
        self.which: list[int] = []
        self.t_ms: list[int] = []
        self.values: list[float] = []

    def place(self, key: Hashable, read: Callable[[], Labels]) -> int:
        """The position of a series in the piece. Raises: what `read` raises."""
        labels = self._known.get(key)
        if labels is None:
            labels = read()
            if len(self._known) >= KNOWN_SERIES:
                self._known.clear()
            self._known[key] = labels
        place = self.places[key] = len(self._series)
        self._series.append(labels)
        self._label_bytes += sum(len(name) + len(value) for name, value in labels)
        return place

    @property
    def is_full(self) -> bool:
        """Whether it is time to take the piece."""
        return len(self.t_ms) >= PIECE_SAMPLES or self._label_bytes >= PIECE_LABEL_BYTES

    def take(self, families: tuple[Family, ...] = ()) -> Piece:
        """What was collected; the draft is empty again."""
        which, t_ms = np.array(self.which, np.int64), np.array(self.t_ms, np.int64)
        piece = Piece(self._series, which, t_ms, np.array(self.values, np.float64), families=families)
        self._empty()
        return piece


def added_labels(options: Iterable[str]) -> dict[str, str]:
    """`name=value` options as labels. Raises: UserError."""
    found = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not name or not equals:
            raise UserError(f"cannot add label {option!r}: it has no name or no value; write --label name=value")
        found[name] = value
    return found


def metric_of(labels: Labels) -> str:
    """The metric's name, "" where there is none."""
    return next((value for name, value in labels if name == METRIC_NAME), "")
