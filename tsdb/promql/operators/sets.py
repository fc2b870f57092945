"""and, or, unless: which series remain, decided step by step by whether the other side has their signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from obs.model.labels import Labels
from obs.tsdb.promql.operators.signature import by, excluding, ordinals
from obs.tsdb.promql.plan import Binary
from obs.tsdb.promql.values import I64, Bool, Vector, merge_over_steps, stack


def and_(node: Binary, left: Vector, right: Vector) -> Vector:
    """Left samples whose signature the right side has at that step."""
    mine, there = _signatures(node, left, right)
    return replace(left, present=left.present & there[mine]).compact()


def unless(node: Binary, left: Vector, right: Vector) -> Vector:
    """Left samples whose signature the right side lacks at that step."""
    mine, there = _signatures(node, left, right)
    return replace(left, present=left.present & ~there[mine]).compact()


def or_(node: Binary, left: Vector, right: Vector) -> Vector:
    """All of the left, and right samples whose signature the left side lacks at that step."""
    theirs, here = _signatures(node, right, left)
    rest = replace(right, present=right.present & ~here[theirs]).compact()
    # Equal labels of one side cannot meet the other's: they share a signature.
    return merge_over_steps(stack([left, rest], left.values.shape[1]))


def _signatures(node: Binary, mine: Vector, other: Vector) -> tuple[I64, Bool]:
    """The ordinals of `mine`, and bool[ordinal, step]: where `other` has a sample of that signature."""
    m = node.matching
    assert m is not None
    signature = by(m.labels) if m.on else excluding(m.labels)
    known: dict[Labels, int] = {}
    own = ordinals(mine.labels, signature, known)
    theirs = ordinals(other.labels, signature, known)
    there = np.zeros((len(known), mine.values.shape[1]), np.bool_)
    np.logical_or.at(there, theirs, other.present)
    return own, there


SET_OPERATORS: dict[str, Callable[[Binary, Vector, Vector], Vector]] = {"and": and_, "or": or_, "unless": unless}
