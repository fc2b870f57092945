"""Label pairs, each distinct (name, value) once: a pair is a number from then on.

In: Arrow maps of labels. Out: flat arrays of pair numbers, and the way back.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.tsdb.growing import Growing

U32 = npt.NDArray[np.uint32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Pair = tuple[str, str]

SPARSE = 16
"""Numbers of texts are looked up in a table where it has at most so many places for each, and are sorted where not."""


MANY_NEW = 65_536
"""New pairs that are not sorted in among the others one by one: all of them would wait for as long as that takes (half
a second for two million)."""


class PairNames:
    """The label name of each pair, as numbers of names."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._of = Growing(np.int32)

    def number(self, name: str) -> int | None:
        """The number of a name, or None where no series has it."""
        return self._numbers.get(name)

    def of(self, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """The numbers of the names of pairs."""
        found: npt.NDArray[np.int32] = self._of.view[pairs]
        return found

    @property
    def numbers(self) -> npt.NDArray[np.int32]:
        """Those of all pairs so far."""
        return self._of.view

    def add(self, name: str, count: int) -> None:
        """The name of the next `count` pairs."""
        number = self._numbers.setdefault(name, len(self._numbers))
        self.texts.extend([name] if number == len(self.texts) else [])
        self._of.extend(np.full(count, number, np.int32))


class _Ordered:
    """All pairs sorted by name, then value, as of some time; made anew when it is asked for and pairs were added."""

    def __init__(self) -> None:
        self._sorted: list[int] = []
        self.ranks = np.empty(0, np.int32)

    def of(self, texts: Sequence[Pair], columns: _Columns) -> I32:
        """The rank of each pair among all."""
        known, count = len(self._sorted), len(texts)
        if known < count:
            if count - known > MANY_NEW:
                merged = _sorted_by_columns(*columns.of(texts))
                count = len(merged)
            else:
                merged = [*self._sorted, *range(known, count)]
                merged.sort(key=texts.__getitem__)  # quick where most are in order
            ranks = np.empty(count, np.int32)
            ranks[merged] = np.arange(count, dtype=np.int32)
            self._sorted, self.ranks = merged, ranks
        return self.ranks


class _Columns:
    """Names and values of all pairs as Arrow arrays, grown when they are asked for."""

    def __init__(self) -> None:
        self._names = self._values = pa.array([], pa.string())

    def of(self, texts: Sequence[Pair]) -> tuple[pa.Array, pa.Array]:
        """Both, for all pairs."""
        names, values = self._names, self._values
        if len(names) < len(texts):
            new = texts[len(names) :]
            names = pa.concat_arrays([names, pa.array([name for name, _ in new], pa.string())])
            values = pa.concat_arrays([values, pa.array([value for _, value in new], pa.string())])
            self._names, self._values = names, values
        return names, values


class Pairs:
    """Interned pairs. One thread adds at a time; lists only grow, so readers need no lock."""

    def __init__(self) -> None:
        self.texts: list[Pair] = []
        self.by_name: dict[str, list[int]] = {}
        self.names = PairNames()
        self._numbers: dict[str, dict[str, int]] = {}  # by name, then value: no pair is made to look one up
        self._ordered, self._columns = _Ordered(), _Columns()
        self._making = threading.Lock()  # of what is made when it is asked for

    def __len__(self) -> int:
        return len(self.texts)

    def number(self, name: str, value: str) -> int | None:
        """The number of a pair, or None where no series has it."""
        return self._numbers.get(name, {}).get(value)

    def of_name(self, name: str) -> list[int]:
        """The pairs of a label name."""
        return list(self.by_name.get(name, ()))

    def encode(self, keys: pa.Array, values: pa.Array) -> U32:
        """The numbers of pairs that come as two columns of text; only distinct pairs are looked at one by one."""
        if not len(keys):
            return np.empty(0, np.uint32)
        names, texts = keys.dictionary_encode(), values.dictionary_encode()
        width = len(texts.dictionary)
        codes = names.indices.to_numpy().astype(np.int64) * width + texts.indices.to_numpy()
        distinct, inverse = _distinct(codes, len(names.dictionary) * width)
        name_list, value_list = names.dictionary.to_pylist(), _texts(texts.dictionary)
        bounds = np.searchsorted(distinct, np.arange(len(name_list) + 1) * width).tolist()
        places = (distinct % width).tolist()
        numbers = [
            self._numbered(name, [value_list[place] for place in places[first:end]])
            for name, first, end in zip(name_list, bounds[:-1], bounds[1:], strict=True)
        ]
        return np.concatenate(numbers)[inverse]

    def _numbered(self, name: str, values: Sequence[str]) -> U32:
        """The numbers of pairs of one name, each given once; those that are not known yet get the next ones."""
        known = self._numbers.setdefault(name, {})
        found = [-1 if number is None else number for number in map(known.get, values)]
        numbers = np.array(found, np.int64)
        new = np.flatnonzero(numbers < 0)
        if len(new):
            numbers[new] = np.arange(len(self.texts), len(self.texts) + len(new))
            self._intern(name, values if len(new) == len(values) else [values[i] for i in new.tolist()])
        return numbers.astype(np.uint32)

    def _intern(self, name: str, new: Sequence[str]) -> None:
        """Number pairs of one name that are not known yet."""
        first = len(self.texts)
        self.texts.extend(zip(repeat(name), new))
        numbers = range(first, len(self.texts))
        self.by_name.setdefault(name, []).extend(numbers)  # before others find the name
        self.names.add(name, len(new))
        self._numbers[name].update(zip(new, numbers, strict=True))

    def to_arrow(self, numbers: U32) -> tuple[pa.Array, pa.Array]:
        """Names and values of pairs as two columns."""
        with self._making:
            names, values = self._columns.of(self.texts)
        positions = pa.array(numbers)
        return names.take(positions), values.take(positions)

    def value_bytes(self) -> I32:
        """How many bytes the value of each pair has."""
        with self._making:
            _, values = self._columns.of(self.texts)
        found: I32 = pc.binary_length(values).to_numpy()
        return found

    def ranks(self, numbers: U32) -> I32:
        """The place of each of these pairs among all, sorted by name, then value."""
        with self._making:
            ranks = self._ordered.of(self.texts, self._columns)
        found: I32 = ranks[numbers]
        return found


def _sorted_by_columns(names: pa.Array, values: pa.Array) -> list[int]:
    """Positions of pairs by name, then value; Arrow sorts, so that other threads go on, and its order is Python's."""
    coded = names.dictionary_encode()
    texts = coded.dictionary.to_pylist()
    rank = np.empty(len(texts), np.int64)
    rank[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    by_value = pc.sort_indices(values).to_numpy()
    order = by_value[np.argsort(rank[coded.indices.to_numpy()][by_value], kind="stable")]
    found: list[int] = order.tolist()
    return found


def _distinct(codes: I64, bound: int) -> tuple[I64, I64]:
    """The different codes, all below `bound`, rising; and of each code its place among them."""
    if bound > SPARSE * len(codes):
        return np.unique(codes, return_inverse=True)
    seen = np.zeros(bound, np.bool_)
    seen[codes] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[codes]


def _texts(column: pa.Array) -> list[str]:
    """A column of text without nulls; by way of numpy, which takes a third of the time of Arrow's own list."""
    found: list[str] = column.to_numpy(zero_copy_only=False).tolist()
    return found
