"""Rule groups as values, and how YAML becomes them with errors that name the place.

Source: prometheus.io/docs/prometheus/latest/configuration/recording_rules and …/alerting_rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obs.alertmanager.limits import DEFAULT_INTERVAL_S
from obs.errors import ConfigError
from obs.model.labels import Labels, make_labels

LANGUAGES = ("promql", "logql")
GROUP_KEYS = ("name", "interval", "limit", "query_offset", "labels", "rules", "language")
RULE_KEYS = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule (`record` is the metric) or an alerting rule (`alert` is the name)."""

    record: str
    alert: str
    expr: str
    for_s: float
    keep_firing_for_s: float
    labels: Labels
    annotations: Labels

    @property
    def name(self) -> str:
        """The metric or the alert."""
        return self.record or self.alert


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules evaluated together, in order, every `interval_s`."""

    file: str
    name: str
    interval_s: float
    query_offset_s: float
    limit: int
    language: str
    rules: Sequence[Rule]

    @property
    def key(self) -> str:
        """What identifies the group across reloads."""
        return f"{self.file};{self.name}"


@dataclass(frozen=True, slots=True)
class GroupDefaults:
    """What a group has that says nothing of it: Prometheus's `global.evaluation_interval` and `rule_query_offset`."""

    interval_s: float = DEFAULT_INTERVAL_S
    query_offset_s: float = 0.0


DEFAULTS = GroupDefaults()


def parse_groups(document: Any, file: str, defaults: GroupDefaults = DEFAULTS) -> list[RuleGroup]:
    """The groups of a rule file's YAML document. Raises: ConfigError with the key's path and the known keys."""
    if document is None:
        return []
    top = _mapping(document, file, "the file", ("groups",))
    values = _list(top.get("groups"), file, "groups")
    groups = [_group(g, file, f"groups[{i}]", defaults) for i, g in enumerate(values)]
    names = [g.name for g in groups]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"groups: cannot use group {name!r} twice in {file!r}; give each group its own name")
    return groups


def _group(value: Any, file: str, where: str, defaults: GroupDefaults) -> RuleGroup:
    group = _mapping(value, file, where, GROUP_KEYS)
    language = group.get("language", "promql")
    if language not in LANGUAGES:
        raise ConfigError(f"{where}.language: cannot use {language!r} in {file!r}; known: {', '.join(LANGUAGES)}")
    shared = dict(group.get("labels") or {})
    rules = [
        _rule(r, file, f"{where}.rules[{i}]", shared) for i, r in enumerate(_list(group.get("rules"), file, where))
    ]
    return RuleGroup(
        file=file,
        name=str(_required(group, "name", file, where)),
        interval_s=duration_s(group.get("interval"), f"{where}.interval") or defaults.interval_s,
        query_offset_s=(
            defaults.query_offset_s
            if group.get("query_offset") is None
            else duration_s(group["query_offset"], f"{where}.query_offset")
        ),
        limit=int(group.get("limit") or 0),
        language=language,
        rules=tuple(rules),
    )


def _rule(value: Any, file: str, where: str, shared: Mapping[str, str]) -> Rule:
    rule = _mapping(value, file, where, RULE_KEYS)
    if ("record" in rule) == ("alert" in rule):
        raise ConfigError(f"{where}: cannot use rule in {file!r}: it must have one of 'record' and 'alert'")
    labels = {**shared, **(rule.get("labels") or {})}
    return Rule(
        record=str(rule.get("record", "")),
        alert=str(rule.get("alert", "")),
        expr=str(_required(rule, "expr", file, where)),
        for_s=duration_s(rule.get("for"), f"{where}.for"),
        keep_firing_for_s=duration_s(rule.get("keep_firing_for"), f"{where}.keep_firing_for"),
        labels=make_labels({k: str(v) for k, v in labels.items()}),
        annotations=make_labels({k: str(v) for k, v in (rule.get("annotations") or {}).items()}),
    )


def duration_s(value: Any, where: str) -> float:
    """Seconds of a Prometheus duration such as `1h30m`; None and 0 are 0. Raises: ConfigError."""
    if value in (None, 0, "0"):
        return 0.0
    parts = re.findall(r"(\d+)(ms|[smhdwy])", str(value))
    if not parts or "".join(n + u for n, u in parts) != str(value):
        raise ConfigError(f"{where}: cannot use duration {value!r}; write it as 30s, 5m or 1h30m")
    return sum(int(n) * _UNITS[u] for n, u in parts)


def _mapping(value: Any, file: str, where: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: cannot use {value!r} in {file!r}: it must have the keys {', '.join(known)}")
    for key in value:
        if key not in known:
            raise ConfigError(f"{where}.{key}: cannot use this key in {file!r}: known keys are {', '.join(known)}")
    return value


def _list(value: Any, file: str, where: str) -> Sequence[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ConfigError(f"{where}: cannot use {value!r} in {file!r}: it must be a list")
    return value


def _required(value: Mapping[str, Any], key: str, file: str, where: str) -> Any:
    if not str(value.get(key) or ""):
        raise ConfigError(f"{where}.{key}: cannot do without this key in {file!r}; add it")
    return value[key]
