"""The parser: what queries mean (by how their plans print), how bad ones fail, and agreement with another parser."""

from __future__ import annotations

import pytest

from obs.errors import QueryError
from obs.tsdb.promql.lexer import MOST_SHOWN
from obs.tsdb.promql.parse import parse
from obs.tsdb.promql.plan import explain
from obs.tsdb.promql.printer import pretty, text

SAME = [
    ("1+2*3^2^1", "1 + 2 * 3 ^ 2 ^ 1"),
    ("-a ^ 2", "-a ^ 2"),
    ("sum(x)by(a,b)", "sum by (a, b) (x)"),
    ("sum without(a)(x)", "sum without (a) (x)"),
    ('{"http.server", "k8s.pod"="p"}', '{__name__="http.server","k8s.pod"="p"}'),
    ("x[1h30m] offset -5m", "x[1h30m] offset -5m"),
    ("x[300]", "x[5m]"),
    ("x @ 12.5 offset 1m", "x @ 12.500 offset 1m"),
    ("x offset 1m @ start()", "x @ start() offset 1m"),
    ("rate(x[5m])[1h:30s] @ end()", "rate(x[5m])[1h:30s] @ end()"),
    ("a/ignoring(x)group_right(y)b", "a / ignoring (x) group_right (y) b"),
    ("a == bool on() b", "a == bool on () b"),
    ("a + fill_left(1) b", "a + fill_left (1) b"),
    ("sum", "sum"),
    ("by{offset='1'}", 'by{offset="1"}'),
    ("0x1F + 1_000 + .5 + 1e3 + Inf", "31 + 1000 + 0.5 + 1000 + +Inf"),
    ("1h", "1h"),
    ("+a", "a"),
    ("((a))", "((a))"),
    ("topk(-1, a)", "topk(-1, a)"),
    ("x[2*(1m+30s)]", "x[2 * (1m + 30s)]"),
    ("x[step()*4]", "x[step() * 4]"),
    ("rate(x[5m] anchored)", "rate(x[5m] anchored)"),
    ("a # a comment\n+ b", "a + b"),
]


@pytest.mark.parametrize(("query", "printed"), SAME)
def test_query_prints_as(query: str, printed: str) -> None:
    plan = parse(query, step_ms=15_000)
    assert text(plan) == printed


@pytest.mark.parametrize(("query", "printed"), [pair for pair in SAME if "step()" not in pair[0]])
def test_printed_query_means_the_same(query: str, printed: str) -> None:
    assert explain(parse(printed)) == explain(parse(query))


