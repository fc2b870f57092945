"""What the parser makes of texts: canonical forms, and errors with their place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from obs.errors import QueryError
from obs.logstore.logql.parse import parse
from obs.logstore.logql.syntax import LogQuery
from obs.logstore.logql.units import bytes_value, duration_ns, duration_text

SCRIPTS = (Path(__file__).parents[2] / "scripts" / "logql").glob("*.test")
COMMAND = re.compile(r"(?:records|instant|range)\b[^:]*?: (.*)")
QUERIES = [m.group(1) for path in SCRIPTS for line in path.read_text().splitlines() if (m := COMMAND.match(line))]


@pytest.mark.parametrize(
    "text", [*QUERIES, "1234567.5 * 2", "-3 + vector(0)", '{a="b"} | json x="y.z" | logfmt --keep-empty']
)
def test_the_canonical_form_says_the_same(text: str) -> None:
    query = parse(text)
    assert str(parse(str(query))) == str(query)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("timeout", '{} "timeout"'),
        ('"two words" third', '{} "two words" "third"'),
        ("404", '{} "404"'),
        ("2026-11-23", '{} "2026-11-23"'),
        ("cart | detected_level=`error`", '{} "cart" | detected_level = `error`'),
        ('{job.name="a"}', '{job_name="a"}'),
        ('sum(rate({a="b"}[90s])) by (x)', 'sum by (x) (rate({a="b"} [90s]))'),
        ('sum by (l) (count_over_time({} "w" [1m]))', 'sum by (l) (count_over_time({} "w" [1m]))'),
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("1+1", "(1 + 1)"),
        (r'{a="x\n\"\u00e9\\"}', r'{a="x\n\"é\\"}'),
        ("{} # all of it\n |= `x`", '{} |= "x"'),
        ('{} |= `x` or ip("::1") or "y"', '{} |= "x" or "y" or ip("::1")'),
        ("rate((({} |= `x` | json | unwrap y)[1m] offset 1s))", 'rate({} |= "x" | json | unwrap y [1m] offset 1s)'),
        (
            "variants(rate({}[1m]),sum(rate({}[2m]))) of ({} | json [1m])",
            "variants(rate({} [1m]), sum(rate({} [2m]))) of ({} | json [1m])",
        ),
    ],
)
def test_canonical_forms(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


def test_words_that_are_operators_are_names_too() -> None:
    query = parse('{} | order = "x" and by_hand > 5 or json = "y"')
    assert isinstance(query, LogQuery)
    assert str(query.stages[0]) == '| order = "x" and by_hand > 5 or json = "y"'


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{a="b"', 1, 7),
        ("", 1, 1),
        ("{a=5}", 1, 4),
        ('{}\n|= "x"\n| ~', 3, 3),
        ("sum(", 1, 5),
        ('{a="b} |= "c"', 1, 12),
        (r'{} |= "\ud800"', 1, 4),
        (r'{a="\U00110000"}', 1, 2),
        (r'one "\udfff"', 1, 5),
        (r'{} |~ "\d+"', 1, 4),
        (r'one "two\."', 1, 5),
        ("count_over_time({}[300y])", 1, 17),
        ("+".join(["1"] * 3000), 1, 1),
        ("{} | " + "(" * 3000 + 'a="b"' + ")" * 3000, 1, 506),
    ],
)
def test_errors_have_a_place_and_a_caret(text: str, line: int, column: int) -> None:
    with pytest.raises(QueryError) as error:
        parse(text)
    assert error.value.position == (line, column)
    caret = str(error.value).split("\n")[-1]
    assert caret.index("^") == column + 1


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("5m", 300 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("1.5s", 1_500_000_000),
        ("-2ms", -2_000_000),
        ("1d", 86400 * 10**9),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert duration_ns(text) == ns
    assert duration_ns(duration_text(abs(ns))) == abs(ns)


@pytest.mark.parametrize(
    ("text", "size"), [("10KB", 10_000), ("1.5MiB", 1_572_864), ("12", 12), ("3b", 3), ("2k", 2000)]
)
def test_sizes(text: str, size: float) -> None:
    assert bytes_value(text) == size


@pytest.mark.parametrize("text", ["", "5", "5x", "m5", "1h-5m", "300y", "9" * 400 + "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read duration"):
        duration_ns(text)


@pytest.mark.parametrize("depth", [501, 50_000])
def test_parentheses_nest_only_so_deep(depth: int) -> None:
    with pytest.raises(QueryError, match="parentheses nest deeper than 500") as refused:
        parse("(" * depth + "vector(1)" + ")" * depth)
    assert refused.value.position == (1, 501)


def test_parentheses_in_texts_and_comments_do_not_nest() -> None:
    texts = "(" * 600
    assert parse(f'{{a="{texts}"}} |= `{texts}` # {texts}') == parse(f'{{a="{texts}"}} |= "{texts}"')


def test_a_text_is_only_so_long() -> None:
    with pytest.raises(QueryError, match="cannot parse LogQL of 131073 characters: the limit is 131072"):
        parse("a" * 131_073)
