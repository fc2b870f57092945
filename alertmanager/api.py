"""Prometheus's HTTP API of rules and alerts.

Source: prometheus.io/docs/prometheus/latest/querying/api, sections "Rules", "Alerts" and "Alertmanagers".
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from obs.alertmanager.alert import State, rfc3339
from obs.alertmanager.api_v2 import answer
from obs.alertmanager.api_v2 import router as v2_router
from obs.alertmanager.rule_pages import Asked, Selecting, page, read
from obs.alertmanager.rules.alerting import Active, AlertingRule
from obs.alertmanager.rules.evaluation import GroupState, Health
from obs.alertmanager.rules.model import Rule
from obs.alertmanager.service import AlertService
from obs.cors import OpenRoute
from obs.errors import QueryError
from obs.gotemplate.gotext import scientific


def router(service: AlertService, selecting: Selecting) -> APIRouter:
    """All routes of this room; `selecting` reads a series selector, and raises a QueryError."""
    api = APIRouter()
    api.include_router(v2_router(service))
    api.include_router(_prometheus_router(service, selecting))
    return api


def _prometheus_router(service: AlertService, selecting: Selecting) -> APIRouter:
    api = APIRouter(route_class=OpenRoute)

    @api.get("/api/v1/rules")
    def rules(request: Request) -> Response:
        given = request.query_params
        try:
            asked = read({name: given.getlist(name) for name in given}, selecting)
            wanted = [state for state in service.manager.groups if asked.wants_group(state)]
            if asked.of_rules:
                wanted = [state for state in wanted if any(map(asked.wants, state.group.rules))]
            shown, token = page(wanted, asked)
        except QueryError as e:
            return answer({"status": "error", "errorType": "bad_data", "error": str(e)}, 400)
        groups = [_group(state, asked) for state in shown]
        return _success({"groups": groups, **({"groupNextToken": token} if token else {})})

    @api.get("/api/v1/alerts")
    def alerts() -> Response:
        rules = [a for state in service.manager.groups for a in state.alerting if a]
        return _success({"alerts": [_active(e) for a in rules for e in _shown(a)]})

    @api.get("/api/v1/alertmanagers")
    def alertmanagers(request: Request) -> Response:
        url = f"{request.base_url}alertmanager/api/v2/alerts"
        active, dropped = service.peers.listed()
        found = {"activeAlertmanagers": [url, *active], "droppedAlertmanagers": dropped}
        return _success({key: [{"url": each} for each in urls] for key, urls in found.items()})

    return api


def _group(state: GroupState, asked: Asked) -> dict[str, Any]:
    found = zip(state.group.rules, list(state.health), list(state.alerting), strict=True)
    return {
        "name": state.group.name,
        "file": state.group.file,
        "interval": state.group.interval_s,
        "limit": state.group.limit,
        "rules": [_rule(rule, h, a, asked.brief) for rule, h, a in found if asked.wants(rule)],
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
