"""One target's pages as batches: what each line's series became is kept, so that a page costs a look-up a line.

A series that is not on the next page, and all of them where a page cannot be had, end with a stale marker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from obs.collector.receivers.scrape.config import Job
from obs.collector.receivers.scrape.relabel import relabel
from obs.collector.receivers.scrape.starts import Starts
from obs.collector.receivers.scrape.targets import Target
from obs.errors import UserError
from obs.exposition import Page, Row, series_labels
from obs.exposition.bounds import normal_text, numeric_label
from obs.exposition.text import ExpositionError, Family
from obs.model.batch import Decoded
from obs.model.labels import METRIC_NAME, Labels, labels_id, make_labels, with_metadata
from obs.model.schema import SAMPLES
from obs.model.stale import STALE
from obs.otlp import SeriesCache
from obs.otlp.draft import Draft

FORGET_AFTER = 4
"""A text that was on none of so many pages is forgotten, once there are more of these than of others."""

_DROPPED = 0

DUPLICATE = "duplicate_sample"
"""Why a row is left out whose series, and time where it has one, an earlier row of its page has."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a page came to, up to where it could be read."""

    scraped: int = 0  # rows of the page
    kept: int = 0  # after relabeling
    added: int = 0  # series that were not on the last page that was taken


NOTHING = Told()


class PageRefused(UserError):
    """A page of which nothing is taken (it is over a limit of its job), and what it came to all the same."""

    def __init__(self, said: str, told: Told) -> None:
        super().__init__(said)
        self.told = told


Rows = list[tuple[int, Row]]


