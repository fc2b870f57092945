"""The series index: id ↔ ordinal ↔ labels, and which series satisfy matchers. In memory, rebuilt at each start.

An ordinal is dense and of this process only; blocks and the WAL hold ids. A series costs its pair numbers
(4 bytes a label, twice) and about 30 bytes; there is no Python object per series.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.errors import UserError
from obs.model.labels import METRIC_NAME, Labels, Matcher, MatchOp
from obs.model.schema import SERIES
from obs.tsdb.growing import Growing, ranges
from obs.tsdb.idtable import IdTable
from obs.tsdb.limits import FEW_MATCHES, KEPT_MATCHES
from obs.tsdb.pairs import U32, PairNames, Pairs
from obs.tsdb.postings import Postings, is_few

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Ordinals = npt.NDArray[Any]


class SeriesIndex:
    """All series that the store has seen since it was opened. Any thread may add and ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table = IdTable()
        self._pairs = Pairs()
        self._ids = Growing(np.uint64)
        self._flat = Growing(np.uint32)  # pair numbers of all series, one after the other
        self._offsets = Growing(np.int64)
        self._offsets.extend(np.zeros(1, np.int64))
        self._postings = Postings()
        self._matches: OrderedDict[tuple[int, tuple[Matcher, ...]], I64] = OrderedDict()
        self._matching = threading.Lock()
        self._sorting = threading.Lock()
        self._sorted: I64 = np.empty(0, np.int64)  # all series in the order of a block, as of the last flush

    def __len__(self) -> int:
        return self._ids.size

    @property
    def pairs(self) -> int:
        """Distinct label pairs."""
        return len(self._pairs)

    @property
    def flat(self) -> U32:
        """The pair numbers of all series, one after the other: series i has flat[offsets[i]:offsets[i + 1]]."""
        return self._flat.view

    @property
    def offsets(self) -> I64:
        """Where each series begins in `flat`, and the end."""
        return self._offsets.view

    @property
    def pair_texts(self) -> Sequence[tuple[str, str]]:
        """Name and value of each pair."""
        return self._pairs.texts

    @property
    def pair_names(self) -> PairNames:
        """The name of each pair, as numbers."""
        return self._pairs.names

    @property
    def nbytes(self) -> int:
        """Memory of the flat arrays; the pairs' texts come on top."""
        parts = (self._table, self._ids, self._flat, self._offsets, self._postings)
        return sum(part.nbytes for part in parts)

    # --- adding ---

    def add(self, series: pa.RecordBatch) -> None:
        """Learn the labels of series, in the canonical schema.

        Raises: UserError where an id has other labels already; no series is then added.
        """
        if not series.num_rows:
            return
        ids, labels = series.column("series_id").to_numpy(), series.column("labels")
        offsets = labels.offsets.to_numpy().astype(np.int64)
        with self._lock:
            entries = slice(int(offsets[0]), int(offsets[-1]))
            flat = self._pairs.encode(labels.keys[entries], labels.items[entries])
            offsets -= offsets[0]
            _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
            self._check_same(ids, (flat, offsets, np.arange(len(ids))), (flat, offsets, first[inverse]))
            self._add_distinct(ids, flat, offsets, first)

    def learn(self, series: pa.Table) -> int:
        """Add the unknown ones and say how many; those it knows were compared when they came. Raises: as `add`."""
        learned = 0
        for batch in series.to_batches():
            unknown = self.ordinals(batch.column("series_id").to_numpy()) < 0
            if unknown.any():
                new = batch if unknown.all() else batch.filter(pa.array(unknown))
                self.add(new.select(["series_id", "labels"]))
                learned += int(np.count_nonzero(unknown))
        return learned

    def _add_distinct(self, ids: U64, flat: Ordinals, offsets: I64, rows: I64) -> None:
        known = self._table.lookup(ids[rows])
        old = known >= 0
        self._check_same(ids, (flat, offsets, rows[old]), (self._flat.view, self._offsets.view, known[old]))
        new = np.sort(rows[~old])
        if not len(new):
            return
        counts = np.diff(offsets)[new]
        ordinals = np.arange(len(self), len(self) + len(new), dtype=np.int32)
        begin = self._flat.size
        self._flat.extend(flat[ranges(offsets[new], counts)])
        self._offsets.extend(begin + np.cumsum(counts))
        self._ids.extend(ids[new])
        self._table.add(ids[new], ordinals)

    def _check_same(self, ids: U64, one: tuple[Ordinals, I64, Ordinals], other: tuple[Ordinals, I64, Ordinals]) -> None:
        """Raises: UserError where a row's labels are not those of the row it is compared with."""
        left, counts = gather(*one)
        right, other_counts = gather(*other)
        differs = counts != other_counts
        if not differs.any():
            unlike = left != right
            if not unlike.any():
                return
            differs[np.repeat(np.arange(len(counts)), counts)[unlike]] = True
        flat, offsets, rows = one
        row = int(rows[np.flatnonzero(differs)[0]])
        labels = dict(self._pairs.texts[p] for p in flat[offsets[row] : offsets[row + 1]].tolist())
        raise UserError(
            f"cannot store series {labels!r}: its id {int(ids[row]):016x} belongs to other labels; "
            "add a label to either series"
        )

    def settle(self) -> None:
        """Many series were added: make look-ups quick that had to scan the newest."""
        offsets = self.offsets
        self._postings.settle(self._flat.view[: offsets[-1]], offsets)

    # --- known series ---

    def ordinals(self, ids: U64) -> I32:
        """The ordinal of each id, -1 where it is unknown."""
        return self._table.lookup(ids)

    def ids(self, ordinals: Ordinals) -> U64:
        """The ids of series."""
        found: U64 = self._ids.view[ordinals]
        return found

    def labels(self, ordinals: Ordinals) -> list[Labels]:
        """The labels of series; equal pairs are one object."""
        flat, counts = gather(self._flat.view, self._offsets.view, ordinals)
        texts = list(map(self._pairs.texts.__getitem__, flat.tolist()))
        ends = np.cumsum(counts)
        return [tuple(texts[a:b]) for a, b in zip((ends - counts).tolist(), ends.tolist(), strict=True)]

    def metrics(self, ordinals: Ordinals) -> pa.Array:
        """The metric name of each series, empty where it has none."""
        pairs, counts = gather(self._flat.view, self._offsets.view, ordinals)
        number = self._pairs.names.number(METRIC_NAME)
        mine = self._pairs.names.of(pairs) == (-1 if number is None else number)
        named = np.zeros(len(counts), np.bool_)
        named[np.repeat(np.arange(len(counts)), counts)[mine]] = True
        _, names = self._pairs.to_arrow(pairs[mine])
        places = np.cumsum(named) - 1
        return names.take(pa.array(places, mask=~named)).fill_null("")

    def to_arrow(self, ordinals: Ordinals) -> pa.RecordBatch:
        """Series in the canonical schema."""
        pairs, counts = gather(self._flat.view, self._offsets.view, ordinals)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]).astype(np.int32)
        keys, values = self._pairs.to_arrow(pairs)
        labels = pa.MapArray.from_arrays(pa.array(offsets), keys, values)
        return pa.RecordBatch.from_arrays([pa.array(self.ids(ordinals)), labels], schema=SERIES)

    def has(self, name: str, value: str) -> bool:
        """Whether any series has a label pair."""
        return self._pairs.number(name, value) is not None

    # --- many ---

    def matching(self, matchers: Sequence[Matcher]) -> Mask:
        """bool[ordinal]: which series satisfy every matcher. Raises: ValueError (a regex does not compile).

        The first n series never change, so that what holds of them is kept under n and needs not be invalidated.
        """
        size = len(self)
        key = size, tuple(matchers)
        with self._matching:
            few = self._matches.get(key)
            if few is not None:
                self._matches.move_to_end(key)
        if few is not None:
            mask = np.zeros(size, np.bool_)
            mask[few] = True
            return mask
        mask = self._matching_first(size, matchers)
        if np.count_nonzero(mask) <= FEW_MATCHES:
            with self._matching:
                self._matches[key] = np.flatnonzero(mask)
                while len(self._matches) > KEPT_MATCHES:
                    self._matches.popitem(last=False)
        return mask

    def _matching_first(self, size: int, matchers: Sequence[Matcher]) -> Mask:
        """Which of the first `size` series satisfy every matcher."""
        offsets = self._offsets.view[: size + 1]
        flat = self._flat.view[: offsets[-1]]
        mask = np.ones(size, np.bool_)
        for matcher in matchers:
            pairs, wanted = self._pairs_matching(matcher)
            hit = np.full(size, not wanted)
            if len(pairs):
                hit[self._postings.of(pairs, flat, offsets)] = wanted
            mask &= hit
        return mask

    def _pairs_matching(self, matcher: Matcher) -> tuple[I64, bool]:
        """Pairs, and whether a series must have one of them or none: an absent label matches as an empty one."""
        if matcher.op is MatchOp.EQ and matcher.value:
            pair = self._pairs.number(matcher.name, matcher.value)
            return np.array([] if pair is None else [pair], np.int64), True
        wanted = not matcher.matches("")
        texts, matches = self._pairs.texts, matcher.matches
        pairs = [p for p in self._pairs.of_name(matcher.name) if matches(texts[p][1]) is wanted]
        return np.array(pairs, np.int64), wanted

    def label_names(self, mask: Mask) -> list[str]:
        """Names of labels that series of the mask have, sorted."""
        by_name, names = self._pairs.by_name, self._pairs.names
        if is_few(mask):
            pairs, _ = gather(self._flat.view, self._offsets.view, np.flatnonzero(mask))
            return sorted(names.texts[n] for n in np.unique(names.of(np.unique(pairs))).tolist())
        offsets = self._offsets.view[: len(mask) + 1]
        flat, texts = self._flat.view[: offsets[-1]], list(names.texts)
        seen = self._postings.names_seen(mask, [by_name[name] for name in texts], names.numbers, flat, offsets)
        return sorted(texts[n] for n in np.flatnonzero(seen).tolist())

    def label_values(self, name: str, mask: Mask) -> list[str]:
        """Values of a label among the series of the mask, sorted."""
        number, texts = self._pairs.names.number(name), self._pairs.texts
        if number is None:
            return []
        if is_few(mask):
            pairs = np.unique(gather(self._flat.view, self._offsets.view, np.flatnonzero(mask))[0])
            found = pairs[self._pairs.names.of(pairs) == number]
        else:
            pairs = np.array(self._pairs.of_name(name), np.int64)
            found = pairs[self._seen(pairs, mask)]
        return sorted(texts[pair][1] for pair in found.tolist())

    def _seen(self, pairs: I64, mask: Mask) -> Mask:
        """Which of some pairs the series of the mask have: bool[len(pairs)]."""
        offsets = self._offsets.view[: len(mask) + 1]
        return self._postings.seen(mask, pairs, self._flat.view[: offsets[-1]], offsets)

    def pair_counts(self, mask: Mask) -> I64:
        """int64[pair]: how many of the mask's series have it."""
        offsets = self._offsets.view[: len(mask) + 1]
        flat = self._flat.view[: offsets[-1]]
        counts: I64 = np.bincount(flat if mask.all() else flat[np.repeat(mask, np.diff(offsets))])
        return counts

    def value_bytes(self, pairs: I64) -> I32:
        """The bytes of the value of each of some pairs."""
        found: I32 = self._pairs.value_bytes()[pairs]
        return found

    def sorted_by_name(self, ordinals: Ordinals) -> Ordinals:
        """Ordinals in the order of a block: metric name, then labels."""
        with self._sorting:
            if len(self._sorted) < len(self):
                self._sorted = self._all_sorted()
            in_order = self._sorted
        wanted = np.zeros(len(in_order), np.bool_)
        wanted[ordinals] = True
        return in_order[wanted[in_order]]

    def _all_sorted(self) -> I64:
        """All ordinals in the order of a block."""
        offsets = self._offsets.view
        series = len(offsets) - 1
        pairs, counts = self._flat.view[: offsets[-1]], np.diff(offsets)
        ranks = self._pairs.ranks(pairs) + np.int32(1)
        number = self._pairs.names.number(METRIC_NAME)
        is_name = self._pairs.names.of(pairs) == (-1 if number is None else number)
        rows = np.repeat(np.arange(series), counts)
        columns = np.arange(len(pairs)) - np.repeat(offsets[:-1], counts)
        by_name = np.zeros(series, np.int32)
        by_name[rows[is_name]] = ranks[is_name]
        order = np.arange(series)
        for column in range(int(counts.max(initial=0)) - 1, -1, -1):
            here = columns == column
            keys = np.zeros(series, np.int32)
            keys[rows[here]] = ranks[here]
            order = order[np.argsort(keys[order], kind="stable")]
        return order[np.argsort(by_name[order], kind="stable")]


def gather(flat: Ordinals, offsets: I64, rows: Ordinals) -> tuple[Ordinals, I64]:
    """The entries of some rows, one after the other, and how many each has; row i is flat[offsets[i]:offsets[i+1]]."""
    rows = np.asarray(rows, np.int64)
    starts = offsets[rows]
    counts = offsets[rows + 1] - starts
    return flat[ranges(starts, counts)], counts
