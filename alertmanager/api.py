"""The HTTP API: Prometheus's rules and alerts, and Alertmanager's v2 under /alertmanager.

Source: prometheus.io/docs/prometheus/latest/querying/api; Alertmanager's api/v2 OpenAPI document.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from obs.alertmanager.alert import Alert, State, rfc3339
from obs.alertmanager.config import parse_matcher
from obs.alertmanager.route import routes_for
from obs.alertmanager.rules.alerting import Active, AlertingRule
from obs.alertmanager.rules.manager import GroupState, Health
from obs.alertmanager.rules.model import Rule
from obs.alertmanager.service import AlertService
from obs.errors import ConfigError, UserError
from obs.model.labels import make_labels
from obs.version import __version__


def router(service: AlertService) -> APIRouter:
    """All routes of this room."""
    api = APIRouter()
    started_ns = service.now_ns

    @api.get("/api/v1/rules")
    def rules(type: str = "") -> Response:
        groups = [_group(state, type) for state in service.manager.groups]
        return _success({"groups": groups})

    @api.get("/api/v1/alerts")
    def alerts() -> Response:
        rules = [a for state in service.manager.groups for a in state.alerting if a]
        return _success({"alerts": [_active(e) for a in rules for e in _shown(a)]})

    @api.get("/api/v1/alertmanagers")
    def alertmanagers(request: Request) -> Response:
        url = f"{request.base_url}alertmanager/api/v2/alerts"
        return _success({"activeAlertmanagers": [{"url": url}], "droppedAlertmanagers": []})

    @api.get("/alertmanager/api/v2/status")
    def status() -> Response:
        version = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
        body = {
            "cluster": {"status": "disabled", "peers": []},
            "versionInfo": {**version, "version": __version__},
            "config": {"original": service.config_text()},
            "uptime": rfc3339(started_ns),
        }
        return _json(body)

    @api.get("/alertmanager/api/v2/receivers")
    def receivers() -> Response:
        return _json([{"name": name} for name in service.config.receivers])

    @api.get("/alertmanager/api/v2/alerts")
    def list_alerts(request: Request) -> Response:
        matchers = [parse_matcher(f, "filter") for f in request.query_params.getlist("filter")]
        now_ns = service.now_ns
        found = [a for a in service.intake.all() if not a.resolved(now_ns)]
        found = [a for a in found if all(m.matches(dict(a.labels).get(m.name, "")) for m in matchers)]
        return _json([_gettable(a, service) for a in found])

    @api.get("/alertmanager/api/v2/alerts/groups")
    def list_groups() -> Response:
        members = service.dispatcher.members(service.now_ns)
        groups = [
            {
                "labels": dict(group.labels),
                "receiver": {"name": group.route.receiver},
                "alerts": [_gettable(a, service) for a in members.get(key, []) if not a.resolved(service.now_ns)],
            }
            for key, group in service.dispatcher.groups.items()
        ]
        return _json([g for g in groups if g["alerts"]])

    @api.post("/alertmanager/api/v2/alerts")
    async def post_alerts(request: Request) -> Response:
        try:
            service.intake.take(_posted(await request.body(), service.now_ns))
        except (UserError, ConfigError) as e:
            return _json(str(e), 400)
        return Response(status_code=200)

    return api


def _group(state: GroupState, kind: str) -> dict[str, Any]:
    rules = [_rule(r, h, a) for r, h, a in zip(state.group.rules, state.health, state.alerting, strict=True)]
    if kind:
        wanted = "recording" if kind == "record" else "alerting"
        rules = [r for r in rules if r["type"] == wanted]
    last = max((h.evaluated_ns for h in state.health), default=0)
    return {
        "name": state.group.name,
        "file": state.group.file,
        "interval": state.group.interval_s,
        "limit": state.group.limit,
        "rules": rules,
        "evaluationTime": sum(h.seconds for h in state.health),
        "lastEvaluation": rfc3339(last),
    }


def _rule(rule: Rule, health: Health, alerting: AlertingRule | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expr,
        "labels": dict(rule.labels),
        "health": "err" if health.error else "ok" if health.evaluated_ns else "unknown",
        "evaluationTime": health.seconds,
        "lastEvaluation": rfc3339(health.evaluated_ns),
        "type": "alerting" if alerting else "recording",
    }
    if health.error:
        found["lastError"] = health.error
    if alerting:
        found |= {
            "state": alerting.state.value,
            "duration": rule.for_s,
            "keepFiringFor": rule.keep_firing_for_s,
            "annotations": dict(rule.annotations),
            "alerts": [_active(a) for a in _shown(alerting)],
        }
    return found


def _shown(alerting: AlertingRule) -> list[Active]:
    return [a for a in alerting.active.values() if a.state is not State.INACTIVE]


def _active(active: Active) -> dict[str, Any]:
    return {
        "labels": dict(active.labels),
        "annotations": dict(active.annotations),
        "state": active.state.value,
        "activeAt": rfc3339(active.active_ns),
        "value": repr(active.value),
    }


def _gettable(alert: Alert, service: AlertService) -> dict[str, Any]:
    taking = routes_for(service.config.route, dict(alert.labels))
    return {
        "fingerprint": alert.fingerprint,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": rfc3339(alert.starts_ns),
        "endsAt": rfc3339(alert.ends_ns),
        "updatedAt": rfc3339(alert.updated_ns),
        "generatorURL": alert.generator_url,
        "receivers": [{"name": r.receiver} for r in taking],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []},
    }


RESOLVE_TIMEOUT_NS = 300 * 10**9
"""How long a posted alert without an end goes on unless it is posted again: Alertmanager's resolve_timeout."""


def _posted(body: bytes, now_ns: int) -> list[Alert]:
    try:
        values = orjson.loads(body)
        return [_postable(v, now_ns) for v in values]
    except (orjson.JSONDecodeError, TypeError, AttributeError, KeyError) as e:
        raise UserError(f"cannot read alerts: {e}; post a JSON list of objects with labels") from None


def _postable(value: dict[str, Any], now_ns: int) -> Alert:
    labels = make_labels(value["labels"])
    if not labels:
        raise UserError("cannot take alert: it has no labels; give it at least an alertname")
    return Alert(
        labels,
        make_labels(value.get("annotations") or {}),
        _time_ns(value.get("startsAt")) or now_ns,
        _time_ns(value.get("endsAt")) or now_ns + RESOLVE_TIMEOUT_NS,
        now_ns,
        str(value.get("generatorURL") or ""),
    )


def _time_ns(text: str | None) -> int:
    if not text or text.startswith("0001-"):
        return 0
    try:
        return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6) * 1000
    except ValueError:
        raise UserError(f"cannot read time {text!r}: not RFC 3339; write it as 2026-01-02T15:04:05Z") from None


def _success(data: Any) -> Response:
    return _json({"status": "success", "data": data})


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
