"""The functions of Prometheus's templates, by name, and Go's own.

Source: prometheus.io/docs/prometheus/latest/configuration/template_reference; pkg.go.dev/text/template, "Functions".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, quote_plus

from obs.alertmanager.template.humanize import (
    humanize,
    humanize1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
    parse_duration,
)  # fmt: skip
from obs.gotemplate.functions import GO_FUNCTIONS
from obs.gotemplate.gotext import Sample
from obs.gotemplate.walk import OF_THE_WALK, Function

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


def _link(query: str) -> str:
    return "/ui/metrics?q=" + quote(query, safe="")


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
    **GO_FUNCTIONS,
}
"""Those that need nothing but their arguments."""

OF_THE_PLACE = ("query", "externalURL", "pathPrefix")
"""Those that ask the server, made where a template is expanded."""

NAMES = frozenset((*FUNCTIONS, *OF_THE_PLACE, *OF_THE_WALK))

GIVEN = ("$", "$labels", "$value", "$externalLabels", "$externalURL")
"""Variables that every template has. Source: prometheus.io/docs/prometheus/latest/configuration/template_reference."""
