"""A service of the shop: FastAPI with the OpenTelemetry instrumentation, calling the next ones.

`python -m obs.demo.service NAME --port P --to HOST:PORT --peers name=port,…`
"""

from __future__ import annotations

import argparse
import random
import time
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from opentelemetry import trace

from obs.demo.shop import SERVICES, WORKER, Service
from obs.demo.telemetry import Telemetry, instrument, set_up
from obs.demo.wire import call


class PaymentDeclined(Exception):
    """What the bank says in a small share of charges."""


def make_app(service: Service, peers: dict[str, int], telemetry: Telemetry) -> FastAPI:
    """The service's one endpoint."""
    app = FastAPI(title=service.name)
    orders = telemetry.meter.create_counter("shop.orders", "{order}", "Orders handled")
    work = telemetry.meter.create_histogram("shop.work.duration", "s", "Time spent in the service's own work")

    @app.post(f"/{service.operation}")
    def operate(body: dict[str, Any]) -> dict[str, Any]:
        span = trace.get_current_span()
        span.set_attribute("shop.order", body["order"])
        span.set_attribute("user.id", body["user"])
        began = time.perf_counter()
        _work(service)
        work.record(time.perf_counter() - began, {"operation": service.operation})
        try:
            if random.random() < service.error_ratio:
                raise PaymentDeclined(f"order {body['order']}: the bank declined the card")
            for peer in service.calls:
                call(telemetry.tracer, f"http://127.0.0.1:{peers[peer]}/{SERVICES[peer].operation}", body, peer)
        except (PaymentDeclined, OSError) as e:
            span.record_exception(e)
            orders.add(1, {"outcome": "failed"})
            telemetry.log.error("order %s of user %s failed: %s", body["order"], body["user"], e)
            raise HTTPException(502, "the order could not be completed") from None
        if WORKER in peers:
            call(telemetry.tracer, f"http://127.0.0.1:{peers[WORKER]}/jobs", body, WORKER)
        orders.add(1, {"outcome": "done"})
        telemetry.log.info("%s of order %s for user %s done", service.operation, body["order"], body["user"])
        return {"order": body["order"]}

    return app


def _work(service: Service) -> None:
    """Takes the service's time; now and then, far longer."""
    slow = random.random() < service.slow_ratio
    time.sleep(random.expovariate(1 / (service.slow_s if slow else service.typical_s)))


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=SERVICES)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--peers", default="")
    args = parser.parse_args()
    peers = {name: int(port) for name, _, port in (p.partition("=") for p in args.peers.split(",") if p)}
    telemetry = set_up(args.name, args.to)
    app = make_app(SERVICES[args.name], peers, telemetry)
    instrument(app, telemetry)
    try:
        uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning")
    finally:
        telemetry.close()


if __name__ == "__main__":
    main()
