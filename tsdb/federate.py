"""`/federate`: the newest sample of each selected series, for another Prometheus to scrape.

In: `match[]` and what the scraper accepts. Out: the text format 0.0.4 or delimited protobuf; series that ended or
have had no sample for five minutes are left out, and so are native histograms where the format has no form for them
(text: all of them; protobuf: those with bounds of their own).
Source: https://prometheus.io/docs/prometheus/latest/federation/ and client_model's metrics.proto.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

import numpy as np
from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse
from starlette.requests import Request

from obs.errors import ObsError
from obs.model.labels import METRIC_NAME, Labels
from obs.model.ports import SeriesSet
from obs.model.stale import STALE_BITS
from obs.tsdb.params import Params, read_params
from obs.tsdb.promql.formatting import go_plain
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.promql.limits import LOOKBACK_MS
from obs.tsdb.remote_read.histograms import spans
from obs.tsdb.remote_read.wire import (
    bytes_field,
    double_field,
    labels_fields,
    number_field,
    varint,
    zigzag,
)
from obs.tsdb.store import MetricStore

TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

UNTYPED, HISTOGRAM = 3, 4
"""MetricType."""

INSTANCE = "instance"
"""A series without this label gets it empty, so that the scraper (honor_labels) does not put its target's there."""

PLAIN_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*", re.ASCII)


class Newest(NamedTuple):
    """One series as it is now; `labels` without the name."""

    name: str
    labels: Labels
    t_ms: int
    value: float
    hist: Histogram | None


