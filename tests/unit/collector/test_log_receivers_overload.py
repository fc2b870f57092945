"""A store that cannot take more: every protocol's own way to say so, and what is taken once it can."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from obs.collector.ledger import Ledger
from obs.collector.limits import BodySizes
from obs.collector.pipeline import Pipeline
from obs.collector.receivers.elasticsearch.http import Elasticsearch
from obs.collector.receivers.fluent.server import Fluent
from obs.collector.receivers.loki.http import LokiPush
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.splunk.http import SplunkHec
from obs.collector.receivers.syslog.server import Syslog
from obs.errors import Overloaded
from obs.model.batch import Batch, Signal
from obs.serving.sockets import listen


class FullStore:
    """Refuses so many batches, then takes all."""

    def __init__(self) -> None:
        self.refusals, self.taken = 1, list[Batch]()

    def consume(self, batch: Batch) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Overloaded("cannot take batch: full; send it again", 0.01)
        self.taken.append(batch)

    @property
    def items(self) -> int:
        return sum(batch.items for batch in self.taken)


@pytest.fixture
def store() -> FullStore:
    return FullStore()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def intake(store: FullStore, ledger: Ledger) -> Intake:
    return Intake(Pipeline({Signal.LOGS: store}), ledger)


PUSH = {"streams": [{"stream": {"a": "b"}, "values": [["1", "line"]]}]}
HTTP: Mapping[str, tuple[str, bytes, dict[str, str], int]] = {
    "loki": ("/loki/api/v1/push", json.dumps(PUSH).encode(), {"Content-Type": "application/json"}, 429),
    "elasticsearch": ("/_bulk", b'{"create":{"_index":"i"}}\n{"message":"line"}\n', {}, 429),
    "splunk_hec": ("/services/collector/event", b'{"event":"line"}', {}, 503),
}


@pytest.fixture
def apps(intake: Intake) -> Iterator[Mapping[str, Starlette]]:
    loki, elastic, splunk = (
        LokiPush(intake, BodySizes(4096, 8192)),
        Elasticsearch(intake, BodySizes(4096, 8192)),
        SplunkHec(intake, (), BodySizes(4096, 8192)),
    )
    yield {"loki": Starlette(routes=loki.routes()), "elasticsearch": elastic.app, "splunk_hec": splunk.app}
    for receiver in (loki, elastic, splunk):
        receiver.close()


@pytest.mark.parametrize("name", HTTP)
def test_over_http_the_sender_is_told_to_come_back(
    apps: Mapping[str, Starlette], store: FullStore, ledger: Ledger, name: str
) -> None:
    path, body, headers, status = HTTP[name]
    client = TestClient(apps[name])
    assert client.post(path, content=body, headers=headers).status_code == status
    assert client.post(path, content=body, headers=headers).status_code < 300
    assert store.items == 1
    totals = ledger.totals(Signal.LOGS, name)
    assert (totals.received, totals.stored) == (1, 1)


@pytest.mark.parametrize("name", HTTP)
def test_bodies_that_are_too_large_are_refused(apps: Mapping[str, Starlette], store: FullStore, name: str) -> None:
    path, _, headers, _ = HTTP[name]
    client = TestClient(apps[name])
    for body, more in ((b"x" * 5000, {}), (gzip.compress(b" " * 100_000), {"Content-Encoding": "gzip"})):
        answer = client.post(path, content=body, headers={**headers, **more})
        assert answer.status_code == 413, answer.text
        assert "Traceback" not in answer.text
    assert client.post(path, content=b"x", headers={**headers, "Content-Encoding": "br"}).status_code in (400, 415)
    assert not store.taken


async def _exchange(address: tuple[str, int], sent: bytes, answer: bool) -> Any:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    said = await asyncio.wait_for(reader.read(4096), 20) if answer else None
    writer.close()
    return said


def test_fluent_is_acknowledged_only_when_it_is_stored(intake: Intake, store: FullStore) -> None:
    sock, receiver = listen("127.0.0.1:0", "listen"), Fluent(intake)
    address = sock.getsockname()
    receiver.start(sock)
    message = msgpack.packb(["tag", [[1, {"message": "line"}]], {"chunk": "c"}])
    assert msgpack.unpackb(asyncio.run(_exchange(address, message, True))) == {"ack": "c"}
    receiver.close()
    assert (store.refusals, store.items) == (0, 1)


def test_syslog_over_tcp_waits(intake: Intake, store: FullStore) -> None:
    sock, receiver = listen("127.0.0.1:0", "listen"), Syslog(intake)
    address = sock.getsockname()
    receiver.start(sock, None)

    async def send() -> None:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"<1>one\n<1>two\n")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 20) == b""

    asyncio.run(send())
    receiver.close()
    assert (store.refusals, store.items) == (0, 2)
