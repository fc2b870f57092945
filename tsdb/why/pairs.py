"""Why a binary operator gave nothing although both its sides have series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from obs.model.labels import Labels
from obs.tsdb.promql.formatting import go_plain
from obs.tsdb.promql.operators.arithmetic import COMPARISONS
from obs.tsdb.promql.operators.signature import Signature, by, excluding
from obs.tsdb.promql.plan import Binary, Kind, Matching, label_text
from obs.tsdb.promql.result import Result
from obs.tsdb.why.reasons import count, listed

MOST_SERIES = 20_000
"""Series of a side whose labels are looked at."""


def no_pairs(node: Binary, left: Result, right: Result) -> str:
    """The reason; a side that is a scalar is a series without labels."""
    if Kind.SCALAR in (node.left.kind, node.right.kind):
        vector, is_left = (left, True) if node.left.kind is Kind.VECTOR else (right, False)
        return _filtered(node, vector, "left" if is_left else "right")
    matching = node.matching or Matching()
    signature = signature_of(matching)
    sides = [list(dict.fromkeys(map(signature, side.labels[:MOST_SERIES]))) for side in (left, right)]
    if set(sides[0]).isdisjoint(sides[1]):
        return _unlike(matching, *sides)
    if node.op == "unless":
        return f"each of the {count(len(left.labels), 'series')} on the left has one with the same labels on the right"
    if node.op in COMPARISONS and not node.bool_:
        return _filtered(node, left, "left")
    return "both sides have series with the same labels, but never at the same time"


def _filtered(node: Binary, vector: Result, side: str) -> str:
    values = vector.values[vector.present]
    known = values[~np.isnan(values)]
    spread = f"between {go_plain(float(known.min()))} and {go_plain(float(known.max()))}" if len(known) else "NaN"
    return f"the comparison {node.op} holds for none of the values on the {side}, which are {spread}"


def _unlike(matching: Matching, left: Sequence[Labels], right: Sequence[Labels]) -> str:
    """The labels that keep the sides apart."""
    said = "no series of the left has the labels of one of the right"
    names = sorted({name for labels in (*left, *right) for name, _ in labels})
    values = {name: (_of(name, left), _of(name, right)) for name in names}
    apart = [name for name, (ours, theirs) in values.items() if set(ours).isdisjoint(theirs)]
    if not apart:
        one, other = (_braces(side[0]) for side in (left, right))
        return f"{said}; the left has {one}, the right {other}, for example"
    told = [
        f"{label_text(name)} is {_values(values[name][0])} on the left and {_values(values[name][1])} on the right"
        for name in apart
    ]
    return f"{said}: {'; '.join(told[:3])}{_advice(matching, apart, names)}"


def _of(name: str, side: Sequence[Labels]) -> list[str]:
    """The values of a label, empty where it is absent."""
    return sorted({dict(labels).get(name, "") for labels in side})


def _advice(matching: Matching, apart: Sequence[str], names: Sequence[str]) -> str:
    """Another way to match that these labels would not stand in."""
    if matching.on:
        kept = [label_text(name) for name in matching.labels if name not in apart]
    else:
        kept = [label_text(name) for name in names if name not in apart]
    return f"; match with on ({', '.join(kept)})" if kept else ""


def _values(values: Sequence[str]) -> str:
    given = [v for v in values if v]
    return listed(given) if given else "absent"


def _braces(labels: Labels) -> str:
    return "{" + ", ".join(f'{label_text(n)}="{v}"' for n, v in labels) + "}"


def signature_of(matching: Matching) -> Signature:
    """What of a series' labels decides which other it meets."""
    return by(matching.labels) if matching.on else excluding(matching.labels)
