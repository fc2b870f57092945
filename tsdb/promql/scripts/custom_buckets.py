"""`load_with_nhcb`: classic histogram series once more as native histograms with custom buckets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from obs.model.labels import METRIC_NAME, Labels, make_labels
from obs.tsdb.promql.histogram import CUSTOM_SCHEMA, Histogram
from obs.tsdb.promql.values import metric_name

Sample = tuple[Labels, int, object]


def convert(samples: Iterable[Sample]) -> Iterator[Sample]:
    """The native histogram samples of the classic ones among `samples`."""
    parts: dict[tuple[Labels, int], dict[str | float, float]] = {}
    for labels, t_ms, value in samples:
        part = _part(labels)
        if part is not None and isinstance(value, float):
            target, field = part
            parts.setdefault((target, t_ms), {})[field] = value
    for (labels, t_ms), fields in parts.items():
        yield labels, t_ms, _histogram(fields)


def _part(labels: Labels) -> tuple[Labels, str | float] | None:
    """Which histogram a series is part of, and as what: a bucket's bound, `count` or `sum`."""
    name, own = metric_name(labels), dict(labels)
    for suffix in ("_bucket", "_count", "_sum"):
        if name.endswith(suffix):
            le = own.pop("le", "")
            own[METRIC_NAME] = name.removesuffix(suffix)
            field: str | float = float(le) if suffix == "_bucket" else suffix[1:]
            return make_labels(own), field
    return None


def _histogram(fields: dict[str | float, float]) -> Histogram:
    bounds = sorted(k for k in fields if isinstance(k, float))
    finite = tuple(b for b in bounds if not math.isinf(b))
    counts, before = {}, 0.0
    for i, b in enumerate(bounds):
        counts[i] = fields[b] - before
        before = fields[b]
    total = fields.get("count", before)
    if not bounds or not math.isinf(bounds[-1]):
        counts[len(finite)] = total - before
    return Histogram(
        CUSTOM_SCHEMA, count=total, sum=fields.get("sum", 0.0), positive=counts, custom_values=finite
    ).compact()
