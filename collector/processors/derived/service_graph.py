"""Service-graph metrics: requests from one service to another, paired from the spans of both sides.

A half waits a bounded time for the other; then it becomes a virtual node where it names its peer, or counts as
unpaired. Source: grafana.com/docs/tempo, "Service graphs".
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from obs.collector.processors.derived.families import Counter, Families, Histogram
from obs.collector.processors.derived.halves import (
    CLIENT,
    DATABASE,
    HALF,
    NOBODY,
    SERVER,
    VIRTUAL,
    Halves,
    Names,
    halves,
)
from obs.collector.processors.derived.state import Ints, State, grouped, tally
from obs.model.clock import Clock

BOUNDS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
"""Tempo's default buckets."""

USER = "user"
"""The client of a request that came from outside."""

CONNECTIONS = ("", "messaging_system", "database", "virtual_node")

_PREFIX = "traces_service_graph"
_REQUESTS, _FAILED, _UNPAIRED, _DROPPED = range(4)
_SERVER_SIDE, _CLIENT_SIDE = range(2)
_MATCH_AT = 50_000
"""Halves that came since the last pairing: past it they are paired at once, and not with the next tick."""


@dataclass(frozen=True, slots=True)
class ServiceGraphOptions:
    """How pairs are made and shown."""

    wait_s: float = 10.0
    max_pending: int = 100_000
    bounds_s: Sequence[float] = BOUNDS_S
    classic: bool = True
    native: bool = False
    max_keys: int = 10_000


def families(options: ServiceGraphOptions) -> Families:
    """Tempo's metrics."""
    bounds = tuple(options.bounds_s)
    return Families(
        ("client", "server", "connection_type"),
        (
            Counter(f"{_PREFIX}_request_total", "Requests between two services."),
            Counter(f"{_PREFIX}_request_failed_total", "Requests of which either side says that they failed."),
            Counter(f"{_PREFIX}_unpaired_spans_total", "Spans whose other side did not come in time."),
            Counter(f"{_PREFIX}_dropped_spans_total", "Spans that there was no room to wait with."),
        ),
        (
            Histogram(f"{_PREFIX}_request_server_seconds", "Durations as the server saw them.", bounds),
            Histogram(f"{_PREFIX}_request_client_seconds", "Durations as the client saw them.", bounds),
        ),
        options.classic,
        options.native,
    )


class ServiceGraph:
    """Observes batches of spans; `tick` pairs them; `state` under `lock` is what came of it."""

    def __init__(self, options: ServiceGraphOptions, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self.lock = threading.Lock()
        self.state = State(families(options), options.max_keys)
        self._names = Names()
        self._waiting = np.zeros(0, HALF)
        self._came: list[Halves] = []
        self._pending = 0

    def observe(self, spans: pa.RecordBatch) -> None:
        """Take a batch's requests, sent and served."""
        now_s = self._clock.now_ns() / 1e9
        with self.lock:
            found = halves(spans, self._names, now_s)
            whole = found["connection"] == DATABASE
            if whole.any():
                self._count(found[whole], None, now_s)
            found = found[~whole]
            room = max(self._options.max_pending - self._pending, 0)
            if len(found) > room:
                self._lose(found[room:], _DROPPED, now_s)
                found = found[:room]
            self._came.append(found)
            self._pending += len(found)
            if sum(map(len, self._came)) > _MATCH_AT:
                self._pair(now_s)

    def tick(self, now_s: float) -> None:
        """Pair what came, and give up on what waited too long."""
        with self.lock:
            self._pair(now_s)
            late = self._waiting["came_s"] < now_s - self._options.wait_s
            if late.any():
                self._expire(self._waiting[late], now_s)
                self._waiting = self._waiting[~late]
            self._pending = len(self._waiting)

    def _pair(self, now_s: float) -> None:
        """Each server's half with the client's of the same key."""
        every = np.concatenate([self._waiting, *self._came])
        self._came.clear()
        clients, servers = every[every["side"] == CLIENT], every[every["side"] == SERVER]
        clients = clients[np.argsort(clients["key"], kind="stable")]
        at = np.searchsorted(clients["key"], servers["key"])
        hit = at < len(clients)
        hit[hit] = clients["key"][at[hit]] == servers["key"][hit]
        if hit.any():
            self._count(clients[at[hit]], servers[hit], now_s)
        left = np.ones(len(clients), np.bool_)
        left[np.searchsorted(clients["key"], servers["key"][hit])] = False
        self._waiting = np.concatenate([clients[left], servers[~hit]])
        self._pending = len(self._waiting)

    def _count(self, clients: Halves, served: Halves | None, now_s: float) -> None:
        """Requests of which both sides are known; None: the client's half is both, as with databases."""
        servers = clients if served is None else served
        server = servers["peer" if served is None else "service"]
        connection = np.maximum(clients["connection"], servers["connection"])
        rows, group = self._rows(clients["service"], server, connection, now_s)
        weights = clients["weight"]
        self.state.count(rows, _REQUESTS, tally(group, weights, len(rows)))
        failed = weights * (clients["failed"] | servers["failed"])
        self.state.count(rows, _FAILED, tally(group, failed, len(rows)))
        self.state.observe(rows, _SERVER_SIDE, group, servers["duration_s"], weights)
        self.state.observe(rows, _CLIENT_SIDE, group, clients["duration_s"], weights)

    def _expire(self, late: Halves, now_s: float) -> None:
        """A client that names its peer called a virtual node; a server's root was called by a user."""
        for side, known, column in (
            (CLIENT, late["peer"] != NOBODY, _CLIENT_SIDE), (SERVER, late["root"], _SERVER_SIDE),
        ):  # fmt: skip
            own = late[(late["side"] == side) & known]
            if len(own):
                self._count_half(own, side, column, now_s)
            self._lose(late[(late["side"] == side) & ~known], _UNPAIRED, now_s)

    def _count_half(self, own: Halves, side: int, column: int, now_s: float) -> None:
        user = np.full(len(own), self._names.code(USER))
        client, server = (own["service"], own["peer"]) if side == CLIENT else (user, own["service"])
        rows, group = self._rows(client, server, np.full(len(own), VIRTUAL), now_s)
        self.state.count(rows, _REQUESTS, tally(group, own["weight"], len(rows)))
        self.state.count(rows, _FAILED, tally(group, own["weight"] * own["failed"], len(rows)))
        self.state.observe(rows, column, group, own["duration_s"], own["weight"])

    def _lose(self, own: Halves, counter: int, now_s: float) -> None:
        """Count halves whose other side is not known."""
        if len(own):
            nobody = np.full(len(own), NOBODY)
            is_client = own["side"] == CLIENT
            client, server = np.where(is_client, own["service"], nobody), np.where(is_client, nobody, own["service"])
            rows, group = self._rows(client, server, np.zeros(len(own), np.int64), now_s)
            self.state.count(rows, counter, tally(group, np.ones(len(own)), len(rows)))

    def _rows(self, client: Ints, server: Ints, connection: Ints, now_s: float) -> tuple[Ints, Ints]:
        """(row of each group, group of each item)."""
        size = len(self._names)
        first, group = grouped([(client.astype(np.int64), size), (server.astype(np.int64), size),
                                (connection.astype(np.int64), len(CONNECTIONS))])  # fmt: skip
        keys = zip(client[first].tolist(), server[first].tolist(), connection[first].tolist(), strict=True)
        rows = self.state.rows((self._names[c], self._names[s], CONNECTIONS[t]) for c, s, t in keys)
        self.state.touch(rows, now_s)
        return rows, group
