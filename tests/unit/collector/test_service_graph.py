"""Service-graph metrics: pairs in any order and over batches, virtual nodes, databases, messages, bounds."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from derived_series import SECOND, Hands, Written, writer
from span_batches import SpanRow, spans_table

from obs.collector.processors.derived.service_graph import ServiceGraph, ServiceGraphOptions

EDGE = ("client", "server", "connection_type")
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(1, 6)


class Graph:
    """The processor with its clock, and what it wrote."""

    def __init__(self, **options: int) -> None:
        self.clock, self.written = Hands(), Written()
        self.graph = ServiceGraph(ServiceGraphOptions(**options), self.clock)  # type: ignore[arg-type]
        self._timer = writer(self.graph, self.written, self.clock)

    def observe(self, *rows: SpanRow) -> None:
        self.graph.observe(spans_table(rows))

    def pass_s(self, seconds: float) -> None:
        self.clock.ns += round(seconds * SECOND)
        self.graph.tick(self.clock.ns / SECOND)

    def figures(self, name: str) -> dict[tuple[str, ...], float]:
        self._timer.write()
        found = self.written.last(f"traces_service_graph_{name}", *EDGE)
        return {key: value for key, value in found.items() if value}


def pair(trace: int, client: str = "web", server: str = "cart", status: int = 0, **more: int) -> list[SpanRow]:
    return [
        SpanRow(trace, 1, service=client, kind=CLIENT, end=4 * 10**8),
        SpanRow(trace, 2, parent=1, service=server, kind=SERVER, end=3 * 10**8, status=status),
    ]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("first", ["client", "server"])
def test_two_sides_are_a_request(together: bool, first: str) -> None:
    graph = Graph()
    rows = pair(1, status=2)
    rows = rows if first == "client" else rows[::-1]
    if together:
        graph.observe(*rows)
    else:
        graph.observe(rows[0])
        graph.pass_s(1)
        graph.observe(rows[1])
    graph.pass_s(1)
    edge = ("web", "cart", "")
    assert graph.figures("request_total") == {edge: 1}
    assert graph.figures("request_failed_total") == {edge: 1}
    assert graph.figures("request_client_seconds_sum") == {edge: pytest.approx(0.4)}
    assert graph.figures("request_server_seconds_sum") == {edge: pytest.approx(0.3)}
    buckets = graph.written.last("traces_service_graph_request_server_seconds_bucket", *EDGE, "le")
    assert (buckets[(*edge, "0.2")], buckets[(*edge, "0.4")], buckets[(*edge, "+Inf")]) == (0, 1, 1)
    graph.pass_s(60)
    assert graph.figures("unpaired_spans_total") == {}


def test_many_pairs_in_any_order_are_all_found() -> None:
    graph, at = Graph(), random.Random(5)
    services = ["web", "cart", "pay"]
    made = [(trace, at.choice(services), at.choice(services)) for trace in range(1, 400)]
    rows = [row for trace, client, server in made for row in pair(trace, client, server)]
    at.shuffle(rows)
    for i in range(0, len(rows), 37):
        graph.observe(*rows[i : i + 37])
        graph.pass_s(0.2)
    graph.pass_s(1)
    assert graph.figures("request_total") == Counter((client, server, "") for _, client, server in made)
    graph.pass_s(60)
    assert graph.figures("unpaired_spans_total") == {}


def test_one_client_span_of_two_servers_is_two_requests() -> None:
    graph = Graph()
    graph.observe(*pair(1), SpanRow(1, 3, parent=1, service="pay", kind=SERVER))
    graph.pass_s(1)
    assert graph.figures("request_total") == {("web", "cart", ""): 1, ("web", "pay", ""): 1}


def test_shared_spans_of_zipkin_are_a_request() -> None:
    graph = Graph()
    graph.observe(
        SpanRow(1, 5, parent=9, service="web", kind=CLIENT),
        SpanRow(1, 5, parent=9, service="cart", kind=SERVER, attributes={"zipkin.shared": True}),
    )
    graph.pass_s(1)
    assert graph.figures("request_total") == {("web", "cart", ""): 1}


def test_a_database_is_the_other_side_at_once() -> None:
    graph = Graph()
    graph.observe(
        SpanRow(1, 1, service="cart", kind=CLIENT, status=2, attributes={"db.system": "redis"}),
        SpanRow(1, 2, service="cart", kind=CLIENT, attributes={"db.system": "postgresql", "db.name": "orders"}),
    )
    assert graph.figures("request_total") == {("cart", "redis", "database"): 1, ("cart", "orders", "database"): 1}
    assert graph.figures("request_failed_total") == {("cart", "redis", "database"): 1}


def test_messages_are_a_connection_of_their_own() -> None:
    graph = Graph()
    graph.observe(
        SpanRow(1, 1, service="shop", kind=PRODUCER), SpanRow(1, 2, parent=1, service="mail", kind=CONSUMER),
    )  # fmt: skip
    graph.pass_s(1)
    assert graph.figures("request_total") == {("shop", "mail", "messaging_system"): 1}


def test_who_waits_in_vain_is_virtual_where_it_says_so_and_else_unpaired() -> None:
    graph = Graph(wait_s=10)
    graph.observe(
        SpanRow(1, 1, service="web", kind=CLIENT, attributes={"peer.service": "stripe"}, status=2),
        SpanRow(2, 1, service="web", kind=SERVER),
        SpanRow(3, 1, service="lost", kind=CLIENT),
        SpanRow(4, 1, parent=77, service="orphan", kind=SERVER),
        SpanRow(5, 1, service="web", kind=INTERNAL),
    )
    graph.pass_s(9)
    assert graph.figures("request_total") == {}
    graph.pass_s(2)
    virtual = {("web", "stripe", "virtual_node"): 1, ("user", "web", "virtual_node"): 1}
    assert graph.figures("request_total") == virtual
    assert graph.figures("request_failed_total") == {("web", "stripe", "virtual_node"): 1}
    assert graph.figures("unpaired_spans_total") == {("lost", "", ""): 1, ("", "orphan", ""): 1}
    assert graph.figures("request_client_seconds_count") == {("web", "stripe", "virtual_node"): 1}
    assert graph.figures("request_server_seconds_count") == {("user", "web", "virtual_node"): 1}


def test_what_there_is_no_room_for_is_counted() -> None:
    graph = Graph(max_pending=10)
    graph.observe(*(SpanRow(i, 1, service="web", kind=CLIENT) for i in range(1, 26)))
    assert graph.figures("dropped_spans_total") == {("web", "", ""): 15}
    graph.observe(*(SpanRow(i, 2, parent=1, service="cart", kind=SERVER) for i in range(1, 6)))
    assert graph.figures("dropped_spans_total") == {("web", "", ""): 15, ("", "cart", ""): 5}
    graph.pass_s(60)
    assert graph.figures("unpaired_spans_total") == {("web", "", ""): 10}
    graph.observe(*pair(100))
    graph.pass_s(1)
    assert graph.figures("request_total") == {("web", "cart", ""): 1}


def test_weights_count_as_many_requests_as_they_say() -> None:
    graph = Graph()
    client, server = pair(1)
    weighted = SpanRow(1, 1, service="web", kind=CLIENT, attributes={"sampling.weight": 4.0})
    assert client.service == weighted.service
    graph.observe(weighted, server)
    graph.pass_s(1)
    assert graph.figures("request_total") == {("web", "cart", ""): 4}
