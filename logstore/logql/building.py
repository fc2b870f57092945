"""Tree of the grammar → syntax, one method a rule. See parse.py.

Raises: QueryError with its place, ValueError from values, which parse.py gives a place.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from lark import Token, Transformer, v_args

from obs.errors import QueryError
from obs.logstore.ip import in_range
from obs.logstore.logql.stage_syntax import (
    Conversion,
    Decolorize,
    IpLineFilter,
    LabelFormat,
    LineFormat,
    PatternFilter,
    PatternParser,
    Pick,
    RegexpParser,
    Unpack,
    Unwrap,
    quoted,
)
from obs.logstore.logql.stages.formats import Template
from obs.logstore.logql.stages.text_parsers import NAMED
from obs.logstore.logql.syntax import (
    AllOf,
    AnyOf,
    Binary,
    Comparison,
    Condition,
    FullText,
    Grouping,
    JsonParser,
    LabelFilter,
    LabelReplace,
    LineFilter,
    LineOp,
    LogfmtParser,
    LogQuery,
    LogRange,
    Matching,
    Number,
    Query,
    RangeAggregation,
    Unit,
    Variants,
    VectorAggregation,
)
from obs.logstore.logql.texts import fail, unquote
from obs.logstore.logql.units import bytes_value, duration_ns
from obs.logstore.matching import check_regex
from obs.logstore.names import label_name
from obs.model.labels import Matcher, MatchOp


@dataclass(frozen=True, slots=True)
class Addresses:
    """`ip("…")`."""

    text: str


NEED_UNWRAP = frozenset(
    (
        "rate_counter",
        *(f"{op}_over_time" for op in ["sum", "avg", "min", "max", "first", "last", "stddev", "stdvar", "quantile"]),
    )
)
NO_UNWRAP = frozenset(("count_over_time", "bytes_over_time", "bytes_rate"))
GROUPED = frozenset(
    (
        "absent_over_time",
        *(f"{op}_over_time" for op in ["avg", "min", "max", "first", "last", "stddev", "stdvar", "quantile"]),
    )
)


class Builder(Transformer[Token, Any]):
    """Tree → syntax, one method a rule."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def start(self, children: list[Any]) -> Query:
        return children[0]

    @v_args(meta=True)
    def log_query(self, meta: Any, children: list[Any]) -> LogQuery:
        if isinstance(children[0], LogQuery):
            return children[0]
        if any(isinstance(c, Unwrap) for c in children):
            fail(self._text, meta.line, meta.column, "unwrap has a meaning in range aggregations only")
        return LogQuery(children[0], tuple(children[1:]))

    def selector(self, matchers: list[Matcher]) -> tuple[Matcher, ...]:
        return tuple(matchers)

    def matcher(self, children: list[Token]) -> Matcher:
        name, op, value = children
        matcher = Matcher(label_name(name), MatchOp(op), unquote(value))
        if matcher.op in (MatchOp.RE, MatchOp.NRE):
            self._check(value, matcher.value)
        return matcher

    def phrase(self, children: list[Any]) -> FullText:
        return FullText((unquote(str(children[0])),))

    def full_text(self, children: list[Token]) -> FullText:
        return FullText((unquote(children[0]),))

    def line_filter(self, children: list[Any]) -> LineFilter | IpLineFilter:
        op = LineOp(children[0])
        values = [c for c in children[1:] if not (isinstance(c, Token) and c.type == "OR")]
        addresses = [c for c in values if isinstance(c, Addresses)]
        if addresses and op.is_regex:
            self._refuse(children[0], "ip(…) stands behind |= or !=")
        if addresses and len(values) == 1:
            return IpLineFilter(addresses[0].text, op.negated)
        strings = [v for v in values if not isinstance(v, Addresses)]
        if op.is_regex:
            for string in strings:
                self._check(string, unquote(string))
        return LineFilter(op, tuple(unquote(s) for s in strings), tuple(a.text for a in addresses))

    def ip(self, children: list[Token]) -> Addresses:
        text = unquote(children[1])
        in_range(text)
        return Addresses(text)

    def pattern_filter(self, children: list[Token]) -> PatternFilter:
        return PatternFilter(tuple(unquote(c) for c in children[1:] if c.type == "STRING"), children[0] == "!>")

    def regexp_stage(self, children: list[Token]) -> RegexpParser:
        pattern = unquote(children[1])
        self._check(children[1], pattern)
        if "(?P<" not in pattern and "(?<" not in pattern:
            self._refuse(children[1], "regexp needs a named group, as in (?P<name>…)")
        return RegexpParser(pattern)

    def pattern_stage(self, children: list[Token]) -> PatternParser:
        pattern = unquote(children[1])
        names = NAMED.findall(pattern)
        if not [n for n in names if n != "_"]:
            self._refuse(children[1], "pattern needs a capture, as in <name>")
        if re.search(r"<\w+><\w+>", pattern):
            self._refuse(children[1], "two captures need something between them")
        return PatternParser(pattern)

    def unpack_stage(self, children: list[Token]) -> Unpack:
        return Unpack()

    def decolorize_stage(self, children: list[Token]) -> Decolorize:
        return Decolorize()

    def line_format(self, children: list[Token]) -> LineFormat:
        text = unquote(children[1])
        self._template(children[1], text)
        return LineFormat(text)

    def label_format(self, children: list[Any]) -> LabelFormat:
        names = [to for to, _, _ in children[1:]]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            self._refuse(children[0], f"label {twice} is changed twice; write a second | label_format")
        return LabelFormat(tuple(children[1:]))

    def label_change(self, children: list[Token]) -> tuple[str, str, bool]:
        to, what = children
        if what.type != "STRING":
            return label_name(to), label_name(what), True
        text = unquote(what)
        self._template(what, text)
        return label_name(to), text, False

    def pick(self, children: list[Any]) -> Pick:
        names = tuple(c for c in children[1:] if isinstance(c, str))
        return Pick(names, tuple(c for c in children[1:] if isinstance(c, Matcher)), children[0].type == "DROP")

    def picked(self, children: list[Token]) -> str | Matcher:
        return self.matcher(children) if len(children) == 3 else str(label_name(children[0]))

    def unwrap(self, children: list[Token]) -> Unwrap:
        how = children[1].removesuffix("_seconds") if len(children) == 3 else ""
        return Unwrap(label_name(children[-1]), Conversion(how))

    def json_stage(self, children: list[Any]) -> JsonParser:
        return JsonParser(tuple(c for c in children if isinstance(c, tuple)))

    def logfmt_stage(self, children: list[Any]) -> LogfmtParser:
        pairs = tuple(c for c in children if isinstance(c, tuple))
        return LogfmtParser(pairs, "--keep-empty" in children, "--strict" in children)

    def extraction(self, children: list[Token]) -> tuple[str, str]:
        name = str(children[0])
        return label_name(name), unquote(children[1]) if len(children) > 1 else name

    def label_filter(self, children: list[Condition]) -> LabelFilter:
        return LabelFilter(children[0])

    def any_of(self, children: list[Any]) -> Condition:
        parts = tuple(c for c in children if not isinstance(c, Token))
        return parts[0] if len(parts) == 1 else AnyOf(parts)

    def all_of(self, children: list[Any]) -> Condition:
        parts = tuple(c for c in children if not isinstance(c, Token))
        return parts[0] if len(parts) == 1 else AllOf(parts)

    def comparison(self, children: list[Any]) -> Comparison:
        name, op, value = children
        if isinstance(value, Addresses):
            if op not in ("=", "==", "!="):
                self._refuse(op, "ip(…) stands behind = or !=")
            written = f"ip({quoted(value.text)})"
            return Comparison(label_name(name), "==" if op == "=" else str(op), Unit.ADDRESS, value.text, 0.0, written)
        if value.type == "STRING":
            return self._text_comparison(name, op, value)
        if op in ("=~", "!~"):
            self._refuse(op, f"{op} compares texts; put the value in quotes")
        unit, number = _MEASURES[value.type](value)
        return Comparison(label_name(name), "==" if op == "=" else str(op), unit, "", number, str(value))

    def _text_comparison(self, name: Token, op: Token, value: Token) -> Comparison:
        if op not in ("=", "==", "!=", "=~", "!~"):
            self._refuse(value, f"{op} compares numbers; take the quotes off")
        text = unquote(value)
        if op in ("=~", "!~"):
            self._check(value, text)
        return Comparison(label_name(name), "=" if op == "==" else str(op), Unit.TEXT, text, 0.0, str(value))

    def number(self, children: list[Token]) -> Number:
        return Number(float(children[0]))

    def vector_call(self, children: list[Token]) -> Number:
        sign = -1.0 if "-" in children[1:-1] else 1.0
        return Number(sign * float(children[-1]), vector=True)

    def signed(self, children: list[Any]) -> Any:
        sign, inner = children
        if sign == "+":
            return inner
        return Number(-inner.value, inner.vector) if isinstance(inner, Number) else Binary("*", Number(-1.0), inner)

    def binary(self, children: list[Any]) -> Binary:
        between = children[2:-1]
        matching = next((c for c in between if isinstance(c, Matching)), None)
        returns_bool = any(isinstance(c, Token) for c in between)
        return Binary(str(children[1]), children[0], children[-1], returns_bool, matching)

    def names(self, children: list[Token]) -> tuple[str, ...]:
        return tuple(label_name(c) for c in children)

    def matching(self, children: list[Any]) -> Matching:
        side = next((c for c in children[1:] if isinstance(c, Token)), None)
        group = "" if side is None else side.type.removeprefix("GROUP_").lower()
        include = children[-1] if side is not None and isinstance(children[-1], tuple) else ()
        return Matching(children[1], children[0].type == "ON", group, include)

    def label_replace(self, children: list[Any]) -> LabelReplace:
        texts = children[2:]
        to, replacement, source, pattern = (unquote(t) for t in texts)
        self._check(texts[3], pattern)
        return LabelReplace(children[1], to, replacement, source, pattern)

    def offset(self, children: list[Token]) -> int:
        return duration_ns(children[1])

    def log_range(self, children: list[Any]) -> LogRange:
        if isinstance(children[0], LogRange):
            return children[0]
        span = next(c for c in children if isinstance(c, Token))
        offset = next((c for c in children if isinstance(c, int)), 0)
        rest = [c for c in children[1:] if not isinstance(c, (Token, int))]
        at = next((i for i, c in enumerate(rest) if isinstance(c, Unwrap)), len(rest))
        range_ns = duration_ns(span[1:-1].strip())
        if range_ns <= 0:
            self._refuse(span, "a range is longer than zero")
        query, unwrap = LogQuery(children[0], tuple(rest[:at])), rest[at] if at < len(rest) else None
        return LogRange(query, range_ns, offset, unwrap, tuple(rest[at + 1 :]))

    def range_agg(self, children: list[Any]) -> RangeAggregation:
        op, of = children[0], next(c for c in children if isinstance(c, LogRange))
        number = next((float(c) for c in children[1:] if isinstance(c, Token)), None)
        grouping = next((c for c in children if isinstance(c, Grouping)), None)
        self._check_range(op, number, of.unwrap is not None, grouping)
        return RangeAggregation(str(op), of.query, of.range_ns, of.offset_ns, of.unwrap, of.after, grouping, number)

    def variants(self, children: list[Any]) -> Variants:
        return Variants(tuple(c for c in children[:-1] if not isinstance(c, Token)), children[-1])

    def _check_range(self, op: Token, number: float | None, unwraps: bool, grouping: Grouping | None) -> None:
        if (op == "quantile_over_time") != (number is not None):
            self._refuse(op, f"{op} {'needs' if number is None else 'takes no'} number in front of its query")
        if op in NEED_UNWRAP and not unwraps:
            self._refuse(op, f"{op} works on a label's values; name it, as in | unwrap bytes_sent")
        if unwraps and op in NO_UNWRAP:
            self._refuse(op, f"{op} counts records; take unwrap away")
        if grouping is not None and op not in GROUPED:
            self._refuse(op, f"{op} takes no grouping; aggregate around it, as in sum by (…)")

    def grouping(self, children: list[Token]) -> Grouping:
        return Grouping(tuple(label_name(c) for c in children[1:]), without=children[0].type == "WITHOUT")

    def vector_agg(self, children: list[Any]) -> VectorAggregation:
        op = children[0]
        groupings = [c for c in children if isinstance(c, Grouping)]
        number = next((c for c in children[1:] if isinstance(c, Token)), None)
        if len(groupings) > 1:
            self._refuse(op, "the grouping stands twice; keep one")
        if (op in ("topk", "bottomk", "approx_topk")) != (number is not None):
            self._refuse(op, f"{op} {'needs' if number is None else 'takes no'} number in front of its query")
        inner = next(c for c in reversed(children) if not isinstance(c, (Grouping, Token)))
        rows = None if number is None else int(min(float(number), sys.maxsize))
        return VectorAggregation(str(op), inner, groupings[0] if groupings else None, rows)

    def _template(self, token: Token, text: str) -> None:
        try:
            Template(text)
        except QueryError as e:
            self._refuse(token, str(e).removeprefix("cannot "))

    def _check(self, token: Token, pattern: str) -> None:
        try:
            check_regex(pattern)
        except QueryError as e:
            self._refuse(token, str(e).removeprefix("cannot "))

    def _refuse(self, token: Token, cause: str) -> NoReturn:
        fail(self._text, token.line or 1, token.column or 1, cause)


_MEASURES: dict[str, Any] = {
    "SIGNED": lambda v: (Unit.NUMBER, float(v)),
    "DURATION": lambda v: (Unit.DURATION, duration_ns(v) / 1e9),
    "BYTES": lambda v: (Unit.BYTES, bytes_value(v)),
}