def router(store: MetricStore, external_labels: Callable[[], Mapping[str, str]] = dict) -> APIRouter:
    """The one route; every series has the external labels, unless it has them already."""
    routes = APIRouter()

    @routes.api_route("/federate", methods=["GET", "POST"], response_class=Response)
    def federate(request: Request, given: Params = Depends(read_params)) -> Response:
        """The newest samples."""
        try:
            added = {INSTANCE: "", **external_labels()}
            found = newest(store, given, store.clock.now_ns() // 1_000_000, added)
        except ObsError as e:
            return PlainTextResponse(f"{e}\n", getattr(e, "http_status", 500))
        accepted = request.headers.get("accept", "")
        if wants_protobuf(accepted):
            return Response(b"".join(families(found)), headers={"Content-Type": PROTOBUF})
        utf8 = "escaping=allow-utf-8" in accepted.replace(" ", "")
        text = "".join(lines(found, plain if not utf8 else None))
        escaping = "; escaping=allow-utf-8" if utf8 else ""
        return Response(text, headers={"Content-Type": TEXT + escaping})

    return routes


def newest(store: MetricStore, given: Params, now_ms: int, added: Mapping[str, str]) -> list[Newest]:
    """The newest sample of each series that any `match[]` selects, by name. Raises: QueryError, QueryLimit."""
    found: dict[Labels, Newest] = {}
    for matchers in given.selectors(blamed=False):
        for part in store.slices(matchers, now_ms - LOOKBACK_MS, now_ms):
            found.update(_newest(part, added))
    return sorted(found.values(), key=lambda series: series.name)


def _newest(part: SeriesSet, added: Mapping[str, str]) -> Iterator[tuple[Labels, Newest]]:
    last = part.offsets[1:] - 1
    ended = (part.values.view(np.int64)[last] == STALE_BITS).tolist()
    hists = [None] * len(last) if part.hists is None else part.hists[last].tolist()
    rows = zip(part.labels, part.t_ms[last].tolist(), part.values[last].tolist(), hists, ended, strict=True)
    for labels, t_ms, value, hist, has_ended in rows:
        own = dict(labels)
        name = own.pop(METRIC_NAME, "")
        if name and not has_ended and not (hist is not None and hist.is_custom):
            yield labels, Newest(name, tuple({**own, **_missing(own, added)}.items()), t_ms, value, hist)


def _missing(own: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    return {name: added[name] for name in sorted(added) if name not in own}


def wants_protobuf(accepted: str) -> bool:
    """Whether the scraper reads protobuf and likes it no less than text."""
    weights = {False: 0.0, True: 0.0}
    for offer in accepted.split(","):
        media, _, rest = offer.partition(";")
        parameters = dict(p.strip().partition("=")[::2] for p in rest.split(";"))
        is_protobuf = (
            media.strip() == "application/vnd.google.protobuf"
            and parameters.get("proto") == "io.prometheus.client.MetricFamily"
            and parameters.get("encoding", "delimited") == "delimited"
        )
        if is_protobuf or media.strip() in ("text/plain", "text/*", "*/*"):
            weights[is_protobuf] = max(weights[is_protobuf], _weight(parameters.get("q", "1")))
    return weights[True] > 0 and weights[True] >= weights[False]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


# --- text ---


def plain(name: str) -> str:
    """A name with underscores where the format has no room for its characters."""
    if PLAIN_NAME.fullmatch(name):
        return name
    text = re.sub(r"[^A-Za-z0-9_:]", "_", name, flags=re.ASCII)
    return text if not text[0].isdigit() else f"_{text}"


def lines(found: Iterable[Newest], escape: Callable[[str], str] | None) -> Iterator[str]:
    """The text format; without `escape`, names that need it are quoted."""
    for name, series in groupby((s for s in found if s.hist is None), key=lambda s: s.name):
        family = escape(name) if escape else name
        legacy = PLAIN_NAME.fullmatch(family) is not None
        yield f"# TYPE {family if legacy else quoted(family)} untyped\n"
        for one in series:
            pairs = [] if legacy else [quoted(family)]
            pairs += (f"{_label(name, escape)}={quoted(value)}" for name, value in one.labels)
            braces = f"{{{','.join(pairs)}}}" if pairs else ""
            yield f"{family if legacy else ''}{braces} {number(one.value)} {one.t_ms}\n"


def _label(name: str, escape: Callable[[str], str] | None) -> str:
    if escape:
        return escape(name).replace(":", "_")
    return name if PLAIN_NAME.fullmatch(name) and ":" not in name else quoted(name)


def number(value: float) -> str:
    """A value as Go writes it in this format: with an exponent below 1e-4 and from 1e6.

    Source: https://pkg.go.dev/strconv#FormatFloat, "g" with precision -1.
    """
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return go_plain(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) + int(exponent) - 1
    if -4 <= power < 6:
        return go_plain(value)
    first, *rest = map(str, digits)
    fraction = f".{''.join(rest)}" if rest else ""
    return f"{'-' if sign else ''}{first}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"


def quoted(value: str) -> str:
    """A label value."""
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'"{escaped}"'


# --- protobuf ---


def families(found: Iterable[Newest]) -> Iterator[bytes]:
    """MetricFamily, each after its size: 1 name, 3 type, 4 metrics. A name with both kinds is two families."""
    for (name, is_hist), series in groupby(found, key=lambda s: (s.name, s.hist is not None)):
        metrics = b"".join(bytes_field(4, _metric(one)) for one in series)
        kind = HISTOGRAM if is_hist else UNTYPED
        data = bytes_field(1, name.encode()) + number_field(3, kind) + metrics
        yield varint(len(data)) + data


def _metric(one: Newest) -> bytes:
    """Metric: 1 labels, 5 untyped (1 value), 6 timestamp, 7 histogram."""
    if one.hist is None:
        value = bytes_field(5, double_field(1, one.value))
        return labels_fields(one.labels) + value + number_field(6, one.t_ms)
    return labels_fields(one.labels) + number_field(6, one.t_ms) + bytes_field(7, _histogram(one.hist))


def _histogram(h: Histogram) -> bytes:
    """Histogram: 2 sum, 4 count, 5 schema, 6 zero threshold, 8 zero count, 9 and 11 negative spans and counts, 12
    and 14 positive ones; all as floats. A span: 1 offset, 2 length.
    """
    negative, negative_counts = spans(h.negative)
    positive, positive_counts = spans(h.positive)
    return b"".join((
        double_field(2, h.sum), double_field(4, h.count), number_field(5, zigzag(h.schema)),
        double_field(6, h.zero_threshold), double_field(8, h.zero_count),
        *(bytes_field(9, _span(s)) for s in negative), *(double_field(11, n) for n in negative_counts),
        *(bytes_field(12, _span(s)) for s in positive), *(double_field(14, n) for n in positive_counts),
    ))  # fmt: skip


def _span(span: tuple[int, int]) -> bytes:
    return number_field(1, zigzag(span[0])) + number_field(2, span[1])
