"""RE2's regexes: their dialect, and no pattern that takes long."""

from __future__ import annotations

import pytest

from obs.model.labels import Matcher, MatchOp
from obs.model.regex import compiled


@pytest.mark.parametrize(
    ("pattern", "text", "hit"),
    [
        ("(x+x+)+y", "x" * 5000, False),
        (r"\Qprom\E", "prom", True),
        (r"p\pLom", "prom", True),
        ("(?U)p.*", "prom", True),
        (r"/\w.*", "/é", False),
        (r"\d", "٣", False),
        ("a.b", "a\nb", True),
        ("[[:alpha:]]+", "abc", True),
        ("(?<name>a)(?P<other>b)", "ab", True),
    ],
)
def test_dialect(pattern: str, text: str, hit: bool) -> None:
    assert Matcher("l", MatchOp.RE, pattern).matches(text) is hit
    assert Matcher("l", MatchOp.NRE, pattern).matches(text) is not hit


@pytest.mark.parametrize("pattern", ["(?!x).*", r"(p)\1rom", "p++", "(", "[", "\\"])
def test_what_is_no_regex(pattern: str) -> None:
    with pytest.raises(ValueError, match="cannot compile regex"):
        compiled(pattern)
