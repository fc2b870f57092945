"""The shopper: a client that places orders at a steady rate, each in a trace of its own.

`python -m obs.demo.shopper --frontend PORT --to HOST:PORT --rate ORDERS_PER_SECOND`
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import threading

from opentelemetry.trace import SpanKind

from obs.demo.shop import CLIENT, SERVICES
from obs.demo.telemetry import Telemetry, set_up
from obs.demo.wire import call


def place_order(telemetry: Telemetry, url: str, number: int) -> None:
    """One order, which may fail; the trace and the log say so."""
    user = f"u{random.randrange(200)}"
    with telemetry.tracer.start_as_current_span("place order", kind=SpanKind.INTERNAL) as span:
        span.set_attribute("user.id", user)
        with contextlib.suppress(OSError):
            call(telemetry.tracer, url, {"order": f"o{number}", "user": user}, "frontend")
            return
        telemetry.log.warning("order o%s of user %s could not be placed", number, user)


def main() -> None:
    """Order until the process is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frontend", type=int, required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--rate", type=float, default=5.0)
    args = parser.parse_args()
    telemetry = set_up(CLIENT, args.to)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    url = f"http://127.0.0.1:{args.frontend}/{SERVICES['frontend'].operation}"
    number = random.randrange(10**6)
    while not stop.wait(random.expovariate(args.rate)):
        number += 1
        place_order(telemetry, url, number)
    telemetry.close()


if __name__ == "__main__":
    main()
