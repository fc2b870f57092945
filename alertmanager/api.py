"""Prometheus's HTTP API of rules and alerts.

Source: prometheus.io/docs/prometheus/latest/querying/api, sections "Rules", "Alerts" and "Alertmanagers".
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from obs.alertmanager.alert import State, rfc3339
from obs.alertmanager.api_v2 import answer
from obs.alertmanager.api_v2 import router as v2_router
from obs.alertmanager.rules.alerting import Active, AlertingRule
from obs.alertmanager.rules.evaluation import GroupState, Health
from obs.alertmanager.rules.model import Rule
from obs.alertmanager.service import AlertService
from obs.gotemplate.gotext import scientific
from obs.serving.cors import OpenRoute

KINDS = {"": "", "alert": "alerting", "record": "recording"}


def router(service: AlertService) -> APIRouter:
    """All routes of this room."""
    api = APIRouter()
    api.include_router(v2_router(service))
    api.include_router(_prometheus_router(service))
    return api


def _prometheus_router(service: AlertService) -> APIRouter:
    api = APIRouter(route_class=OpenRoute)

    @api.get("/api/v1/rules")
    def rules(request: Request, type: str = "") -> Response:
        kind = KINDS.get(type.lower())
        if kind is None:
            error = f'invalid parameter "type": not supported value {type!r}; known: alert, record'
            return answer({"status": "error", "errorType": "bad_data", "error": error}, 400)
        asked = {key: request.query_params.getlist(f"{key}[]") for key in ("rule_name", "rule_group", "file")}
        brief = request.query_params.get("exclude_alerts", "") in ("1", "t", "true", "True", "TRUE")
        groups = [_group(s, kind, asked["rule_name"], brief) for s in service.manager.groups if _wanted(s, asked)]
        return _success({"groups": [g for g in groups if g["rules"] or not (kind or asked["rule_name"])]})

    @api.get("/api/v1/alerts")
    def alerts() -> Response:
        rules = [a for state in service.manager.groups for a in state.alerting if a]
        return _success({"alerts": [_active(e) for a in rules for e in _shown(a)]})

    @api.get("/api/v1/alertmanagers")
    def alertmanagers(request: Request) -> Response:
        url = f"{request.base_url}alertmanager/api/v2/alerts"
        return _success({"activeAlertmanagers": [{"url": url}], "droppedAlertmanagers": []})

    return api


def _wanted(state: GroupState, asked: dict[str, list[str]]) -> bool:
    groups, files = asked["rule_group"], asked["file"]
    return (not groups or state.group.name in groups) and (not files or state.group.file in files)


def _group(state: GroupState, kind: str, names: list[str], brief: bool) -> dict[str, Any]:
    found = zip(state.group.rules, list(state.health), list(state.alerting), strict=True)
    rules = [_rule(r, h, a, brief) for r, h, a in found if not names or r.name in names]
    return {
        "name": state.group.name,
        "file": state.group.file,
        "interval": state.group.interval_s,
        "limit": state.group.limit,
        "rules": [r for r in rules if not kind or r["type"] == kind],
        "evaluationTime": sum(h.seconds for h in state.health),
        "lastEvaluation": rfc3339(max((h.evaluated_ns for h in state.health), default=0)),
    }


def _rule(rule: Rule, health: Health, alerting: AlertingRule | None, brief: bool) -> dict[str, Any]:
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
        }
    if alerting and not brief:
        found["alerts"] = [_active(a) for a in _shown(alerting)]
    return found


def _shown(alerting: AlertingRule) -> list[Active]:
    return [a for a in list(alerting.active.values()) if a.state is not State.INACTIVE]


def _active(active: Active) -> dict[str, Any]:
    found = {
        "labels": dict(active.labels),
        "annotations": dict(active.annotations),
        "state": active.state.value,
        "activeAt": rfc3339(active.active_ns),
        "value": scientific(active.value),
    }
    if active.kept_since_ns:
        found["keepFiringSince"] = rfc3339(active.kept_since_ns)
    return found


def _success(data: Any) -> Response:
    return answer({"status": "success", "data": data})
