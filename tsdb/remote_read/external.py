"""External labels on remote read: series have them outside of this store only. Pure.

Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/, `external_labels`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from obs.model.labels import Labels, Matcher, MatchOp, make_labels
from obs.model.ports import SeriesSet


@dataclass(frozen=True, slots=True)
class External:
    """The labels; none, mostly."""

    labels: Mapping[str, str]

    def stored(self, matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
        """A reader's matchers as the store knows series: what equals an external label is absent there."""
        return tuple(replace(m, value="", _regex=[]) if self._is_one(m) else m for m in matchers)

    def _is_one(self, matcher: Matcher) -> bool:
        return matcher.op is MatchOp.EQ and self.labels.get(matcher.name) == matcher.value

    def added(self, found: Iterable[SeriesSet]) -> Iterator[SeriesSet]:
        """Series with the labels; their own stay."""
        for part in found:
            yield replace(part, labels=[self._with(labels) for labels in part.labels]) if self.labels else part

    def _with(self, labels: Labels) -> Labels:
        return make_labels({**self.labels, **dict(labels)})
