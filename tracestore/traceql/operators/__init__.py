"""Operators between two spansets, one a file; this table is all of them.

Each takes the two sides of one place and says which spans the result holds. `&` adds the left spans that stand in the
relation to those on the right; `!` gives the right spans that stand in it to no left span.
"""

from __future__ import annotations

from obs.tracestore.traceql.operators import ancestor, both, child, descendant, either, parent, sibling
from obs.tracestore.traceql.operators.operator import Operator, excluding, related, uniting

_RELATIONS = {
    ">>": (descendant.rows, ancestor.rows),
    "<<": (ancestor.rows, descendant.rows),
    ">": (child.rows, parent.rows),
    "<": (parent.rows, child.rows),
    "~": (sibling.rows, sibling.rows),
}
"""How the right side stands to the left, and the left to the right."""

OPERATORS: dict[str, Operator] = {
    "&&": both.OPERATOR,
    "||": either.OPERATOR,
    **{name: related(name, relation) for name, (relation, _) in _RELATIONS.items()},
    **{f"&{name}": uniting(name, relation, back) for name, (relation, back) in _RELATIONS.items()},
    **{f"!{name}": excluding(name, relation) for name, (relation, _) in _RELATIONS.items()},
}

__all__ = ["OPERATORS", "Operator"]