class TargetSeries:
    """What is known of one target's series. Owned by the target's task, and by one thread at a time."""

    def __init__(
        self, target: Target, reports: Sequence[str] | None = None, typed: bool = False,
        before: TargetSeries | None = None,
    ) -> None:  # fmt: skip
        """`typed`: whether series have their type and unit as labels; `before`: what it was before its job changed."""
        self._target, self._typed = target, typed
        self._job: Job = target.job
        self._rules = [rule.rule() for rule in target.job.metric_relabel_configs]
        self._own = dict(target.labels)
        self._ids: dict[str, int] = {}  # by a series' text; 0: relabeling drops it
        self._labels: dict[int, Labels] = {}
        self._live: dict[int, None] = {}  # series of the last page without times of their own
        self._seen: set[int] = set()  # series of the last page that was taken
        if before is not None:
            self._live, self._seen = before._live, before._seen
        self._kept_by = -1  # the cache's generation in which the store was told all labels
        self._untold: list[int] = []
        self._starts = Starts()
        self._reports = {
            name: make_labels({**self._own, METRIC_NAME: name}) for name in (REPORTS if reports is None else reports)
        }
        self._report_ids = {name: labels_id(labels) for name, labels in self._reports.items()}

    def page(self, page: Page, at_ms: int, took_s: float) -> tuple[Callable[[SeriesCache], Decoded], Told]:
        """The batch of a page. Raises: PageRefused; then `failed` is to be told."""
        ids = self._resolve(page)
        told = self._told(ids)
        rows = self._first_of_each([(i, row) for i, row in zip(ids, page.rows, strict=True) if i != _DROPPED])
        self._check_samples(rows, told)
        timed = self._job.honor_timestamps
        tracked = self._job.track_timestamps_staleness
        live = dict.fromkeys(i for i, row in rows if tracked or not timed or row.t_ms is None)
        gone = [i for i in self._live if i not in live]
        figures = (1.0, took_s, float(told.scraped), float(told.kept), float(told.added))[: len(self._reports)]
        times = [at_ms if row.t_ms is None or not timed else row.t_ms for _, row in rows]
        samples = _samples(
            [*(i for i, _ in rows), *gone, *self._report_ids.values()],
            [*times, *([at_ms] * (len(gone) + len(self._reports)))],
            [*(row.value for _, row in rows), *([STALE] * len(gone)), *figures],
        )
        begun = self._starts.news(rows, times, page)
        self._live, self._seen = live, {i for i, _ in rows}
        self._forget(page.rows)
        return self._decoder(samples, rows, page, at_ms, told.kept - len(rows), begun), told

    def counted(self, page: Page) -> Told:
        """What a page comes to that is not to be taken."""
        try:
            return self._told(self._resolve(page))
        except PageRefused as e:
            return e.told

    def failed(self, at_ms: int, took_s: float, told: Told = NOTHING) -> Callable[[SeriesCache], Decoded]:
        """The batch of a scrape of which nothing is taken: all series end, `up` is 0."""
        gone, self._live = list(self._live), {}
        figures = (0.0, took_s, float(told.scraped), float(told.kept), float(told.added))[: len(self._reports)]
        samples = _samples(
            [*gone, *self._report_ids.values()],
            [at_ms] * (len(gone) + len(self._reports)),
            [*([STALE] * len(gone)), *figures],
        )
        return self._decoder(samples, (), Page(), at_ms)

    def ended(self, at_ms: int) -> Callable[[SeriesCache], Decoded]:
        """The batch that ends everything of a target that is no more, its reports too."""
        ids = [*self._live, *self._report_ids.values()]
        self._live = {}
        return self._decoder(_samples(ids, [at_ms] * len(ids), [STALE] * len(ids)), (), Page(), at_ms)

    def _decoder(
        self, samples: pa.RecordBatch, rows: Sequence[tuple[int, Row]], page: Page, at_ms: int, repeated: int = 0,
        begun: Sequence[tuple[int, int, int]] = (),
    ) -> Callable[[SeriesCache], Decoded]:  # fmt: skip
        def decode(cache: SeriesCache) -> Decoded:
            draft = Draft(cache)
            known = self._kept_by == cache.generation
            self._kept_by = cache.generation
            for series_id in self._untold if known else self._labels:
                draft.note(series_id, self._labels[series_id])
            for name, labels in self._reports.items():
                draft.note(self._report_ids[name], labels)
            for series_id, row in rows:
                examples = row.native.exemplars if row.native is not None else (row.exemplar,)
                for e in examples:
                    if e is not None:
                        draft.exemplar(series_id, at_ms if e.t_ms is None else e.t_ms, e.value, e.labels)
                if row.native is not None:
                    t_ms = at_ms if row.t_ms is None or not self._job.honor_timestamps else row.t_ms
                    draft.histogram(series_id, t_ms, row.native.columns)
            for told in begun:
                draft.start(*told)
            for name, family in page.families.items():
                draft.family((name, family.kind, family.unit, family.help))
            return draft.finish(samples, {DUPLICATE: repeated} if repeated else {})

        return decode

    def stored(self) -> None:
        """The store has taken what the last decoder made."""
        self._untold = []

    def refused(self) -> None:
        """It has not: all labels and starts go along next time."""
        self._kept_by = -1
        self._starts.forget()

    def _told(self, ids: Sequence[int]) -> Told:
        kept = len(ids) - ids.count(_DROPPED)
        return Told(len(ids), kept, len({i for i in ids if i not in self._seen and i != _DROPPED}))

    def _first_of_each(self, rows: Rows) -> Rows:
        """Without rows that say again what an earlier one said."""
        if len({i for i, _ in rows}) == len(rows):
            return rows
        timed = self._job.honor_timestamps
        first: dict[tuple[int, int | None], tuple[int, Row]] = {}
        for series_id, row in rows:
            first.setdefault((series_id, row.t_ms if timed else None), (series_id, row))
        return list(first.values())

    def _check_samples(self, rows: Rows, told: Told) -> None:
        limit = self._job.sample_limit
        if limit and len(rows) > limit:
            taken = {i for i, _ in rows[:limit]}
            said = f"{len(rows)} samples are over the sample_limit of {limit}"
            refused = PageRefused(said, replace(told, added=len(taken - self._seen)))
            self._seen |= taken
            raise refused

    def _resolve(self, page: Page) -> list[int]:
        known = self._ids
        try:
            return [known[row.series] for row in page.rows]
        except KeyError:
            return self._resolve_new(page)

    def _resolve_new(self, page: Page) -> list[int]:
        known, ids = self._ids, list[int]()
        for at, (text, *_) in enumerate(page.rows):
            if text not in known:
                try:
                    known[text] = self._series(text, numeric_label(page.kind(at)), page.families)
                except ExpositionError as e:
                    raise PageRefused(str(e), self._told(ids)) from None
                except PageRefused as e:  # the row was read, and not kept
                    told = self._told(ids)
                    raise PageRefused(str(e), replace(told, scraped=told.scraped + 1)) from None
            ids.append(known[text])
        return ids

    def _series(self, text: str, numeric: str, families: Mapping[str, Family]) -> int:
        """The id of a series; `numeric`: the label that holds a number. Raises: PageRefused, ExpositionError."""
        read = dict(series_labels(text))
        if numeric in read:
            read[numeric] = normal_text(read[numeric])
        if self._typed:
            family = family_of(read.get(METRIC_NAME, ""), families)
            read = with_metadata(read, family.kind, family.unit)
        labels = relabel(self._with_own(read), self._rules)
        if labels is None:
            return _DROPPED
        if not labels.get(METRIC_NAME):
            raise PageRefused(f"missing metric name (__name__ label): relabeling took it from {text!r}", NOTHING)
        self._check(labels)
        made = make_labels(labels)
        series_id = labels_id(made)
        if series_id not in self._labels:
            self._labels[series_id] = made
            self._untold.append(series_id)
        return series_id

    def _with_own(self, labels: dict[str, str]) -> dict[str, str]:
        """With the target's labels; where both have one, the page's is kept as `exported_…`, or wins if honoured."""
        for name, value in self._own.items():
            if name not in labels:
                labels[name] = value
            elif not self._job.honor_labels:
                exported = f"exported_{name}"
                while exported in labels:
                    exported = f"exported_{exported}"
                labels[exported], labels[name] = labels[name], value
        return labels

    def _check(self, labels: dict[str, str]) -> None:
        job = self._job
        if job.label_limit and len(labels) > job.label_limit:
            raise PageRefused(
                f"{len(labels)} labels of a series are over the label_limit of {job.label_limit}", NOTHING
            )
        for limit, name, texts in (
            (job.label_name_length_limit, "label_name_length_limit", labels.keys()),
            (job.label_value_length_limit, "label_value_length_limit", labels.values()),
        ):
            longest = max(map(len, texts), default=0)
            if limit and longest > limit:
                raise PageRefused(f"a text of {longest} characters is over the {name} of {limit}", NOTHING)

    def _forget(self, rows: Iterable[Row]) -> None:
        """Let go of texts that are on no page any more, before they outnumber the others."""
        here = {row.series for row in rows}
        if len(self._ids) <= FORGET_AFTER * len(here) + 1000:
            return
        self._ids = {text: i for text, i in self._ids.items() if text in here}
        kept = set(self._ids.values())
        self._labels = {i: labels for i, labels in self._labels.items() if i in kept}
        self._untold = [i for i in self._untold if i in kept]
        self._starts.keep(kept, here)


SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_created", "_info", "_gcount", "_gsum")
"""What the samples of a family add to its name."""


def family_of(metric: str, families: Mapping[str, Family]) -> Family:
    """The family of a metric on a page; one of unknown type where the page says nothing of it."""
    names = (metric, *(metric.removesuffix(suffix) for suffix in SUFFIXES if metric.endswith(suffix)))
    return next((families[name] for name in names if name in families), Family())


REPORTS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
"""What is reported of each scrape, in the order of its figures."""


def _samples(ids: Sequence[int], times_ms: Sequence[int], values: Sequence[float]) -> pa.RecordBatch:
    columns = (np.array(ids, np.uint64), np.array(times_ms, np.int64), np.array(values, np.float64))
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SAMPLES)
