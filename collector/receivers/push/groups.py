"""Groups of pushed metrics: each is kept until it is deleted, and outlives a restart.

Source: https://github.com/prometheus/pushgateway#api
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obs.exposition import Page, Row, series_labels
from obs.exposition.text import Exemplar, Family, Native, series_text
from obs.model.labels import METRIC_NAME, Labels, make_labels

Columns = tuple[Any, ...]
"""What `HISTOGRAMS` has of a native histogram after series and time."""

SUFFIXES = ("_bucket", "_sum", "_count", "_total", "_created")
"""What the names of a family's series end with."""

PUSHED, FAILED = "push_time_seconds", "push_failure_time_seconds"


@dataclass(slots=True)
class Group:
    """What was pushed under one set of labels: series texts and their values, by family.

    `natives`: of the series texts of native histograms, whose values are counts, what else they hold. `examples`: the
    exemplars of series texts until they are stored; they are of the push, not of each time its values are written.
    """

    labels: Labels
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    natives: dict[str, Columns] = field(default_factory=dict)
    examples: dict[str, tuple[Exemplar, ...]] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    pushed_s: float = 0.0
    failed_s: float = 0.0

    def take(self, page: Page, replace: bool, now_s: float) -> None:
        """Keep a page: in the place of everything, or of the families it names. Raises: ExpositionError."""
        found: dict[str, dict[str, float]] = {}
        natives: dict[str, Columns] = {}
        examples: dict[str, tuple[Exemplar, ...]] = {}
        for row in page.rows:
            labels = {**dict(series_labels(row.series)), **dict(self.labels)}
            family = family_of(labels[METRIC_NAME], page.families)
            text = series_text(dict(make_labels(labels)))
            found.setdefault(family, {})[text] = row.value
            if row.native is not None:
                natives[text] = row.native.columns
            given = row.native.exemplars if row.native is not None else (row.exemplar,)
            if some := tuple(e for e in given if e is not None):
                examples[text] = some
        self.examples = examples
        kept = {} if replace else {f: texts for f, texts in self.values.items() if f not in found}
        self.natives = {t: c for t, c in self.natives.items() if any(t in texts for texts in kept.values())} | natives
        self.values = found if replace else {**self.values, **found}
        families = page.families if replace else {**self.families, **page.families}
        self.families = {name: family for name, family in families.items() if name in self.values}
        self.pushed_s = now_s

    def page(self) -> Page:
        """All of it, and when it was pushed."""
        rows, kinds = list[Row](), list[tuple[int, str]]()
        for family, values in self.values.items():
            kinds.append((len(rows), self.families[family].kind if family in self.families else ""))
            rows += [self._row(text, value) for text, value in values.items()]
        kinds.append((len(rows), "gauge"))
        for name, value in ((PUSHED, self.pushed_s), (FAILED, self.failed_s)):
            rows.append(Row(series_text({METRIC_NAME: name, **dict(self.labels)}), value, None, None))
        told = {
            PUSHED: Family("gauge", "", "Last Unix time when changing this group succeeded."),
            FAILED: Family("gauge", "", "Last Unix time when changing this group failed."),
        }
        return Page(rows, {**self.families, **told}, kinds)

    def _row(self, text: str, value: float) -> Row:
        examples = self.examples.get(text, ())
        if text in self.natives:
            return Row(text, value, None, None, Native(self.natives[text], examples))
        return Row(text, value, None, examples[0] if examples else None)


def family_of(name: str, families: Mapping[str, Family]) -> str:
    """The family that a metric belongs to."""
    if name not in families:
        for suffix in SUFFIXES:
            if name.endswith(suffix) and name.removesuffix(suffix) in families:
                return name.removesuffix(suffix)
    return name


class GroupFile:
    """All groups in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[Labels, Group]:
        """The groups; none where there is no file yet."""
        if not self._path.exists():
            return {}
        groups = [_group(each) for each in json.loads(self._path.read_text(encoding="utf-8"))]
        return {group.labels: group for group in groups}

    def write(self, groups: Mapping[Labels, Group]) -> None:
        """Replace the file. Raises: OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        spare = self._path.with_suffix(".new")
        with spare.open("w", encoding="utf-8") as file:
            json.dump([_plain(group) for group in groups.values()], file)
            file.flush()
            os.fsync(file.fileno())
        spare.rename(self._path)


def _plain(group: Group) -> dict[str, Any]:
    families = {name: [f.kind, f.unit, f.help] for name, f in group.families.items()}
    values = {name: {text: repr(v) for text, v in values.items()} for name, values in group.values.items()}
    times = {"pushed_s": group.pushed_s, "failed_s": group.failed_s}
    return {"labels": dict(group.labels), "values": values, "natives": group.natives, "families": families, **times}


def _group(plain: Mapping[str, Any]) -> Group:
    values = {name: {t: float(v) for t, v in texts.items()} for name, texts in plain["values"].items()}
    families = {name: Family(*said) for name, said in plain["families"].items()}
    natives = {text: tuple(columns) for text, columns in plain.get("natives", {}).items()}
    return Group(make_labels(plain["labels"]), values, natives, {}, families, plain["pushed_s"], plain["failed_s"])
