"""Who is who in the shop: the services, what they call, how slow and how faulty they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """One FastAPI process. `calls` are made for each request, in order; times in seconds."""

    name: str
    operation: str
    calls: Sequence[str]
    typical_s: float
    slow_s: float
    slow_ratio: float
    error_ratio: float


SERVICES: Mapping[str, Service] = {
    s.name: s
    for s in (
        Service("frontend", "checkout", ("cart", "payment"), 0.004, 0.05, 0.02, 0.0),
        Service("cart", "items", (), 0.003, 0.12, 0.05, 0.01),
        Service("payment", "charge", (), 0.012, 0.8, 0.03, 0.04),
    )
}
WORKER = "mailer"
CLIENT = "shopper"
