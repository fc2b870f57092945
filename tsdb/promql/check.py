"""Types: what each node accepts. In: a node just parsed. Out: the same, or a QueryError at the part that is wrong."""

from __future__ import annotations

from dataclasses import replace

from obs.errors import QueryError
from obs.tsdb.promql.cursor import Cursor
from obs.tsdb.promql.functions.signatures import Signature
from obs.tsdb.promql.plan import (
    Aggregate,
    Binary,
    Call,
    Card,
    Edge,
    Kind,
    Matching,
    Node,
    RangeSelector,
    Selector,
    String,
    unwrap,
    walk,
)  # fmt: skip

_SET_OPS = ("and", "or", "unless")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


MOST_QUANTILES = 10
"""Those that one `histogram_quantiles` takes."""


def unary(cursor: Cursor, pos: int, expr: Node) -> None:
    """A sign goes before scalars and instant vectors."""
    if expr.kind not in (Kind.SCALAR, Kind.VECTOR):
        cause = (
            f'unary expression only allowed on expressions of type scalar or instant vector, got "{expr.kind.value}"'
        )
        raise cursor.error(pos, cause)


def binary(cursor: Cursor, node: Binary, op_pos: int) -> Binary:
    """Operand kinds against the operator, and its matching clauses; vectors get a default matching."""
    kinds = (node.left.kind, node.right.kind)
    for side in (node.left, node.right):
        if side.kind not in (Kind.SCALAR, Kind.VECTOR):
            raise cursor.error(side.pos, "binary expression must contain only scalar and instant vector types")
    if kinds == (Kind.VECTOR, Kind.VECTOR):
        card = Card.MANY_TO_MANY if node.op in _SET_OPS else Card.ONE_TO_ONE
        return replace(node, matching=node.matching or Matching(card))
    if kinds == (Kind.SCALAR, Kind.SCALAR) and node.op in _COMPARISONS and not node.bool_:
        raise cursor.error(op_pos, "comparisons between scalars must use BOOL modifier")
    if node.matching is not None and (node.matching.fill_left is not None or node.matching.fill_right is not None):
        raise cursor.error(node.pos, "filling in missing series only allowed between instant vectors")
    if node.matching is not None and node.matching.labels:
        raise cursor.error(node.pos, "vector matching only allowed between instant vectors")
    if node.op in _SET_OPS:
        raise cursor.error(node.pos, f'set operator "{node.op}" not allowed in binary scalar expression')
    return replace(node, matching=None)


def aggregate(cursor: Cursor, node: Aggregate) -> Aggregate:
    """The operand is a vector, the parameter a scalar or a string."""
    _expect(cursor, node.expr, Kind.VECTOR, "aggregation expression")
    if node.param is not None:
        wanted = Kind.STRING if node.op == "count_values" else Kind.SCALAR
        _expect(cursor, node.param, wanted, "aggregation parameter")
    return node


def _is_label(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _go_quoted(text: str) -> str:
    return '"' + "".join(f"\\x{ord(c) - 0xDC00:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text) + '"'


def call(cursor: Cursor, node: Call, signature: Signature) -> Call:
    """Number and kinds of the arguments."""
    wanted, given, optional = signature.args, len(node.args), signature.optional
    where = f'argument(s) in call to "{node.name}", got {given}'
    fewest = len(wanted) - (1 if optional < 0 else optional)
    if optional == 0 and given != len(wanted):
        raise cursor.error(node.pos, f"expected {len(wanted)} {where}")
    if given < fewest:
        raise cursor.error(node.pos, f"expected at least {fewest} {where}")
    if optional >= 0 and given > len(wanted):
        raise cursor.error(node.pos, f"expected at most {len(wanted)} {where}")
    if node.name == "histogram_quantiles" and given > MOST_QUANTILES + 2:
        raise cursor.error(node.pos, f"expected at most {MOST_QUANTILES + 2} {where}")
    for i, arg in enumerate(node.args):
        _expect(cursor, arg, wanted[min(i, len(wanted) - 1)], f'call to function "{node.name}"')
    if node.name == "info" and given > 1:
        _check_labels_only(cursor, node.args[1])
    return node


def _check_labels_only(cursor: Cursor, arg: Node) -> None:
    if not isinstance(arg, Selector):
        raise cursor.error(arg.pos, "expected label selectors only")
    if arg.is_named:
        raise cursor.error(arg.pos, "expected label selectors only, got vector selector instead")


_EDGES = {
    Edge.ANCHORED: ("changes", "delta", "increase", "rate", "resets"),
    Edge.SMOOTHED: ("delta", "increase", "rate"),
}
"""The functions that know what to do with a window whose edges are not plain."""


def before_run(plan: Node) -> None:
    """What Prometheus finds only while it evaluates, so that such queries can be shown as trees.

    Raises: QueryError, without a position.
    """
    for node in walk(plan):
        if isinstance(node, Call):
            _check_edges(node)
        elif isinstance(node, Aggregate) and node.op == "count_values":
            _check_label(node.param)


def _check_label(node: Node | None) -> None:
    if isinstance(node, String) and not _is_label(node.value):
        raise QueryError(f"invalid label name {_go_quoted(node.value)}")


def _check_edges(node: Call) -> None:
    for arg in node.args:
        inner = unwrap(arg)
        edge = inner.selector.edge if isinstance(inner, RangeSelector) else Edge.NONE
        if edge is not Edge.NONE and node.name not in _EDGES[edge]:
            known = ", ".join(_EDGES[edge])
            raise QueryError(f"{edge.value} modifier can only be used with: {known} - not with {node.name}")


def _expect(cursor: Cursor, node: Node, kind: Kind, where: str) -> None:
    if node.kind is not kind:
        raise cursor.error(node.pos, f"expected type {kind.value} in {where}, got {node.kind.value}")
