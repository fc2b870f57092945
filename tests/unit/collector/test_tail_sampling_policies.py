"""Policies of tail sampling: which traces each keeps, what they then stand for, and faults of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from span_batches import SpanRow, spans_table

from obs.collector.processors.derived.columns import mixed, words
from obs.collector.processors.sampling.config import parse
from obs.collector.processors.sampling.due import Due
from obs.collector.processors.sampling.policies import Policy, Verdict, of_all
from obs.errors import ConfigError

MS = 10**6


def due(*batches: Sequence[SpanRow]) -> Due:
    tables = [spans_table(rows) for rows in batches]
    keys = np.concatenate([mixed(words(t.column("trace_id"), 2)) for t in tables])
    traces, group = np.unique(keys, return_inverse=True)
    return Due(tables, traces, group)


def asked(policy: Policy, traces: Due, now_s: float) -> Verdict:
    """What a policy says of all of these."""
    return policy(traces, now_s, of_all(np.ones(len(traces), np.bool_)))


def kept(policy: dict[str, Any], *batches: Sequence[SpanRow]) -> set[int]:
    """The traces, by number, that a policy keeps."""
    traces = due(*batches)
    (made,) = parse([{"name": "p", **policy}]).values()
    keys = {int(traces.keys[at]) for at in np.flatnonzero(asked(made, traces, 0.0).kept)}
    number = {int(mixed(words(spans_table([r]).column("trace_id"), 2))[0]): r.trace for rows in batches for r in rows}
    return {number[key] for key in keys}


FIRST = [
    SpanRow(1, 1, end=5 * MS, attributes={"http.route": "/cart", "n": 5, "vip": True}),
    SpanRow(2, 1, start=0, end=80 * MS, status=1, attributes={"n": 5.5}),
    SpanRow(3, 1, end=1 * MS, resource={"zone": "eu"}, attributes={"huge": 2**60 + 1}),
]
SECOND = [SpanRow(1, 2, start=200 * MS, end=300 * MS, status=2), SpanRow(4, 1, attributes={"http.route": "/health"})]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"type": "always_sample"}, {1, 2, 3, 4}),
        ({"type": "latency", "latency": {"threshold_ms": 80}}, {1, 2}),
        ({"type": "latency", "latency": {"threshold_ms": 80, "upper_threshold_ms": 100}}, {2}),
        ({"type": "status_code", "status_code": {"status_codes": ["ERROR"]}}, {1}),
        ({"type": "status_code", "status_code": {"status_codes": ["error", "OK"]}}, {1, 2}),
        ({"type": "string_attribute", "string_attribute": {"key": "http.route", "values": ["/cart", "/x"]}}, {1}),
        ({"type": "string_attribute", "string_attribute": {"key": "zone", "values": ["eu"]}}, {3}),
        ({"type": "string_attribute", "string_attribute": {"key": "absent", "values": ["eu"]}}, set()),
        ({"type": "string_attribute", "string_attribute": {
            "key": "http.route", "values": ["^/c", "alth$"], "enabled_regex_matching": True}}, {1, 4}),
        ({"type": "string_attribute", "string_attribute": {
            "key": "http.route", "values": ["/health"], "invert_match": True}}, {1, 2, 3}),
        ({"type": "numeric_attribute", "numeric_attribute": {"key": "n", "min_value": 5, "max_value": 5}}, {1}),
        ({"type": "numeric_attribute", "numeric_attribute": {"key": "n", "min_value": 5}}, {1, 2}),
        ({"type": "numeric_attribute", "numeric_attribute": {"key": "huge", "min_value": 2**59}}, {3}),
        ({"type": "boolean_attribute", "boolean_attribute": {"key": "vip", "value": True}}, {1}),
        ({"type": "boolean_attribute", "boolean_attribute": {"key": "vip", "value": False}}, set()),
        ({"type": "span_count", "span_count": {"min_spans": 2}}, {1}),
        ({"type": "probabilistic", "probabilistic": {"sampling_percentage": 0}}, set()),
        ({"type": "probabilistic", "probabilistic": {"sampling_percentage": 100}}, {1, 2, 3, 4}),
        ({"type": "and", "and": {"and_sub_policy": [
            {"name": "a", "type": "latency", "latency": {"threshold_ms": 50}},
            {"name": "b", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        ]}}, {1}),
        ({"type": "composite", "composite": {"max_total_spans_per_second": 100, "composite_sub_policy": [
            {"name": "a", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
            {"name": "b", "type": "string_attribute", "string_attribute": {"key": "zone", "values": ["eu"]}},
        ]}}, {1, 3}),
    ],
)  # fmt: skip
def test_what_a_policy_keeps(policy: dict[str, Any], expected: set[int]) -> None:
    assert kept(policy, FIRST, SECOND) == expected


def many(n: int, first: int = 1, **like: Any) -> list[SpanRow]:
    return [SpanRow(trace, 1, **like) for trace in range(first, first + n)]


def test_a_share_is_near_what_was_asked_and_the_same_for_whoever_asks() -> None:
    policy = {"type": "probabilistic", "probabilistic": {"sampling_percentage": 20}}
    (made,) = parse([{"name": "p", **policy}]).values()
    verdict = asked(made, due(many(5000)), 0.0)
    assert 900 < verdict.kept.sum() < 1100
    assert set(verdict.weight) == {5.0}
    assert kept(policy, many(50)) == kept(policy, many(200)) & set(range(1, 51))


def test_a_rate_is_held_over_time_and_what_passes_stands_for_all() -> None:
    (made,) = parse([{"name": "p", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 10}}]).values()
    first = asked(made, due(many(100)), 100.0)
    assert first.kept.sum() == 10
    assert set(first.weight) == {10.0}
    assert asked(made, due(many(100)), 100.0).kept.sum() == 0
    assert asked(made, due(many(100)), 100.5).kept.sum() == 5
    assert asked(made, due(many(100)), 1000.0).kept.sum() == 10
    assert set(asked(made, due(many(3)), 2000.0).weight) == {1.0}


def test_a_trace_longer_than_the_rate_does_not_hold_up_the_others() -> None:
    (made,) = parse([{"name": "p", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 10}}]).values()
    long = [[SpanRow(trace, i, name="x") for i in range(1, 12)] for trace in range(900, 905)]
    assert asked(made, due(many(20), *long), 5.0).kept.sum() == 10


def share(percent: float) -> dict[str, Any]:
    return {"name": f"s{percent}", "type": "probabilistic", "probabilistic": {"sampling_percentage": percent}}


def rate(per_s: float) -> dict[str, Any]:
    return {"name": "r", "type": "rate_limiting", "rate_limiting": {"spans_per_second": per_s}}


@pytest.mark.parametrize(
    "policies", [[share(50), share(10)], [share(10), rate(100)], [rate(1000), share(10)], [rate(100), share(20)]]
)
def test_traces_that_pass_policies_one_after_the_other_stand_for_all(policies: list[Any]) -> None:
    (made,) = parse([{"name": "p", "type": "and", "and": {"and_sub_policy": policies}}]).values()
    verdict = asked(made, due(many(4000)), 1.0)
    assert verdict.weight[verdict.kept].sum() == pytest.approx(4000, rel=0.15)


def test_a_rate_within_an_and_is_spent_on_what_the_policies_before_it_kept() -> None:
    failed = {"name": "e", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
    (made,) = parse([{"name": "p", "type": "and", "and": {"and_sub_policy": [failed, rate(10)]}}]).values()
    verdict = asked(made, due(many(990), many(20, first=5000, status=2)), 1.0)
    assert verdict.kept.sum() == 10
    assert set(verdict.weight[verdict.kept]) == {2.0}


def test_a_composite_gives_each_policy_its_part() -> None:
    composite = {
        "max_total_spans_per_second": 100,
        "policy_order": ["errors", "rest"],
        "composite_sub_policy": [
            {"name": "rest", "type": "always_sample"},
            {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        ],
        "rate_allocation": [{"policy": "errors", "percent": 60}, {"policy": "rest", "percent": 40}],
    }
    (made,) = parse([{"name": "p", "type": "composite", "composite": composite}]).values()
    traces = due(many(120, status=2), many(80, first=1000))
    verdict = asked(made, traces, 1.0)
    errors = traces.any(lambda batch: batch.column("status_code").to_numpy(zero_copy_only=False) == 2)
    assert (verdict.kept[errors].sum(), verdict.kept[~errors].sum()) == (60, 40)
    assert set(verdict.weight[errors]) == {2.0}
    assert set(verdict.weight[~errors]) == {2.0}
    assert verdict.weight[verdict.kept].sum() == 200


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        (["x"], "policies.0"),
        ([{"name": "a"}], "policies.0.type"),
        ([{"name": "a", "type": "adaptive"}], "known: always_sample, latency"),
        ([{"name": "a", "type": "latency"}], "policies.0.latency: cannot make the policy without it"),
        ([{"name": "a", "type": "latency", "latency": {"threshold": 5}}], "policies.0.latency.threshold_ms"),
        ([{"name": "a", "type": "status_code", "status_code": {"status_codes": ["BAD"]}}], "'BAD'"),
        ([{"name": "a", "type": "probabilistic", "probabilistic": {"sampling_percentage": 200}}], "200"),
        ([{"name": "a", "type": "string_attribute", "string_attribute": {
            "key": "k", "values": ["("], "enabled_regex_matching": True}}], "cannot compile regex"),
        ([{"name": "a", "type": "always_sample"}, {"name": "a", "type": "always_sample"}], "another policy has it"),
        ([{"name": "a", "type": "and", "and": {"and_sub_policy": [{"name": "b", "type": "latency"}]}}],
         "and_sub_policy.0.latency"),
        ([{"name": "a", "type": "composite", "composite": {"max_total_spans_per_second": 1, "policy_order": ["z"],
           "composite_sub_policy": [{"name": "b", "type": "always_sample"}]}}], "'z'"),
    ],
)  # fmt: skip
def test_faults_of_policies_are_named(policies: list[Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(policies)
    assert words in str(error.value)
    assert str(error.value).startswith("processors.tail_sampling.policies.")
