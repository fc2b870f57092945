"""When what a target's series count began, as its pages say it: told where it is news, and once a day.

Protobuf says it in the row; OpenMetrics 1.0 in a sample `…_created` beside those that it is of, which is kept, too.
Source: https://prometheus.io/docs/specs/om/open_metrics_spec/, "Counter", "Histogram", "Summary".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from obs.exposition import Page, Row, series_labels
from obs.exposition.text import CREATED, Family
from obs.model.labels import METRIC_NAME, Labels, make_labels
from obs.model.schema import DAY_MS

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum", "")}
"""What the samples of a family that has a start add to its name, by its type."""

PARTS = {"histogram": "le", "summary": "quantile"}
"""The label that tells the samples of one metric of a family apart, by its type."""

MAX_TIME_S = 2**63 / 1000

Key = tuple[str, Labels]
"""A metric of a family: the family's name, and the labels that all its samples have."""


class Starts:
    """What was told of one target's series. Owned by its task."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[int, int]] = {}  # by series: the start, and the time from which on it was told
        self._keys: dict[str, tuple[Key | None, bool]] = {}  # by a text: whose it is, and whether it says the start

    def news(self, rows: Sequence[tuple[int, Row]], times_ms: Sequence[int], page: Page) -> list[tuple[int, int, int]]:
        """What is to be told of a page's series and the times of their samples: (series, time, start; 0: unknown)."""
        if not (page.has_starts or page.has_created or self._told):
            return []
        created = self._created(page) if page.has_created else {}
        found = []
        for (series_id, row), t_ms in zip(rows, times_ms, strict=True):
            start_ms = row.start_ms
            if created:
                key, says = self._keys[row.series]
                start_ms = 0 if key is None or says else created.get(key, 0)
            told, since = self._told.get(series_id, (0, 0))
            if start_ms != told or (start_ms and (t_ms < since or t_ms // DAY_MS != since // DAY_MS)):
                self._told[series_id] = start_ms, t_ms
                found.append((series_id, t_ms, start_ms))
        return found

    def forget(self) -> None:
        """What was told was not stored: tell it again."""
        self._told.clear()

    def keep(self, series_ids: set[int], texts: set[str]) -> None:
        """Let go of all but these."""
        self._told = {i: told for i, told in self._told.items() if i in series_ids}
        self._keys = {text: key for text, key in self._keys.items() if text in texts}

    def _created(self, page: Page) -> Mapping[Key, int]:
        """The starts that samples of the page say, in milliseconds."""
        found = {}
        for row in page.rows:
            known = self._keys.get(row.series)
            if known is None:
                known = self._keys[row.series] = _key(row.series, page.families)
            key, says = known
            if says and key is not None and 0 < row.value < MAX_TIME_S:
                found[key] = math.floor(row.value * 1000)
        return found


def _key(text: str, families: Mapping[str, Family]) -> tuple[Key | None, bool]:
    """Which metric a sample is of, where its family may say its start; and whether the sample says it."""
    labels = dict(series_labels(text))
    name = labels.pop(METRIC_NAME, "")
    family = families.get(name.removesuffix(CREATED))
    if name.endswith(CREATED) and name not in families and family is not None and family.kind in SUFFIXES:
        return (name.removesuffix(CREATED), make_labels(labels)), True
    for kind, suffixes in SUFFIXES.items():
        for suffix in suffixes:
            named = name.removesuffix(suffix)
            if name.endswith(suffix) and named in families and families[named].kind == kind:
                labels.pop(PARTS.get(kind, ""), None)
                return (named, make_labels(labels)), False
    return None, False
