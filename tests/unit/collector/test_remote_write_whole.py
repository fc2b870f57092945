"""Remote write taken whole: the same answers as the usual way, room given back, and what is left to the usual way."""

from __future__ import annotations

from queue import Queue

import cramjam
import pytest
from starlette.responses import Response

from obs.collector import limits
from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.remote_write.http import RECEIVER, RemoteWrite
from obs.errors import StorageFull
from obs.model.batch import Batch, Signal

HEADERS = {b"content-type": b"application/x-protobuf", b"content-encoding": b"snappy"}
LABEL = b"\x0a\x0d\x0a\x08__name__\x12\x01a"
SAMPLE = b"\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x01"
BODY = b"\x0a" + bytes([len(LABEL + SAMPLE)]) + LABEL + SAMPLE


class Store:
    """Takes all, or raises what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.batches: list[Batch] = []

    def consume(self, batch: Batch) -> None:
        if self.error is not None:
            raise self.error
        self.batches.append(batch)


def answered(store: Store, body: bytes) -> tuple[Response, Pipeline, Ledger]:
    pipeline, ledger = Pipeline({Signal.METRICS: store}), Ledger()
    receiver = RemoteWrite(Intake(pipeline, ledger))
    visit = receiver.begin(HEADERS, len(body))
    assert visit is not None and pipeline.in_flight_bytes == 0
    assert visit.more(len(body)) is None and pipeline.in_flight_bytes == len(body)
    answers: Queue[Response] = Queue()
    visit.take(body, answers.put)
    response = answers.get(timeout=60)
    receiver.close()
    return response, pipeline, ledger


@pytest.mark.parametrize(
    ("error", "body", "status", "said"),
    [
        (None, BODY, 204, b""),
        (None, b"\x0a\x7f", 400, b"cannot read remote write body"),
        (StorageFull("cannot write: full"), BODY, 503, b"cannot write: full"),
        (ZeroDivisionError("bug"), BODY, 500, b"internal error"),
    ],
    ids=["stored", "malformed", "full", "bug"],
)
def test_answers(error: Exception | None, body: bytes, status: int, said: bytes) -> None:
    store = Store(error)
    response, pipeline, ledger = answered(store, bytes(cramjam.snappy.compress_raw(body)))
    assert response.status_code == status and said in response.body
    assert pipeline.in_flight_bytes == 0
    totals = ledger.totals(Signal.METRICS, RECEIVER)
    assert totals.balanced and totals.stored == len(store.batches) == (status == 204)


def test_no_snappy_at_all() -> None:
    response, pipeline, _ = answered(Store(), b"\xff\xff\xff")
    assert response.status_code == 400 and pipeline.in_flight_bytes == 0


@pytest.mark.parametrize(
    ("headers", "nbytes"),
    [
        (HEADERS, limits.WHOLE_BYTES + 1),
        ({**HEADERS, b"content-encoding": b"gzip"}, 10),
        ({**HEADERS, b"content-type": b"application/json"}, 10),
    ],
    ids=["large", "another encoding", "another type"],
)
def test_what_comes_the_usual_way(headers: dict[bytes, bytes], nbytes: int) -> None:
    receiver = RemoteWrite(Intake(Pipeline({}), Ledger()))
    assert receiver.begin(headers, nbytes) is None


def test_no_room() -> None:
    pipeline, ledger = Pipeline({}, max_in_flight_bytes=100), Ledger()
    receiver = RemoteWrite(Intake(pipeline, ledger))
    first, second = receiver.begin(HEADERS, 90), receiver.begin(HEADERS, 90)
    assert first is not None and second is not None and first.more(90) is None
    refused = second.more(20)
    assert refused is not None and refused.status_code == 429 and refused.headers["connection"] == "close"
    assert pipeline.in_flight_bytes == 90 and ledger.totals(Signal.METRICS, RECEIVER).balanced
    first.leave()
    assert pipeline.in_flight_bytes == 0


def test_a_body_that_is_too_slow() -> None:
    pipeline = Pipeline({})
    visit = RemoteWrite(Intake(pipeline, Ledger())).begin(HEADERS, 90)
    assert visit is not None and visit.more(40) is None
    response = visit.too_slow(60)
    assert response.status_code == 408 and response.headers["connection"] == "close" and pipeline.in_flight_bytes == 0
