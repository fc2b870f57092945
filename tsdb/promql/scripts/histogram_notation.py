"""Histograms in scripts: `{{schema:0 sum:1 count:2 buckets:[1 1]}}`, repeated (`x5`) or growing (`+{{…}}x5`).

Source: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from obs.tsdb.promql.histogram import CUSTOM_SCHEMA, Histogram
from obs.tsdb.promql.histogram_sums import add
from obs.tsdb.promql.scripts.notation import Unsupported, number

_WORD = re.compile(r"\{\{(?P<first>.*?)\}\}(?:(?P<sign>[+-])\{\{(?P<delta>.*?)\}\})?(?:x(?P<count>\d+))?")
_FIELD = re.compile(r"(\w+):(\[[^\]]*\]|\S+)")
_ALIASES = {
    "z_bucket": "zero_count",
    "z_bucket_w": "zero_threshold",
    "count": "count",
    "sum": "sum",
    "schema": "schema",
}


def expand_histograms(word: str) -> list[object | None]:
    """The histograms a word stands for."""
    match = _WORD.fullmatch(word)
    if match is None:
        raise Unsupported(f"cannot read histogram {word!r}")
    first = parse_histogram(match["first"])
    if match["count"] is None:
        return [first]
    delta = parse_histogram(match["delta"]) if match["delta"] is not None else None
    out: list[object | None] = [first]
    for _ in range(int(match["count"])):
        if delta is not None:
            first = add(first, delta, -1.0 if match["sign"] == "-" else 1.0).value
        out.append(first)
    return out


def parse_histogram(text: str) -> Histogram:
    """The text between the double braces."""
    values: dict[str, Any] = {}
    buckets: dict[str, list[float]] = {"buckets": [], "n_buckets": []}
    offsets = {"offset": 0, "n_offset": 0}
    for name, value in _FIELD.findall(text):
        if name in buckets:
            buckets[name] = _numbers(value)
        elif name in offsets:
            offsets[name] = int(value)
        elif name == "custom_values":
            values["custom_values"] = tuple(_numbers(value))
        elif name == "counter_reset_hint":
            values["hint"] = value
        elif name == "schema":
            values["schema"] = int(value)
        elif name in _ALIASES:
            values[_ALIASES[name]] = number(value)
        else:
            raise Unsupported(f"cannot read histogram field {name!r}")
    if "custom_values" in values:
        values.setdefault("schema", CUSTOM_SCHEMA)
    # Index 0 of the notation is the bucket that ends at 1: index 0 of the schema.
    positive = {offsets["offset"] + i: c for i, c in enumerate(buckets["buckets"])}
    negative = {offsets["n_offset"] + i: c for i, c in enumerate(buckets["n_buckets"])}
    return replace(Histogram(**values), positive=positive, negative=negative)


def _numbers(text: str) -> list[float]:
    return [number(word) for word in text.strip("[]").split()]
