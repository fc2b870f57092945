"""Label pairs, each distinct (name, value) once: a pair is a number from then on.

In: Arrow maps of labels. Out: flat arrays of pair numbers, and the way back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.tsdb.growing import Growing

U32 = npt.NDArray[np.uint32]
Pair = tuple[str, str]


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

    def add(self, name: str) -> None:
        """One more pair."""
        if name not in self._numbers:
            self.texts.append(name)
            self._numbers[name] = len(self.texts) - 1
        self._of.extend(np.array([self._numbers[name]], np.int32))


class Pairs:
    """Interned pairs. One thread adds at a time; lists only grow, so readers need no lock."""

    def __init__(self) -> None:
        self.texts: list[Pair] = []
        self.by_name: dict[str, list[int]] = {}
        self.names = PairNames()
        self._numbers: dict[Pair, int] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def number(self, name: str, value: str) -> int | None:
        """The number of a pair, or None where no series has it."""
        return self._numbers.get((name, value))

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
        distinct, inverse = np.unique(codes, return_inverse=True)
        name_list, text_list = names.dictionary.to_pylist(), texts.dictionary.to_pylist()
        numbers = [self._intern((name_list[c // width], text_list[c % width])) for c in distinct.tolist()]
        return np.array(numbers, np.uint32)[inverse]

    def _intern(self, pair: Pair) -> int:
        number = self._numbers.get(pair)
        if number is None:
            number = len(self.texts)
            self.names.add(pair[0])
            self.texts.append(pair)
            self._numbers[pair] = number
            self.by_name.setdefault(pair[0], []).append(number)
        return number

    def to_arrow(self, numbers: U32) -> tuple[pa.Array, pa.Array]:
        """Names and values of pairs as two columns."""
        distinct, inverse = np.unique(numbers, return_inverse=True)
        pairs = [self.texts[n] for n in distinct.tolist()]
        positions = pa.array(inverse.astype(np.int64))
        names = pa.array([name for name, _ in pairs], pa.string()).take(positions)
        return names, pa.array([value for _, value in pairs], pa.string()).take(positions)

    def ranks(self, numbers: Sequence[int]) -> npt.NDArray[np.int64]:
        """The place of each of these distinct pairs among them, sorted by name, then value."""
        order = sorted(range(len(numbers)), key=lambda i: self.texts[numbers[i]])
        ranks = np.empty(len(numbers), np.int64)
        ranks[order] = np.arange(len(numbers))
        return ranks