BAD = [
    ("", 1, 1, "no expression found in input"),
    ("sum(", 1, 5, "unclosed left parenthesis"),
    ("foo{", 1, 5, "unexpected end of input inside braces"),
    ("foo bar", 1, 5, 'unexpected identifier "bar"'),
    ("1 +\n  rate(foo)", 2, 8, 'expected type range vector in call to function "rate", got instant vector'),
    ("nope(x)", 1, 1, 'unknown function with name "nope"'),
    ("x{a=~'('}", 1, 3, "cannot compile regex"),
    ("1 == 2", 1, 3, "comparisons between scalars must use BOOL modifier"),
    ("a + bool b", 1, 3, "bool modifier can only be used on comparison operators"),
    ("1 and 2", 1, 1, 'set operator "and" not allowed in binary scalar expression'),
    ("a and on(x) group_left() b", 1, 1, 'no grouping allowed for "and" operation'),
    ("{}", 1, 1, "vector selector must contain at least one non-empty matcher"),
    ('{a=""}', 1, 1, "vector selector must contain at least one non-empty matcher"),
    ("x offset 1m offset 2m", 1, 1, "offset may not be set multiple times"),
    ("sum(x) offset 1m", 1, 1, "offset modifier must be preceded by"),
    ("x[0s]", 1, 3, "duration must be greater than 0"),
    ("x[5m", 1, 5, "unclosed left bracket"),
    ("'abc", 1, 1, "unterminated quoted string"),
    ("5mm", 1, 1, "bad number or duration syntax"),
    ("1 + 1e400", 1, 5, "error parsing number"),
    ("sum(bool)", 1, 5, "unexpected <bool>"),
    ("group_left()", 1, 1, "unexpected <group_left>"),
    ("sum(1)", 1, 5, "expected type instant vector in aggregation expression, got scalar"),
    ("x ! y", 1, 3, "unexpected character after '!': ' '"),
    ("up{a=='b'}", 1, 6, 'unexpected "=" in label matching, expected string'),
    ("up{a:b='c'}", 1, 5, "unexpected character inside braces: ':'"),
    ("sum(up{a='b')", 1, 13, "unexpected character inside braces: ')'"),
    ("up{a!'b'}", 1, 5, "unexpected character after '!' inside braces: \"'\""),
    ("up{a by 'b'}", 1, 6, 'unexpected identifier "by" in label matching, expected label matching operator'),
    ("up{a 'a long text'}", 1, 6, 'unexpected string "\'a long te"... in label matching'),
    ("sum(up up)", 1, 8, 'unexpected identifier "up" in aggregation'),
    ("sum by (a b) (up)", 1, 11, 'unexpected identifier "b" in grouping opts, expected "," or ")"'),
    ("up up $", 1, 4, 'unexpected identifier "up"'),
    ("up)", 1, 4, "unexpected right parenthesis ')'"),
    ("(up[5m", 1, 7, "unclosed left parenthesis"),
    ("up[", 1, 4, "unexpected end of input in duration expression"),
    ("sum(x) by (a) by (b)", 1, 15, "unexpected <by>"),
    ("up sum", 1, 4, "unexpected <aggr:sum>"),
    ("up @ start", 1, 11, "unexpected end of input in @, expected timestamp"),
    ("a + on(x) group_left(x) b", 1, 3, 'label "x" must not occur in ON and GROUP clause at once'),
    ("1[5m:]", 1, 1, "subquery is only allowed on instant vector, got scalar instead"),
    ("info(up, foo)", 1, 10, "expected label selectors only, got vector selector instead"),
    ("-'a'", 1, 1, "unary expression only allowed on expressions of type scalar or instant vector"),
    ("abs(up,)", 1, 7, "trailing commas not allowed in function call args"),
    ("9999999999999y", 1, 1, "duration out of range"),
    ("1ab", 1, 1, 'bad number or duration syntax: "1"'),
    ('"\\xZZ"', 1, 1, "illegal character U+005A 'Z' in escape sequence"),
    ('"\\q"', 1, 1, "unknown escape sequence U+0071 'q'"),
    ("'\\400'", 1, 1, "escape sequence is an invalid Unicode code point"),
    ("(" * 700 + "1" + ")" * 700, 1, 601, "expression is nested deeper"),
]


@pytest.mark.parametrize(("query", "line", "column", "cause"), BAD)
def test_bad_query_is_shown_where_it_is_bad(query: str, line: int, column: int, cause: str) -> None:
    with pytest.raises(QueryError) as failure:
        parse(query)
    message = str(failure.value)
    assert failure.value.position == (line, column)
    assert message.startswith(f"{line}:{column}: parse error: {cause}")
    shown, caret = message.split("\n")[-2:]
    at = column + 1 if len(query) <= MOST_SHOWN else MOST_SHOWN // 2 + 3
    assert caret == " " * at + "^"
    assert shown[at : at + 5] == query.split("\n")[line - 1][column - 1 :][:5]


def test_columns_count_bytes() -> None:
    with pytest.raises(QueryError, match="^1:9: parse error: unexpected"):
        parse('"é日" b')


def test_two_names_in_braces_are_a_selector_of_nothing() -> None:
    assert text(parse('{"a", "b"}')) == '{__name__="a",__name__="b"}'


def test_matching_on_nothing_is_no_matching() -> None:
    assert text(parse("up == on() 1")) == "up == 1"


def test_plan_prints_as_a_tree() -> None:
    plan = parse("sum by (job) (rate(x[5m])) / on (job) group_left (v) (y > 3)")
    assert explain(plan).split("\n") == [
        "binary / many-to-one on (job) include (v)",
        "├─ aggregate sum by (job)",
        "│  └─ call rate",
        "│     └─ window [5m] x",
        "└─ binary >",
        "   ├─ select y",
        "   └─ number 3",
    ]


def test_long_query_is_laid_out_over_lines() -> None:
    query = "sum by (job) (rate(http_requests_total{code=~'5..'}[5m])) / sum by (job) (rate(http_requests_total[5m]))"
    assert pretty(parse(query)).split("\n")[1] == "/"


def test_agrees_with_another_parser() -> None:
    """Queries without newer syntax print the same after promql-parser has read and printed them."""
    other = pytest.importorskip("promql_parser")
    newer = ("step()", "anchored", "_000", "2*(", '{"http', "x[300]", "# a", "@ 12.5")
    for query, _ in SAME:
        if not any(mark in query for mark in newer):
            assert explain(parse(str(other.parse(query).prettify()))) == explain(parse(query)), query
