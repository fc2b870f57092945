"""Calls between the demo's processes: HTTP with the trace context in the headers, standard library only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from opentelemetry import propagate
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

TIMEOUT_S = 10


def call(tracer: Tracer, url: str, body: dict[str, Any], service: str) -> dict[str, Any]:
    """POST `body` as a client span of its own. Raises: OSError where the callee fails (the span says so)."""
    attributes = {"http.request.method": "POST", "url.full": url, "peer.service": service}
    with tracer.start_as_current_span(f"POST {service}", kind=SpanKind.CLIENT, attributes=attributes) as span:
        headers = {"Content-Type": "application/json"}
        propagate.inject(headers)
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                span.set_attribute("http.response.status_code", response.status)
                return dict(json.load(response))
        except urllib.error.HTTPError as e:
            span.set_attribute("http.response.status_code", e.code)
            span.set_status(Status(StatusCode.ERROR, f"{service} answered {e.code}"))
            raise
