"""Parameters of Prometheus's API: several of one name, times, limits, selectors, escaped label names.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/ and its "UTF-8" proposal for `U__` names.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from obs.errors import QueryError
from obs.model.labels import Matcher
from obs.tsdb.api_query import BadParameter, read_time, whole_number
from obs.tsdb.forms import read_pairs
from obs.tsdb.limits import FIRST_MS, LAST_MS
from obs.tsdb.promql.parse import parse_selector, parse_to_show
from obs.tsdb.promql.plan import Selector
from obs.tsdb.promql.selectors import asks_nothing

_ESCAPED = re.compile(r"_(?:_|([0-9a-fA-F]{1,6})_)")


@dataclass(frozen=True, slots=True)
class Params:
    """One request's parameters, those of the form first; a name may come several times."""

    values: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str:
        """The first value of a parameter, empty where there is none."""
        given = self.values.get(name)
        return given[0] if given else ""

    def span(self) -> tuple[int, int]:
        """`start` and `end` in milliseconds; everything, where they are absent. Raises: BadParameter."""
        given = {name: self.text(name) for name in ("start", "end")}
        return read_time(given, "start", FIRST_MS), read_time(given, "end", LAST_MS)

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number, not negative. Raises: BadParameter."""
        text = self.text(name)
        if not text:
            return default
        return whole_number(name, text)

    def number(self, name: str) -> int:
        """A whole number, -1 where it is absent. Raises: BadParameter."""
        text = self.text(name)
        if not re.fullmatch(r"-?\d{1,18}|", text, re.ASCII):
            raise QueryError(f"{name} must be a number")
        return int(text or -1)

    def selectors(self, blamed: bool = True) -> list[tuple[Matcher, ...]]:
        """`match[]`; `blamed`: errors name the parameter. Raises: QueryError."""
        return [selector(text, "match[]" if blamed else "") for text in self.values.get("match[]", ())]


async def read_params(request: Request) -> Params:
    """The parameters of a request, from its address and, for POST, its form."""
    values: dict[str, list[str]] = {}
    for name, value in await read_pairs(request):
        values.setdefault(name, []).append(value)
    return Params(values)


def selector(text: str, parameter: str = "") -> tuple[Matcher, ...]:
    """The matchers of a series selector, that of a parameter unless the name is empty. Raises: QueryError."""
    try:
        matchers = parse_selector(text)
        if asks_nothing(matchers):
            raise QueryError("match[] must contain at least one non-empty matcher")
    except QueryError as e:
        if parameter:
            raise BadParameter(parameter, str(e)) from None
        raise
    return matchers


def selectors_in(query: str) -> list[tuple[Matcher, ...]]:
    """The matchers of every selector of a query. Raises: BadParameter."""
    try:
        return [tuple(s.matchers) for s in _selectors(parse_to_show(query))]
    except QueryError as e:
        raise BadParameter("query", str(e)) from None


def _selectors(node: Any) -> Iterator[Selector]:
    if isinstance(node, Selector):
        yield node
    elif isinstance(node, tuple | list):
        for part in node:
            yield from _selectors(part)
    elif dataclasses.is_dataclass(node):
        for member in dataclasses.fields(node):
            yield from _selectors(getattr(node, member.name))


def raw_name(path: bytes, decoded: str) -> str:
    """The label's name in a path; the bytes of one that is no UTF-8 as lone surrogates."""
    part = path.partition(b"/label/")[2].removesuffix(b"/values")
    return unquote_to_bytes(part).decode(errors="surrogateescape") if part else decoded


def label_name(text: str) -> str:
    """A label name from a path; `U__` ones are unescaped. Raises: BadParameter."""
    name = unescaped(text)
    if not name or any("\ud800" <= c <= "\udfff" for c in name):
        shown = "".join(f"\\x{ord(c) & 0xFF:02x}" if "\ud800" <= c <= "\udfff" else c for c in text)
        raise QueryError(f'invalid label name: "{shown}"')
    return name


def unescaped(text: str) -> str:
    """The name behind `U__…` (`__` an underscore, `_2e_` a code point); text that is not such a name as it is."""
    if not text.startswith("U__"):
        return text
    rest, parts, at = text[3:], [], 0
    while at < len(rest):
        if rest[at] != "_":
            parts.append(rest[at])
            at += 1
            continue
        found = _ESCAPED.match(rest, at)
        point = int(found[1], 16) if found and found[1] else 0x5F
        if found is None or point > 0x10FFFF or 0xD800 <= point < 0xE000:
            return text
        parts.append(chr(point))
        at = found.end()
    return "".join(parts)
