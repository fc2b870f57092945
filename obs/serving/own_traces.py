"""Our own traces: the OpenTelemetry SDK around the query API, exported straight into our own intake."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from fastapi import FastAPI
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, SamplingResult, TraceIdRatioBased

from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ObsError
from obs.model.batch import Signal
from obs.version import __version__

log = logging.getLogger("obs.own_traces")
RECEIVER = "self"


class IntakeExporter(SpanExporter):
    """Hands finished spans to our own intake, with no socket between."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Store the spans; a refusal is told to the SDK, which counts it."""
        try:
            self._intake.take(Signal.TRACES, encode_spans(spans).SerializeToString(), RECEIVER)
        except ObsError as e:
            log.warning("own spans were not stored: %s", e)
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS


_drawn: ContextVar[bool] = ContextVar("obs_trace_drawn", default=False)


class Draw:
    """Decides ahead of the app whether a request that no caller traces becomes a trace: the others need no SDK."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio

    def __call__(self) -> bool:
        """Whether this request does; for a task of its own, whose spans are then kept."""
        if random.random() >= self._ratio:
            return False
        _drawn.set(True)
        return True


class _Drawn(TraceIdRatioBased):
    """Samples what was drawn, and a share of what was not asked about."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        """See `Sampler`."""
        return ALWAYS_ON.should_sample(*args, **kwargs) if _drawn.get() else super().should_sample(*args, **kwargs)


def tracer_provider(intake: Intake, instance: str, ratio: float) -> TracerProvider:
    """A provider that samples `ratio` of new traces and follows the caller's decision on others."""
    resource = Resource.create({"service.name": "obs", "service.version": __version__, "service.instance.id": instance})
    provider = TracerProvider(resource=resource, sampler=ParentBased(_Drawn(ratio)))
    provider.add_span_processor(BatchSpanProcessor(IntakeExporter(intake), schedule_delay_millis=2000))
    return provider


LEFT_OUT = "-/healthy,-/ready,/metrics$,/_dash"


def instrument(api: FastAPI, provider: TracerProvider) -> None:
    """Trace the API's requests; health checks and our own metrics are left out."""
    FastAPIInstrumentor.instrument_app(
        api,
        tracer_provider=provider,
        excluded_urls=LEFT_OUT,
        exclude_spans=["send", "receive"],
    )
