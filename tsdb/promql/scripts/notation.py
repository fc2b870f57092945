"""The series notation of scripts: `name{a="b"} 1 2+3x4 _ stale` → labels and values.

`a+bxn` is a, a+b … a+n·b (n + 1 values); `axn` is a, n + 1 times; `_` is no sample, `_xn` n times.
Source: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

from __future__ import annotations

import re

from obs.model.labels import Labels, make_labels
from obs.model.stale import STALE
from obs.tsdb.promql.cursor import Cursor
from obs.tsdb.promql.selectors import selector


class Unsupported(Exception):
    """The script uses something that is not built yet."""


_NUMBER = r"[+-]?(?:\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[iI]nf|[nN]a[nN]|0x[0-9a-fA-F]+)"
_RUN = re.compile(rf"(?P<first>{_NUMBER})(?:(?P<delta>[+-]{_NUMBER.removeprefix('[+-]?')}))?(?:x(?P<count>\d+))?")
_GAP = re.compile(r"_(?:x(?P<count>\d+))?")


def parse_series(line: str) -> tuple[Labels, list[object | None]]:
    """One line of a load or of an expectation; None stands for a gap."""
    head, tail = split_series(line)
    return parse_labels(head), parse_values(tail)


def split_series(line: str) -> tuple[str, str]:
    """The labels' text and the values' text."""
    line = line.strip()
    depth, quote, i = 0, "", 0
    while i < len(line):
        char = line[i]
        if quote:
            if char == "\\":
                i += 1
            elif char == quote:
                quote = ""
        elif char in "\"'`":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char.isspace() and depth == 0:
            rest = line[i:].lstrip()
            if not (rest.startswith("{") and not rest.startswith("{{")):
                return line[:i], rest
        i += 1
    return line, ""


def parse_labels(text: str) -> Labels:
    """Labels in selector syntax, equalities only."""
    if text.replace(" ", "") == "{}":
        return ()
    matchers = selector(Cursor(text), checked=False).matchers
    return make_labels((m.name, m.value) for m in matchers)


def parse_values(text: str) -> list[object | None]:
    """The values of a series, expanded."""
    values: list[object | None] = []
    for word in words(text):
        values.extend(_expand(word))
    return values


def words(text: str) -> list[str]:
    """Items parted by white space outside `{{…}}`."""
    return re.findall(r"(?:\{\{.*?\}\}|[^\s{])+", text.split("#")[0] if "{{" not in text else text)


def _expand(word: str) -> list[object | None]:
    if "{{" in word:
        from obs.tsdb.promql.scripts.histogram_notation import expand_histograms

        return expand_histograms(word)
    if gap := _GAP.fullmatch(word):
        return [None] * int(gap["count"] or 1)
    if stale := re.fullmatch(r"stale(?:x(\d+))?", word):
        return [STALE] * (int(stale[1]) + 1 if stale[1] else 1)
    run = _RUN.fullmatch(word)
    if run is None:
        raise Unsupported(f"cannot read series value {word!r}")
    first = number(run["first"])
    if run["count"] is None:
        return [first]
    delta = number(run["delta"]) if run["delta"] else 0.0
    out: list[object | None] = []
    for _ in range(int(run["count"]) + 1):
        out.append(first)
        first += delta
    return out


def number(text: str) -> float:
    """A number as scripts write it."""
    if "0x" in text.lower():
        return float(int(text, 16))
    return float(text)
