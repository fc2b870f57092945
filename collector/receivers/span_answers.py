"""Answers of receivers of spans that speak plain text: Zipkin's and Jaeger's."""

from __future__ import annotations

import math

from starlette.responses import PlainTextResponse, Response

from obs.errors import ObsError, Unavailable
from obs.model.batch import Decoded
from obs.otlp.reasons import SENTENCES


def refusal(found: Decoded) -> Response | None:
    """400 where spans were refused, so that the sender does not send them again; None where all were taken."""
    if not found.rejected:
        return None
    sentences = {**SENTENCES, **found.why}
    why = "; ".join(f"{count} because {sentences.get(reason, reason)}" for reason, count in found.rejected.items())
    said = f"cannot store {found.rejected_items} spans: {why}; the other {found.batch.items} are stored\n"
    return PlainTextResponse(said, 400)


def error_response(error: ObsError) -> Response:
    """The error in words, with Retry-After where it is worth trying again."""
    wait = {"Retry-After": str(math.ceil(error.retry_after_s))} if isinstance(error, Unavailable) else {}
    return PlainTextResponse(f"{error}\n", getattr(error, "http_status", 500), wait)
