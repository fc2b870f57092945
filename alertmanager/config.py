"""Alertmanager's configuration: the routing tree and the receivers, from YAML values to frozen ones.

Source: prometheus.io/docs/alerting/latest/configuration. Keys not listed here are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from obs.alertmanager.rules.model import duration_s
from obs.errors import ConfigError
from obs.model.labels import Matcher, MatchOp

TOP_KEYS = ("route", "receivers", "inhibit_rules", "global", "templates", "time_intervals")
ROUTE_KEYS = (
    "receiver", "matchers", "match", "match_re", "group_by", "group_wait", "group_interval", "repeat_interval",
    "continue", "routes",
)  # fmt: skip
INHIBIT_KEYS = (
    "source_matchers", "source_match", "source_match_re", "target_matchers", "target_match", "target_match_re", "equal",
)  # fmt: skip
RECEIVER_KEYS = ("name", "webhook_configs")
WEBHOOK_KEYS = ("url", "send_resolved", "max_alerts", "timeout", "http_config")
SECRET_KEYS = ("credentials", "password", "bearer_token")
_MATCHER = re.compile(r'\s*([a-zA-Z_][\w.]*|"[^"]*")\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^,}]*?)\s*$')


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a receiver's notifications go. `max_alerts` 0: all."""

    url: str
    send_resolved: bool
    max_alerts: int
    timeout_s: float
    authorization: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A named set of destinations; one with none swallows its alerts, as in Alertmanager."""

    name: str
    webhooks: Sequence[Webhook]


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the routing tree; what a node leaves out it has from its parent."""

    receiver: str
    matchers: Sequence[Matcher]
    group_by: Sequence[str]  # ("...",): every label
    group_wait_s: float
    group_interval_s: float
    repeat_interval_s: float
    proceed: bool  # `continue`: siblings after this one are tried too
    routes: Sequence[Route]
    key: str = "{}"  # the path of matchers from the root, as Alertmanager writes it


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """Alerts that match `target` are not told while one that matches `source` fires with the same `equal` labels."""

    source: Sequence[Matcher]
    target: Sequence[Matcher]
    equal: Sequence[str]


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """The whole configuration."""

    route: Route
    receivers: Mapping[str, Receiver]
    inhibit_rules: Sequence[InhibitRule] = ()


ROOT = Route("default", (), (), 30.0, 300.0, 4 * 3600.0, False, ())
"""Alertmanager's defaults."""


def parse(values: Mapping[str, Any]) -> AlertConfig:
    """The configuration of YAML values; empty: one receiver that swallows. Raises: ConfigError with the key's path."""
    if not values:
        return AlertConfig(ROOT, {"default": Receiver("default", ())})
    _check_keys(values, TOP_KEYS, "alerting")
    for key in ("templates", "time_intervals"):
        if values.get(key):
            raise ConfigError(f"alerting.{key}: cannot use this key: it is not supported yet; remove it")
    receivers = [_receiver(r, f"alerting.receivers[{i}]") for i, r in enumerate(values.get("receivers") or [])]
    by_name = {r.name: r for r in receivers}
    route_values = values.get("route") or {}
    if not route_values.get("receiver"):
        raise ConfigError("alerting.route.receiver: cannot do without this key; name one of the receivers")
    rules = [_inhibit(r, f"alerting.inhibit_rules[{i}]") for i, r in enumerate(values.get("inhibit_rules") or [])]
    return AlertConfig(_route(route_values, ROOT, by_name, "alerting.route"), by_name, tuple(rules))


def _inhibit(values: Mapping[str, Any], where: str) -> InhibitRule:
    _check_keys(values, INHIBIT_KEYS, where)
    source, target = (tuple(_matchers(values, where, f"{side}_")) for side in ("source", "target"))
    return InhibitRule(source, target, tuple(values.get("equal") or ()))


