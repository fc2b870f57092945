"""The mailer: takes jobs over HTTP, works them off later in spans of its own that link back to the order's trace.

`python -m obs.demo.worker --port P --to HOST:PORT`
"""

from __future__ import annotations

import argparse
import queue
import random
import threading
import time
from typing import Any

import uvicorn
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.metrics import Observation
from opentelemetry.trace import Link, SpanContext, SpanKind

from obs.demo.shop import WORKER
from obs.demo.telemetry import Telemetry, instrument, set_up

Job = tuple[SpanContext, dict[str, Any]]


def make_app(jobs: queue.Queue[Job]) -> FastAPI:
    """The endpoint that takes jobs."""
    app = FastAPI(title=WORKER)

    @app.post("/jobs")
    def enqueue(body: dict[str, Any]) -> dict[str, int]:
        jobs.put((trace.get_current_span().get_span_context(), body))
        return {"queued": jobs.qsize()}

    return app


def work_off(jobs: queue.Queue[Job], telemetry: Telemetry) -> None:
    """Send a mail per job, for ever."""
    sent = telemetry.meter.create_counter("shop.mails", "{mail}", "Mails sent")
    telemetry.meter.create_observable_gauge("shop.mail.queue", [lambda _: [Observation(jobs.qsize())]])
    while True:
        context, body = jobs.get()
        links = [Link(context)]
        with telemetry.tracer.start_as_current_span("send mail", kind=SpanKind.CONSUMER, links=links) as span:
            span.set_attribute("shop.order", body["order"])
            time.sleep(random.expovariate(1 / 0.03))
            span.add_event("smtp.accepted", {"recipient.count": 1})
            sent.add(1)
            telemetry.log.info("confirmation of order %s sent", body["order"])


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True)
    args = parser.parse_args()
    telemetry = set_up(WORKER, args.to)
    jobs: queue.Queue[Job] = queue.Queue()
    app = make_app(jobs)
    instrument(app, telemetry)
    threading.Thread(target=work_off, args=(jobs, telemetry), daemon=True).start()
    try:
        uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning")
    finally:
        telemetry.close()


if __name__ == "__main__":
    main()
