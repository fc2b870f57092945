"""Alertmanager's HTTP API v2, under /alertmanager: alerts, their groups, silences, receivers, status.

Source: Alertmanager's api/v2 OpenAPI document.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from obs.alertmanager.alert import Alert, rfc3339
from obs.alertmanager.config import parse_matcher
from obs.alertmanager.inhibit import matches
from obs.alertmanager.route import routes_for
from obs.alertmanager.service import AlertService
from obs.alertmanager.silence import Silence, UnknownSilence
from obs.errors import ConfigError, UserError
from obs.model.labels import Matcher, MatchOp, make_labels
from obs.version import __version__

OPS = {(True, False): MatchOp.EQ, (True, True): MatchOp.RE, (False, False): MatchOp.NE, (False, True): MatchOp.NRE}
"""(isEqual, isRegex) → how a silence's matcher compares."""


def router(service: AlertService) -> APIRouter:
    """The routes under /alertmanager/api/v2."""
    api = APIRouter(prefix="/alertmanager/api/v2")
    _about(api, service)
    _alerts(api, service)
    _silences(api, service)
    return api


def _about(api: APIRouter, service: AlertService) -> None:
    started_ns = service.now_ns

    @api.get("/status")
    def status() -> Response:
        version = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
        body = {
            "cluster": {"status": "disabled", "peers": []},
            "versionInfo": {**version, "version": __version__},
            "config": {"original": service.config_text()},
            "uptime": rfc3339(started_ns),
        }
        return answer(body)

    @api.get("/receivers")
    def receivers() -> Response:
        return answer([{"name": name} for name in service.config.receivers])


def _alerts(api: APIRouter, service: AlertService) -> None:
    @api.get("/alerts")
    def list_alerts(request: Request) -> Response:
        try:
            wanted = _Wanted(request, service)
        except (UserError, ConfigError) as e:
            return answer(str(e), 400)
        found = (_gettable(a, service) for a in service.intake.all() if wanted.labels(a))
        return answer([a for a in found if wanted.state(a)])

    @api.get("/alerts/groups")
    def list_groups(request: Request) -> Response:
        try:
            wanted = _Wanted(request, service)
        except (UserError, ConfigError) as e:
            return answer(str(e), 400)
        members, groups = service.dispatcher.members(), service.dispatcher.groups
        found = []
        for key in sorted(members, key=lambda k: groups[k].labels if k in groups else ()):
            alerts = [_gettable(a, service) for a in members[key] if wanted.labels(a)]
            alerts = [a for a in alerts if wanted.state(a)]
            if alerts and key in groups:
                receiver = {"name": groups[key].route.receiver}
                found.append({"labels": dict(groups[key].labels), "receiver": receiver, "alerts": alerts})
        return answer(found)

    @api.post("/alerts")
    async def post_alerts(request: Request) -> Response:
        try:
            service.intake.take(_posted(await request.body(), service.now_ns))
        except (UserError, ConfigError) as e:
            return answer(str(e), 400)
        return Response(status_code=200)


def _silences(api: APIRouter, service: AlertService) -> None:
    @api.get("/silences")
    def list_silences(request: Request) -> Response:
        try:
            matchers = [parse_matcher(f, "filter") for f in request.query_params.getlist("filter")]
        except ConfigError as e:
            return answer(str(e), 400)
        now_ns, found = service.now_ns, service.silences.all()
        shown = [s for s in found if matches(matchers, {m.name: m.value for m in s.matchers})]
        return answer([_silence(s, now_ns) for s in shown])

    @api.post("/silences")
    async def post_silence(request: Request) -> Response:
        try:
            silence_id = service.silences.put(_posted_silence(await request.body(), service.now_ns), service.now_ns)
        except UserError as e:
            return answer(str(e), 404 if isinstance(e, UnknownSilence) else 400)
        service.save()
        return answer({"silenceID": silence_id})

    @api.get("/silence/{silence_id}")
    def get_silence(silence_id: str) -> Response:
        found = service.silences.get(silence_id)
        return answer(_silence(found, service.now_ns)) if found else Response(status_code=404)

    @api.delete("/silence/{silence_id}")
    def expire_silence(silence_id: str) -> Response:
        if not service.silences.expire(silence_id, service.now_ns):
            return Response(status_code=404)
        service.save()
        return Response(status_code=200)


class _Wanted:
    """What a request asks of alerts. Raises: UserError, ConfigError."""

    def __init__(self, request: Request, service: AlertService) -> None:
        query = request.query_params
        self._matchers = [parse_matcher(f, "filter") for f in query.getlist("filter")]
        self._states = {s: query.get(s, "true") != "false" for s in ("active", "silenced", "inhibited")}
        self._now_ns = service.now_ns
        try:
            self._receiver = re.compile(query.get("receiver", ".*"))
        except re.error as e:
            raise UserError(f"cannot use receiver {query['receiver']!r}: {e}; write a regular expression") from None

    def labels(self, alert: Alert) -> bool:
        return not alert.resolved(self._now_ns) and matches(self._matchers, dict(alert.labels))

    def state(self, shown: dict[str, Any]) -> bool:
        status = shown["status"]
        told = any(self._receiver.fullmatch(r["name"]) for r in shown["receivers"])
        return (
            told
            and (self._states["active"] or status["state"] != "active")
            and (self._states["silenced"] or not status["silencedBy"])
            and (self._states["inhibited"] or not status["inhibitedBy"])
        )


def _gettable(alert: Alert, service: AlertService) -> dict[str, Any]:
    silenced, inhibited = (
        list(muted_by(alert, service.now_ns))
        for muted_by in (service.silences.silenced_by, service.inhibitor.inhibited_by)
    )
    state = "suppressed" if silenced or inhibited else "active"
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
        "status": {"state": state, "silencedBy": silenced, "inhibitedBy": inhibited, "mutedBy": []},
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


def _silence(silence: Silence, now_ns: int) -> dict[str, Any]:
    kinds = {op: kind for kind, op in OPS.items()}
    return {
        "id": silence.id,
        "status": {"state": silence.state(now_ns)},
        "updatedAt": rfc3339(silence.updated_ns),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "startsAt": rfc3339(silence.starts_ns),
        "endsAt": rfc3339(silence.ends_ns),
        "matchers": [
            {"name": m.name, "value": m.value, "isEqual": kinds[m.op][0], "isRegex": kinds[m.op][1]}
            for m in silence.matchers
        ],
    }


def _posted_silence(body: bytes, now_ns: int) -> Silence:
    try:
        value = orjson.loads(body)
        matchers = tuple(_matcher(m) for m in value["matchers"])
        times = (max(_time_ns(value["startsAt"]), now_ns), _time_ns(value["endsAt"]), now_ns)
        return Silence(str(value.get("id") or ""), matchers, *times, value["createdBy"], value["comment"])
    except (orjson.JSONDecodeError, TypeError, AttributeError, KeyError) as e:
        keys = "matchers, startsAt, endsAt, createdBy, comment"
        raise UserError(f"cannot read silence: {e}; post a JSON object with {keys}") from None


def _matcher(value: dict[str, Any]) -> Matcher:
    found = Matcher(value["name"], OPS[value.get("isEqual", True), value["isRegex"]], value["value"])
    try:
        found.matches("")
    except ValueError as e:
        raise UserError(f"{e}; correct the matcher") from None
    return found


def answer(body: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")
