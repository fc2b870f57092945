"""TraceQL: what a text means, and what is said of one that means nothing."""

from __future__ import annotations

import pytest

from obs.errors import QueryError
from obs.tracestore.traceql import parse

PLANS = {
    "{}": "None",
    "{ true }": "None",
    "({ .a = 1 } | rate()) / ({ } | rate())": "None",
    "{ true && nestedSetParent < 0 }": "nestedSetParent < 0",
    '{ resource.service.name = "a b" && span.http.status_code >= 500 }': (
        '(resource.service.name = "a b" && span.http.status_code >= 500)'
    ),
    "{ duration > 100ms && name =~ `GET.*` }": '(duration > 100000000 && name =~ "GET.*")',
    "{ duration > 1h30m }": "duration > 5400000000000",
    "{ status = error || status != ok }": "(status = error || status != ok)",
    "{ kind = server }": "kind = server",
    "{ span:name = `a` && trace:duration > 1.5s }": '(name = "a" && traceDuration > 1500000000)',
    '{ .x != nil && .y = nil && span."a b" = true }': '(.x != nil && .y = nil && span."a b" = true)',
    "{ 5 < span.x }": "span.x > 5",
    "{ !(.a = 1) }": "!.a = 1",
    "{ span.flag }": "span.flag = true",
    "{ (.a = 1.5 || .b = -2) && .c = `x` }": '((.a = 1.5 || .b = -2) && .c = "x")',
    "{ .a = 1 && .b = 2 && .c = 3 }": "(.a = 1 && .b = 2 && .c = 3)",
    "{ .kind = `x` && span.name = `y` && .duration.ms = 5 }": '(.kind = "x" && span.name = "y" && .duration.ms = 5)',
    r'{ .a = "say \"hi\"" && .b =~ "\d+" }': r'(.a = "say "hi"" && .b =~ "\d+")',
    '{resource.service.name="x"}': 'resource.service.name = "x"',
    "{ instrumentation.name = `lib` && instrumentation:name = `lib` }": (
        '(instrumentation.name = "lib" && instrumentation:name = "lib")'
    ),
}


@pytest.mark.parametrize("text", PLANS)
def test_plans(text: str) -> None:
    assert str(parse(text)) == PLANS[text]


FAULTS = {
    "": ("1:1", "unexpected end"),
    "name = `a`": ("1:1", "spanset filter"),
    "{ name = }": ("1:10", "unexpected"),
    "{ name = `a`": ("1:13", "unexpected end"),
    "{ name =\n  && }": ("2:3", "unexpected"),
    "{ status = bad }": ("1:12", "unset, ok, error"),
    "{ .a = bad }": ("1:8", "text in quotes"),
    "{ name =~ `(` }": ("", "cannot compile regex"),
    "{ name =~ `a)|(b` }": ("", "cannot compile regex"),
    "{ name =~ 5 }": ("1:8", "text in quotes"),
    "{ .a > nil }": ("1:6", "nil"),
    "{ parent.event.name = `x` }": ("1:3", "of the parent"),
    "{ } | frob()": ("1:7", "unexpected"),
    "{ .a = 1 } >> | { .b = 2 }": ("1:15", "unexpected"),
}


@pytest.mark.parametrize("text", FAULTS)
def test_faults(text: str) -> None:
    place, said = FAULTS[text]
    with pytest.raises(QueryError) as raised:
        parse(text)
    assert str(raised.value).startswith(place), str(raised.value)
    assert said in str(raised.value)


def test_a_caret_points_at_the_fault() -> None:
    with pytest.raises(QueryError) as raised:
        parse("{ name = }")
    _, shown, caret = str(raised.value).split("\n")
    assert shown[caret.index("^")] == "}"
    assert raised.value.position == (1, 10)


def test_deep_nesting_and_long_texts_end() -> None:
    for text in (
        "{" + "(" * 20_000 + "}",
        "{" + "!" * 5_000 + ".a }",
        "{ .a }" + " >> { .b }" * 1_500,
        "{ .a }" + " >> { .b }" * 250,
        "{ .a = 1" + " + 1 * .b" * 300 + " }",
    ):
        with pytest.raises(QueryError):
            parse(text)
    assert parse("{ .a = 1" + " || .a = 1" * 1_000 + " }") is not None
    assert parse("{ " + "(" * 50 + ".a = 1" + ")" * 50 + " }") is not None