def _route(values: Mapping[str, Any], parent: Route, receivers: Mapping[str, Receiver], where: str) -> Route:
    _check_keys(values, ROUTE_KEYS, where)
    receiver = values.get("receiver", parent.receiver)
    if receiver not in receivers:
        raise ConfigError(f"{where}.receiver: cannot use {receiver!r}: known receivers are {', '.join(receivers)}")
    matchers = tuple(_matchers(values, where))
    node = Route(
        receiver=receiver,
        matchers=matchers,
        group_by=tuple(values.get("group_by", parent.group_by)),
        group_wait_s=_seconds(values, "group_wait", parent.group_wait_s, where),
        group_interval_s=_seconds(values, "group_interval", parent.group_interval_s, where),
        repeat_interval_s=_seconds(values, "repeat_interval", parent.repeat_interval_s, where),
        proceed=bool(values.get("continue", False)),
        routes=(),
        key=_key(matchers) if parent is ROOT else f"{parent.key}/{_key(matchers)}",
    )
    children = [_route(r, node, receivers, f"{where}.routes[{i}]") for i, r in enumerate(values.get("routes") or [])]
    return replace(node, routes=tuple(children))


def shown(values: Any) -> Any:
    """The values of a configuration with secrets hidden; the default one where it is empty."""
    if isinstance(values, Mapping):
        if not values:
            return {"route": {"receiver": "default"}, "receivers": [{"name": "default"}]}
        return {k: "<secret>" if k in SECRET_KEYS else shown(v) for k, v in values.items()}
    return [shown(v) for v in values] if isinstance(values, list | tuple) else values


def _key(matchers: Sequence[Matcher]) -> str:
    sorted_ = sorted(matchers, key=lambda m: (m.name, m.value, m.op.value))
    return "{" + ",".join(f"{m.name}{m.op.value}{quoted(m.value)}" for m in sorted_) + "}"


def quoted(text: str) -> str:
    """Text in double quotes, as Go prints it."""
    return orjson.dumps(text).decode()


def _matchers(values: Mapping[str, Any], where: str, side: str = "") -> list[Matcher]:
    found = [parse_matcher(m, where) for m in values.get(f"{side}matchers") or []]
    found += [Matcher(k, MatchOp.EQ, str(v)) for k, v in (values.get(f"{side}match") or {}).items()]
    return found + [Matcher(k, MatchOp.RE, str(v)) for k, v in (values.get(f"{side}match_re") or {}).items()]


def parse_matcher(text: str, where: str) -> Matcher:
    """A matcher such as `severity=~"page|ticket"`; quotes may be left out. Raises: ConfigError."""
    match = _MATCHER.match(text)
    if not match:
        raise ConfigError(f'{where}.matchers: cannot parse matcher {text!r}; write it as name="value" or name=~"regex"')
    value = match[3]
    if value.startswith('"'):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    matcher = Matcher(match[1].strip('"'), MatchOp(match[2]), value)
    try:
        matcher.matches("")
    except ValueError as e:
        raise ConfigError(f"{where}.matchers: {e}") from None
    return matcher


def _receiver(values: Mapping[str, Any], where: str) -> Receiver:
    _check_keys(values, RECEIVER_KEYS, where)
    hooks = [_webhook(w, f"{where}.webhook_configs[{i}]") for i, w in enumerate(values.get("webhook_configs") or [])]
    return Receiver(str(values.get("name", "")), tuple(hooks))


def _webhook(values: Mapping[str, Any], where: str) -> Webhook:
    _check_keys(values, WEBHOOK_KEYS, where)
    url = str(values.get("url", ""))
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{where}.url: cannot use {url!r}; write an http or https address")
    auth = (values.get("http_config") or {}).get("authorization") or {}
    return Webhook(
        url=url,
        send_resolved=bool(values.get("send_resolved", True)),
        max_alerts=int(values.get("max_alerts", 0)),
        timeout_s=duration_s(values.get("timeout"), f"{where}.timeout"),
        authorization=f"{auth.get('type', 'Bearer')} {auth['credentials']}" if auth.get("credentials") else "",
    )


def _seconds(values: Mapping[str, Any], key: str, default: float, where: str) -> float:
    return duration_s(values[key], f"{where}.{key}") if key in values else default


def _check_keys(values: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: cannot use {values!r}: it must have the keys {', '.join(known)}")
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}.{key}: cannot use this key: known keys are {', '.join(known)}")
