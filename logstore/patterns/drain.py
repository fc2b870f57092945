"""Templates of shapes: those that differ in a few words become one, with `<_>` where they differ.

Drain's idea (He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017) with two
changes: the first level of the tree is the delimiters of a line instead of its number of words, so that `user=<_>`
keeps its key; and it sees each shape once, weighed by its lines, instead of each line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from obs.logstore.patterns.shapes import VARIABLE

SIMILAR = 0.6
"""The share of words in which a shape must agree with a template to be one of its lines."""

MOST_OF_A_KIND = 64
"""Templates of the same delimiters and first word; past it a shape joins the one that is most like it."""


@dataclass(slots=True)
class _Template:
    words: list[str]
    constant: int  # words that are not variable
    number: int

    def likeness(self, words: Sequence[str]) -> float:
        same = sum(a == b != VARIABLE for a, b in zip(self.words, words, strict=True))
        return same / max(self.constant, 1)

    def join(self, words: Sequence[str]) -> None:
        self.words = [a if a == b else VARIABLE for a, b in zip(self.words, words, strict=True)]
        self.constant = sum(word != VARIABLE for word in self.words)


class Drain:
    """Takes shapes one by one; those that come first should have the most lines."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[tuple[str, ...], str], list[_Template]] = {}
        self._all: list[tuple[_Template, tuple[str, ...]]] = []

    def add(self, pieces: Sequence[str]) -> int:
        """The number of the template that a shape belongs to: delimiters and words by turns."""
        delimiters, words = tuple(pieces[::2]), pieces[1::2]
        first = next((word for word in words if word != VARIABLE), "")
        kind = self._kinds.setdefault((delimiters, first), [])
        best, likeness = None, 0.0
        for template in kind:
            found = template.likeness(words)
            if found > likeness or best is None:
                best, likeness = template, found
        if best is not None and (likeness >= SIMILAR or best.words == list(words) or len(kind) >= MOST_OF_A_KIND):
            best.join(words)
            return best.number
        made = _Template(list(words), sum(word != VARIABLE for word in words), len(self._all))
        kind.append(made)
        self._all.append((made, delimiters))
        return made.number

    def texts(self) -> list[str]:
        """Each template as text, by its number."""
        return [_text(delimiters, template.words) for template, delimiters in self._all]


def _text(delimiters: Sequence[str], words: Sequence[str]) -> str:
    parts = [delimiters[0]]
    for word, delimiter in zip(words, delimiters[1:], strict=True):
        parts += [word, delimiter]
    return "".join(parts)


def templates(shapes: Iterable[Sequence[str]]) -> tuple[list[int], list[str]]:
    """The template of each shape, and the templates' texts."""
    drain = Drain()
    numbers = [drain.add(shape) for shape in shapes]
    return numbers, drain.texts()
