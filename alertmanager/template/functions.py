"""The functions of Prometheus's templates, by name, and Go's own.

Source: prometheus.io/docs/prometheus/latest/configuration/template_reference; pkg.go.dev/text/template, "Functions".
"""

from __future__ import annotations

import html
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from obs.alertmanager.template.gotext import Sample, printf, text
from obs.alertmanager.template.humanize import (
    humanize,
    humanize1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
    parse_duration,
)  # fmt: skip

Function = Callable[..., Any]
_HOST_PORT = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[^:]*)")


def _first(samples: Sequence[Sample]) -> Sample:
    if not samples:
        raise ValueError("first() called on vector with no elements")
    return samples[0]


def _host_port(value: str) -> tuple[str, str]:
    match = _HOST_PORT.fullmatch(value)
    return (match["six"] or match["host"] or "", match["port"]) if match else (value, "")


def _strip_domain(value: str) -> str:
    host, port = _host_port(value)
    try:
        ipaddress.ip_address(host)
        return value
    except ValueError:
        return host.split(".")[0] + (f":{port}" if port else "")


def _replace_all(pattern: str, to: str, value: str) -> str:
    """Go's replacement: $1, ${1}, $name; a group that is not there is empty."""

    def replaced(match: re.Match[str]) -> str:
        def group(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if reference[0] == "$$":
                return "$"
            found = match.groupdict().get(name) if not name.isdigit() else (match[0], *match.groups())[int(name)]
            return found or ""

        return re.sub(r"\$\$|\$(\w+)|\$\{(\w+)\}", group, to)

    return re.sub(pattern, replaced, value)


def _same_kind(a: Any, b: Any) -> None:
    if type(a) is not type(b) or not isinstance(a, bool | int | float | str):
        raise ValueError("incompatible types for comparison")


def _eq(a: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    for other in others:
        _same_kind(a, other)
    return a in others


def _less(a: Any, b: Any) -> bool:
    _same_kind(a, b)
    return bool(a < b)


def _index(of: Any, *keys: Any) -> Any:
    for key in keys:
        of = of.get(key, "") if isinstance(of, Mapping) else of[key]
    return ord(of) if isinstance(of, str) and keys and isinstance(keys[-1], int) else of


def _print(*values: Any) -> str:
    """Spaces stand between operands of which neither is a text."""
    out = ""
    for i, value in enumerate(values):
        between = i and not isinstance(value, str) and not isinstance(values[i - 1], str)
        out += (" " if between else "") + text(value)
    return out


def _link(query: str) -> str:
    return "/ui/metrics?q=" + quote(query, safe="")


def _js(value: str) -> str:
    marks = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    return "".join(marks.get(c, c) for c in value)


FUNCTIONS: Mapping[str, Function] = {
    "first": _first,
    "label": lambda name, sample: sample.labels.get(name, ""),
    "value": lambda sample: sample.value,
    "strvalue": lambda sample: sample.labels.get("__value__", ""),
    "sortByLabel": lambda name, samples: sorted(samples, key=lambda s: s.labels.get(name, "")),
    "args": lambda *values: {f"arg{i}": v for i, v in enumerate(values)},
    "humanize": humanize,
    "humanize1024": humanize1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
    "humanizeTimestamp": humanize_timestamp,
    "toTime": humanize_timestamp,
    "parseDuration": parse_duration,
    "title": lambda s: re.sub(r"(?<!\w)\w", lambda m: m[0].upper(), s),
    "toUpper": str.upper,
    "toLower": str.lower,
    "stripPort": lambda s: _host_port(s)[0],
    "stripDomain": _strip_domain,
    "match": lambda pattern, s: re.search(pattern, s) is not None,
    "reReplaceAll": _replace_all,
    "safeHtml": lambda s: s,
    "tableLink": _link,
    "graphLink": _link,
    "urlQueryEscape": quote_plus,
    "printf": printf,
    "print": _print,
    "println": lambda *values: " ".join(map(text, values)) + "\n",
    "html": lambda *values: html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "urlquery": lambda *values: quote_plus(_print(*values)),
    "js": lambda *values: _js(_print(*values)),
    "eq": _eq,
    "ne": lambda a, b: not _eq(a, b),
    "lt": _less,
    "le": lambda a, b: _less(a, b) or a == b,
    "gt": lambda a, b: not _less(a, b) and a != b,
    "ge": lambda a, b: not _less(a, b),
    "len": len,
    "index": _index,
    "slice": lambda of, *ends: of[slice(*(ends if len(ends) > 1 else (*ends, None)))],
}
"""Those that need nothing but their arguments."""

OF_THE_PLACE = ("query", "externalURL", "pathPrefix")
"""Those that ask the server, made where a template is expanded."""

OF_THE_WALK = ("and", "or", "not")
"""Those that the walk does itself: `and` and `or` stop at the first argument that decides."""

NAMES = frozenset((*FUNCTIONS, *OF_THE_PLACE, *OF_THE_WALK))
