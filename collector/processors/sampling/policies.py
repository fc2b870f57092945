"""The policies of tail sampling: each says which of the traces it is asked about it keeps, and for how many they stand.

Shares and rates both keep the traces of the lowest keys, so that what two of them keep lies one within the other: that
which several policies keep stands for as many as the surest says, what passes one after the other for the least sure.
Source: opentelemetry-collector-contrib, processor/tailsamplingprocessor, README.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from obs.collector.processors.derived.state import Floats, Ints
from obs.collector.processors.sampling.due import Due, Mask
from obs.collector.processors.sampling.span_tests import SpanTest


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kept`: bool[traces]. `weight`: float64[traces], how many traces like it one that is kept stands for."""

    kept: Mask
    weight: Floats

    def only(self, mask: Mask, weight: float = 1.0) -> Verdict:
        """Those of it that are in `mask`, of which each stands for `weight` of all."""
        return Verdict(self.kept & mask, np.maximum(self.weight, weight))


def of_all(mask: Mask) -> Verdict:
    """These traces, each for itself: what the first policy is asked about."""
    return Verdict(mask, np.ones(len(mask)))


class Policy(Protocol):
    """One way to decide."""

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """Which of `among` it keeps; others cost it nothing."""


@dataclass(frozen=True, slots=True)
class Always:
    """Every trace."""

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """Keep all."""
        return among


@dataclass(frozen=True, slots=True)
class Latency:
    """Traces that last at least so long, and at most so long where that is set."""

    at_least_ms: float
    at_most_ms: float = np.inf

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """From the first start to the last end."""
        ms = due.durations_ns() / 1e6
        return among.only((ms >= self.at_least_ms) & (ms <= self.at_most_ms))


@dataclass(frozen=True, slots=True)
class AnySpan:
    """Traces with a span that satisfies a test; inverted: those without one."""

    test: SpanTest
    invert: bool = False

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """Span by span."""
        found = due.any(self.test)
        return among.only(~found if self.invert else found)


@dataclass(frozen=True, slots=True)
class SpanCount:
    """Traces of so many spans."""

    at_least: int
    at_most: int

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """As they are now."""
        return among.only((due.spans >= self.at_least) & (due.spans <= self.at_most))


@dataclass(frozen=True, slots=True)
class Probabilistic:
    """A share of traces, chosen by their ids: the same ones whoever decides, and however often."""

    share: float

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """By a number that is as good as random, and the trace's own."""
        return among.only(due.keys / 2.0**64 < self.share, 1 / self.share if self.share else 1.0)


@dataclass(slots=True)
class Budget:
    """Spans that may pass in a second; what is not used is kept for a second at most."""

    per_s: float
    _left: float = field(default=0.0, init=False)
    _at_s: float = field(default=-np.inf, init=False)

    def take(self, spans: Ints, wanted: Mask, now_s: float) -> Mask:
        """Which of the wanted traces pass, in their order: they come in that of their keys, which is a fair one."""
        self._left = min(self._left + self.per_s * max(min(now_s - self._at_s, 1.0), 0.0), self.per_s)
        self._at_s = now_s
        passed = np.zeros(len(spans), np.bool_)
        at = np.flatnonzero(wanted & (spans <= self.per_s))  # a longer one would never pass, and hold up the others
        passed[at] = np.cumsum(spans[at]) <= self._left
        self._left -= float(spans[passed].sum())
        return passed


def _limited(wanted: Verdict, passed: Mask) -> Verdict:
    """Those that passed stand for all that wanted to."""
    ratio = wanted.kept.sum() / max(passed.sum(), 1)
    return Verdict(passed, wanted.weight * max(ratio, 1.0))


@dataclass(frozen=True, slots=True)
class RateLimiting:
    """As many traces as keep within so many spans a second."""

    budget: Budget

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """In the order of keys."""
        return _limited(among, self.budget.take(due.spans, among.kept, now_s))


@dataclass(frozen=True, slots=True)
class And:
    """Traces that every policy keeps: each is asked about those that the ones before it kept."""

    policies: Sequence[Policy]

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """One after the other."""
        for policy in self.policies:
            among = policy(due, now_s, among)
        return among


@dataclass(frozen=True, slots=True)
class Composite:
    """Policies in order, each with its part of a rate: the first that wants a trace decides, and all share a total."""

    policies: Sequence[tuple[Policy, Budget]]
    total: Budget

    def __call__(self, due: Due, now_s: float, among: Verdict) -> Verdict:
        """In the order of policies, then of keys."""
        kept, weight, free = np.zeros(len(due), np.bool_), among.weight, among.kept
        for policy, budget in self.policies:
            wanted = policy(due, now_s, Verdict(free, among.weight))
            passed = _limited(wanted, budget.take(due.spans, wanted.kept, now_s))
            weight = np.where(wanted.kept, passed.weight, weight)
            kept = kept | passed.kept
            free = free & ~wanted.kept
        return _limited(Verdict(kept, weight), self.total.take(due.spans, kept, now_s))
