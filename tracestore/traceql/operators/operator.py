"""What an operator between spansets is, and the three forms that each relation of the tree has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.tracestore.evaluate import SpanRows

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sides:
    """Rows of the left and of the right side, ascending, with the spanset of every row."""

    rows: SpanRows
    left: Rows
    right: Rows
    owner: npt.NDArray[Any]
    spansets: int

    def turned(self) -> Sides:
        """With left and right in each other's place."""
        return Sides(self.rows, self.right, self.left, self.owner, self.spansets)

    def meeting(self) -> Sides:
        """Only spansets in which both sides have spans."""
        shared = self.has(self.left) & self.has(self.right)
        left, right = (side[shared[self.owner[side]]] for side in (self.left, self.right))
        return Sides(self.rows, left, right, self.owner, self.spansets)

    def has(self, side: Rows) -> Mask:
        """bool[spansets]: those with a span on this side."""
        found = np.zeros(self.spansets, bool)
        found[self.owner[side]] = True
        return found


Relation = Callable[[Sides], Rows]
"""Rows of the right side that stand in the relation to a row of the left side in the same spanset."""


@dataclass(frozen=True, slots=True)
class Operator:
    """`rows` of the result; `needs_left`, `needs_right`: nothing comes of a spanset where that side has no span."""

    name: str
    rows: Callable[[Sides], Rows]
    needs_left: bool = True
    needs_right: bool = True


def related(name: str, relation: Relation) -> Operator:
    """`left > right`: the right spans that stand in the relation."""
    return Operator(name, lambda sides: relation(sides.meeting()))


def uniting(name: str, relation: Relation, back: Relation) -> Operator:
    """`left &> right`: those, and the left spans that they stand in it to."""

    def rows(sides: Sides) -> Rows:
        near = sides.meeting()
        return np.union1d(relation(near), back(near.turned()))

    return Operator(f"&{name}", rows)


def excluding(name: str, relation: Relation) -> Operator:
    """`left !> right`: the right spans that do not stand in it, also where there is no left span."""

    def rows(sides: Sides) -> Rows:
        return np.setdiff1d(sides.right, relation(sides.meeting()), assume_unique=True)

    return Operator(f"!{name}", rows, needs_left=False)


def keys(sides: Sides, rows: Rows, numbers: npt.NDArray[Any]) -> Rows:
    """Numbers of 32 bits with the spanset before them: numbers of different spansets never meet."""
    found: Rows = (sides.owner[rows].astype(np.int64) << 32) | numbers.astype(np.int64)
    return found
