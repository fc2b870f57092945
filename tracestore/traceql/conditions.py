"""What stands in braces, from the tree's leaves up: literals, fields, arithmetic, comparisons, conditions.

A condition is an `Expr`, or a bool where every span or none satisfies it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lark import Token

from obs.tracestore.durations import duration_ns
from obs.tracestore.expressions import (
    SCOPES,
    WORDS,
    And,
    Arithmetic,
    Attribute,
    Compare,
    CompareTerms,
    Constant,
    Expr,
    Field,
    Intrinsic,
    Not,
    OfEach,
    OfParent,
    Or,
    Term,
    Value,
    all_of,
    check_regex,
)
from obs.tracestore.fields import INTRINSICS
from obs.tracestore.ids import padded_id
from obs.tracestore.nested import FIXED
from obs.tracestore.tags import ALIASES
from obs.tracestore.terms import calculate, holds
from obs.tracestore.traceql.faults import fault

Condition = Expr | bool
_QUOTED = re.compile(r'\\(["\\])|"')
FIELDS = (Intrinsic, Attribute, OfParent, OfEach)
_ID_DIGITS: dict[Field, int] = {
    Intrinsic("trace:id"): 32, OfEach("link", ":traceID"): 32, Intrinsic("span:id"): 16,
    Intrinsic("span:parentID"): 16, OfEach("link", ":spanID"): 16,
}  # fmt: skip
"""Fields that are ids: shorter ones, and those in upper case, are found as well."""

_BOUNDS = {"minInt": -(2**63), "maxInt": 2**63 - 1}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


def string(token: Token) -> str:
    """A text in quotes or backticks."""
    text = str(token)
    value = text[1:-1] if text.startswith("`") else _unquoted(text)
    if any("\ud800" <= c <= "\udfff" for c in value):  # half of a surrogate pair
        raise fault(token, "it has an escape that is no character; write the character itself")
    return value


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:  # an escape that JSON does not know, as in "\d": taken as it stands
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def number(text: str) -> int | float:
    """A number without a sign."""
    return int(text) if text.isdigit() and len(text) <= 20 else float(text)


def duration(text: str) -> int:
    """A duration in ns."""
    return duration_ns(text)


def intrinsic(token: Token) -> Field:
    """A field that every span, event or link has."""
    name = str(token)
    found = ALIASES.get(name, Intrinsic(name))
    if isinstance(found, Attribute) or (isinstance(found, Intrinsic) and found.name not in INTRINSICS):
        raise fault(token, f"there is no intrinsic {name!r}")
    return found


def attribute(token: Token) -> Field:
    """`.key`, `span.key`, `parent.resource.key`, `event.key` …"""
    text = str(token)
    inner = text.removeprefix("parent")
    of_parent = inner != text
    scope, _, key = inner.partition(".")
    if of_parent and key.partition(".")[0] in (*SCOPES, *FIXED) and "." in key:
        scope, _, key = key.partition(".")
    if '"' in key:
        key = _QUOTED.sub(lambda m: m[1] or "", key)
    if scope in FIXED:
        if of_parent:
            raise fault(token, f"{scope}s of the parent cannot be searched; use parent.span or parent.resource")
        return OfEach(scope, key)
    found = Attribute(SCOPES[scope] if scope else None, key)
    return OfParent(found) if of_parent else found


def condition(item: Any, at: Token) -> Condition:
    """A condition as it stands; a field alone has to be true."""
    if isinstance(item, FIELDS):
        return Compare(item, "=", True)
    if isinstance(item, Constant) and isinstance(item.value, bool):
        return item.value
    if isinstance(item, Constant | Arithmetic | Token | tuple):
        where = item if isinstance(item, Token) else at
        raise fault(where, "it needs a condition: compare the value with something")
    return item  # type: ignore[no-any-return]


def boolean(left: Any, op: Token, right: Any) -> Condition:
    """Two conditions joined."""
    sides = [condition(left, op), condition(right, op)]
    decides = op == "||"
    if any(side is decides for side in sides):
        return decides
    open_ = [side for side in sides if not isinstance(side, bool)]
    if not open_:
        return not decides
    if not decides:
        return all_of(open_) or True
    flat = [i for side in open_ for i in (side.items if isinstance(side, Or) else (side,))]
    return Or(tuple(flat)) if len(flat) > 1 else flat[0]


def negated(item: Any, at: Token) -> Condition:
    """The contrary."""
    found = condition(item, at)
    return not found if isinstance(found, bool) else Not(found)


def term(item: Any, at: Token) -> Term:
    """A value; a condition or a list is none."""
    if isinstance(item, Token):
        raise fault(item, f"{str(item)!r} is no value here; write text in quotes")
    if not isinstance(item, (*FIELDS, Constant, Arithmetic)):
        raise fault(at, "it needs a field or a number here")
    return item


def arithmetic(left: Any, op: Token, right: Any) -> Term:
    """Two numbers; constants are calculated at once."""
    sides = term(left, op), term(right, op)
    for side in sides:
        if isinstance(side, Constant) and (isinstance(side.value, bool | str) or side.value is None):
            raise fault(op, f"{op} takes numbers")
    if isinstance(sides[0], Constant) and isinstance(sides[1], Constant):
        return Constant(float(calculate(str(op), sides[0].value, sides[1].value)))
    return Arithmetic(str(op), *sides)


def signed(sign: Token, item: Any) -> Term:
    """`-term` or `+term`."""
    found = term(item, sign)
    if sign == "+":
        return found
    if isinstance(found, Constant) and isinstance(found.value, int | float) and not isinstance(found.value, bool):
        return Constant(-found.value)
    return arithmetic(Constant(-1), Token("PRODUCT", "*", line=sign.line, column=sign.column), found)


def compared(left: Any, op: Token, right: Any) -> Condition:
    """`left op right`."""
    if not isinstance(left, FIELDS) and isinstance(right, FIELDS):
        return _turned(left, op, right)
    if isinstance(left, FIELDS) and isinstance(right, Token):
        right = Constant(_word(left, right))
    if isinstance(left, FIELDS) and isinstance(right, tuple):
        each = tuple(_field(left, op, value.value) for value in right)
        return And(each) if op.startswith("!") else Or(each)
    if isinstance(left, FIELDS) and isinstance(right, Constant):
        return _field(left, op, right.value)
    return _other(left, op, right)


def _turned(left: Any, op: Token, right: Field) -> Condition:
    if op not in _TURNED:
        raise fault(op, f"{op} takes its regular expression on the right")
    if isinstance(left, Arithmetic):
        return CompareTerms(left, str(op), right)
    return compared(right, Token("OPERATOR", _TURNED[op], line=op.line, column=op.column), left)


def _other(left: Any, op: Token, right: Any) -> Condition:
    """Neither side is a field that is compared with a constant."""
    if not isinstance(left, (*FIELDS, Constant, Arithmetic, Token)):
        if isinstance(right, Constant) and isinstance(right.value, bool) and op in ("=", "!="):
            return condition(left, op) if (op == "=") == right.value else negated(left, op)
        raise fault(op, "a condition can only be compared with true or false")
    sides = term(left, op), term(right, op)
    if op in ("=~", "!~"):
        raise fault(op, "a regular expression is text in quotes, matched with a field")
    if isinstance(sides[0], Constant) and isinstance(sides[1], Constant):
        return _of_constants(sides[0].value, op, sides[1].value)
    return CompareTerms(sides[0], str(op), sides[1])


def _of_constants(left: Value, op: Token, right: Value) -> bool:
    if left is None or right is None or isinstance(left, str) != isinstance(right, str):
        return False
    return bool(holds(str(op), left, right))


def _field(field: Field, op: Token, value: Value) -> Expr:
    if op in ("=~", "!~"):
        if not isinstance(value, str):
            raise fault(op, "a regular expression is text in quotes")
        check_regex(value)
    if value is None and op not in ("=", "!="):
        raise fault(op, "nil can only be = or !=")
    if field == Intrinsic("nestedSetParent") and op == "<" and value == 0:
        return Compare(Intrinsic("parentPosition"), "<", 0)  # the tops of the tree, without the bounds of parents
    if op in ("=", "!=") and isinstance(value, str) and (digits := _ID_DIGITS.get(field)):
        value = padded_id(value, digits)
    return Compare(field, str(op), value)


def _word(field: Field, word: Token) -> int:
    known = WORDS.get(field.name, ()) if isinstance(field, Intrinsic) else ()
    if not known and str(word) in _BOUNDS:
        return _BOUNDS[str(word)]
    if str(word) not in known:
        expected = ", ".join(known) if known else "text in quotes, a number, a duration, true, false or nil"
        raise fault(word, f"{str(word)!r} is no value of {field}; expected {expected}")
    return known.index(str(word))
