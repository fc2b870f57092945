"""Relabeling, and what targets come of it."""

from __future__ import annotations

from typing import Any

import pytest

from obs.collector.receivers.scrape.config import Job, Relabel, parse
from obs.collector.receivers.scrape.relabel import relabeled
from obs.collector.receivers.scrape.targets import targets_of
from obs.errors import ConfigError

START = {"a": "x", "b": "y-7", "__address__": "h:1"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"source_labels": ["a", "b"], "regex": r"(\w);y-(?P<n>\d)", "target_label": "c", "replacement": "$1.${n}.$$"},
         {"c": "x.7.$"}),
        ({"source_labels": ["a"], "regex": "y", "target_label": "c"}, {}),
        ({"target_label": "a", "replacement": ""}, {"a": None}),
        ({"source_labels": ["a"], "regex": "x", "action": "keep"}, {}),
        ({"source_labels": ["a"], "regex": "xx?y", "action": "keep"}, None),
        ({"source_labels": ["a"], "regex": "x", "action": "drop"}, None),
        ({"source_labels": ["a"], "target_label": "b", "action": "keepequal"}, None),
        ({"source_labels": ["a"], "target_label": "b", "action": "dropequal"}, {}),
        ({"source_labels": ["a"], "target_label": "c", "modulus": 8, "action": "hashmod"}, {"c": "6"}),
        ({"regex": "(.)", "replacement": "m_$1", "action": "labelmap"}, {"m_a": "x", "m_b": "y-7"}),
        ({"regex": "a|b", "action": "labeldrop"}, {"a": None, "b": None}),
        ({"regex": "a|__.*", "action": "labelkeep"}, {"b": None}),
        ({"source_labels": ["a"], "target_label": "c", "action": "Uppercase"}, {"c": "X"}),
        ({"source_labels": ["b"], "target_label": "c", "action": "lowercase"}, {"c": "y-7"}),
    ],
)  # fmt: skip
def test_every_action(rule: dict[str, Any], expected: dict[str, str | None] | None) -> None:
    found = relabeled(START.items(), [Relabel.model_validate(rule).rule()])
    if expected is None:
        assert found is None
        return
    merged: dict[str, str | None] = {**START, **expected}
    assert found == {name: value for name, value in merged.items() if value is not None}


def job(**values: Any) -> Job:
    return parse([{"job_name": "j", **values}])[0]


def test_targets_are_relabeled_each_once() -> None:
    made = job(
        params={"module": ["m", "n"]},
        relabel_configs=[
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["role"], "regex": "db", "action": "drop"},
            {"source_labels": ["role"], "regex": "far", "replacement": "5s", "target_label": "__scrape_interval__"},
        ],
    )
    given = [{"__address__": "h:1"}, {"__address__": "h:1"}, {"__address__": "h:2", "role": "db"},
             {"__address__": "h:3", "role": "far", "__scheme__": "https"}, {"role": "none"}]  # fmt: skip
    found, dropped = targets_of(made, [tuple(given)])
    assert [(t.url, t.labels, t.interval_s, t.timeout_s) for t in found] == [
        ("http://h:1/metrics?module=m&module=n&target=h%3A1", (("instance", "h:1"), ("job", "j")), 60.0, 10.0),
        ("https://h:3/metrics?module=m&module=n&target=h%3A3",
         (("instance", "h:3"), ("job", "j"), ("role", "far")), 5.0, 5.0),
    ]  # fmt: skip
    assert [dict(d.discovered).get("role") for d in dropped] == ["db", "none"]
    assert all(0 <= t.offset_s < t.interval_s for t in found)


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        (
            {"scrape_intervall": "1s"},
            "scrape_configs.0.scrape_intervall: cannot use this key: it is not known; did",
        ),
        (
            {"relabel_configs": [{"regexp": "x"}]},
            "relabel_configs.0.regexp: cannot use this key: it is not known; did",
        ),
        (
            {"basic_auth": {"user": "x"}},
            "basic_auth.user: cannot use this key: it is not known; did you mean 'user",
        ),
        ({"oauth2": {}}, "oauth2: cannot use this key: it is Prometheus's, and not obs's; use authorization"),
        ({"kubernetes_sd_configs": []}, "targets are not found in this way yet; known ones: dns_sd_configs, docker"),
        ({"scrape_interval": "soon"}, "scrape_configs.0.scrape_interval"),
        ({"scrape_timeout": "2m"}, "over the scrape_interval"),
        ({"relabel_configs": [{"action": "jump"}]}, "unknown relabel action 'jump'"),
        ({"relabel_configs": [{"regex": "(", "target_label": "a"}]}, "cannot compile regex"),
        ({"relabel_configs": [{}]}, "needs a target_label"),
        ({"static_configs": [{"labels": {}}]}, "scrape_configs.0.static_configs.0.targets"),
        ({"job_name": ""}, "scrape_configs.0.job_name"),
    ],
)
def test_faulty_configurations_name_the_key(values: dict[str, Any], cause: str) -> None:
    with pytest.raises(ConfigError) as told:
        job(**values)
    assert cause in str(told.value)


def test_two_jobs_of_one_name() -> None:
    with pytest.raises(ConfigError, match="another job has it"):
        parse([{"job_name": "j"}, {"job_name": "j"}])
