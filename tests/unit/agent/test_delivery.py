"""Spool and lane: in order, at least once, bounded, through restarts and damaged files."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from otlp_sink import wait_until

from obs.agent.lane import Lane
from obs.agent.limits import BACKOFF_MAX_S
from obs.agent.logs.mark import FileMark, Fingerprint
from obs.agent.own import OwnMetrics
from obs.agent.request import Request
from obs.agent.sender import Outcome, Verdict, backoff_s, retry_after_s
from obs.agent.spool import Spool

MARK = FileMark("k", "/var/log/x", 1, 2, Fingerprint.of(b"abc"), 10)
OK = Outcome(Verdict.DELIVERED)
AWAY = Outcome(Verdict.RETRY, "UNAVAILABLE", retry_after_s=0.0)
REFUSED = Outcome(Verdict.REFUSED, "INVALID_ARGUMENT")


def request(n: int) -> Request:
    return Request(b"body %d" % n, 1)


class Server:
    """Answers from a list, then always the same; remembers what it took."""

    def __init__(self, *answers: Outcome, then: Outcome = OK) -> None:
        self.answers, self.then = deque(answers), then
        self.taken: list[bytes] = []
        self.tries = 0

    def send(self, signal: str, body: bytes) -> Outcome:
        self.tries += 1
        answer = self.answers.popleft() if self.answers else self.then
        if answer.verdict is Verdict.DELIVERED:
            self.taken.append(body)
        return answer


def lane(server: Server, folder: Path, own: OwnMetrics, limit: int = 1 << 20, drop: bool = True) -> Lane:
    return Lane("metrics", server.send, Spool(folder, limit), own, drop_oldest=drop)


def test_request_bytes_round_trip() -> None:
    original = Request(b"\x00\n{}", 3, (MARK,))
    assert Request.from_bytes(original.to_bytes()) == original


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"items":1}\nx', Request(b"abc", 1).to_bytes()[:-1]])
def test_damaged_requests_are_told(damage: bytes) -> None:
    with pytest.raises(ValueError):
        Request.from_bytes(damage)


def test_spool_keeps_order_through_reopening(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    for n in range(12):
        spool.append(request(n))
    (tmp_path / "000000000003.req").write_bytes(b"damaged")
    (tmp_path / "000000000099.req.tmp").write_bytes(b"unfinished")
    again = Spool(tmp_path, 1 << 20)
    bodies = []
    while (head := again.head()) is not None:
        bodies.append(head.body)
        again.remove_head()
    assert bodies == [b"body %d" % n for n in range(12) if n != 2]
    assert again.damaged == 1 and again.bytes == 0 and list(tmp_path.iterdir()) == []


def test_delivery_in_order_while_the_server_comes_and_goes(tmp_path: Path) -> None:
    server = Server(AWAY, OK, AWAY, AWAY, OK, AWAY)
    one = lane(server, tmp_path, OwnMetrics())
    one.start()
    for n in range(30):
        one.submit(request(n))
    wait_until(lambda: one.is_idle, "everything is delivered")
    one.stop()
    assert server.taken == [b"body %d" % n for n in range(30)]


def test_what_is_not_delivered_is_there_after_a_restart(tmp_path: Path) -> None:
    own = OwnMetrics()
    first = lane(Server(then=AWAY), tmp_path, own)
    first.start()
    for n in range(5):
        first.submit(request(n))
    first.stop()
    server = Server()
    second = lane(server, tmp_path, own)
    second.start()
    second.submit(request(5))
    wait_until(lambda: second.is_idle, "everything is delivered")
    second.stop()
    assert server.taken == [b"body %d" % n for n in range(6)]
    assert own.value("obs_agent_send_failures_total", signal="metrics", code="UNAVAILABLE") > 0


def test_stop_delivers_what_is_in_memory(tmp_path: Path) -> None:
    server = Server()
    one = lane(server, tmp_path, OwnMetrics())
    one.submit(request(1))
    one.start()
    one.stop()
    assert server.taken == [b"body 1"] and list(tmp_path.iterdir()) == []


def test_a_full_spool_drops_the_oldest_and_counts(tmp_path: Path) -> None:
    own = OwnMetrics()
    one = lane(Server(then=AWAY), tmp_path, own, limit=400)
    one.start()
    for n in range(50):
        one.submit(request(n))
    wait_until(lambda: own.value("obs_agent_dropped_items_total", signal="metrics", reason="spool_full") >= 40, "drops")
    one.stop()
    kept = Spool(tmp_path, 400)
    assert kept.bytes <= 400 and 0 < len(kept) < 10
    dropped = own.value("obs_agent_dropped_items_total", signal="metrics", reason="spool_full")
    assert dropped + len(kept) == 50


def test_a_full_log_spool_asks_to_wait(tmp_path: Path) -> None:
    own = OwnMetrics()
    one = lane(Server(then=AWAY), tmp_path, own, limit=100, drop=False)
    one.start()
    for n in range(5):
        one.submit(request(n))
    wait_until(lambda: len(Spool(tmp_path, 100)) == 5, "all on disk")
    assert one.is_full
    one.stop()
    assert own.value("obs_agent_dropped_items_total", signal="metrics", reason="spool_full") == 0


def test_a_server_that_asks_for_a_year_is_asked_again_sooner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obs.agent.lane.RETRY_AFTER_MAX_S", 0.0)
    server = Server(Outcome(Verdict.RETRY, "UNAVAILABLE", retry_after_s=3e7))
    one = lane(server, tmp_path, OwnMetrics())
    one.start()
    one.submit(request(1))
    wait_until(lambda: server.taken, "the second try")
    one.stop()


def test_refused_and_doubtful_requests_do_not_block(tmp_path: Path) -> None:
    doubtful = Outcome(Verdict.DOUBTFUL, "INTERNAL", retry_after_s=0.0)
    own, done = OwnMetrics(), threading.Event()
    server = Server(REFUSED, *[doubtful] * 5)
    one = Lane(
        "logs",
        server.send,
        Spool(tmp_path, 100),
        own,
        drop_oldest=False,
        done=lambda r: done.set() if r.items == 9 else None,
    )
    one.start()
    for items in (1, 2, 9):
        one.submit(Request(b"x", items, (MARK,)))
    assert done.wait(20)
    one.stop()
    assert own.value("obs_agent_dropped_items_total", signal="logs", reason="invalid_argument") == 1
    assert own.value("obs_agent_dropped_items_total", signal="logs", reason="internal") == 2
    assert own.value("obs_agent_sent_items_total", signal="logs") == 9
    assert server.tries == 7


def test_rejected_items_are_counted(tmp_path: Path) -> None:
    own = OwnMetrics()
    one = lane(Server(Outcome(Verdict.DELIVERED, rejected=2)), tmp_path, own)
    one.submit(Request(b"x", 5))
    one.start()
    one.stop()
    assert own.value("obs_agent_sent_items_total", signal="metrics") == 3
    assert own.value("obs_agent_dropped_items_total", signal="metrics", reason="rejected") == 2


def test_an_unwritable_spool_keeps_memory_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnMetrics()
    spool = Spool(tmp_path, 100)
    spool.folder = tmp_path / "gone"
    server = Server(then=AWAY)
    one = Lane("metrics", server.send, spool, own, drop_oldest=True)
    one.start()
    for n in range(40):
        one.submit(request(n))
    wait_until(
        lambda: own.value("obs_agent_dropped_items_total", signal="metrics", reason="spool_unwritable") >= 30, "drops"
    )
    server.then = OK
    wait_until(lambda: one.is_idle, "the rest is delivered")
    one.stop()
    assert server.taken[-1] == b"body 39"


def test_retry_info() -> None:
    any_message = AnyMessage()
    any_message.Pack(RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)))
    assert retry_after_s(Status(code=8, details=[any_message]).SerializeToString()) == 2.5
    assert retry_after_s(Status(code=8).SerializeToString()) is None
    assert retry_after_s(b"\xff\xff") is None


def test_backoff_grows_to_its_bound() -> None:
    assert 0 < backoff_s(1) <= 0.5
    assert all(backoff_s(n) <= BACKOFF_MAX_S for n in range(1, 100))
    assert min(backoff_s(50) for _ in range(20)) >= BACKOFF_MAX_S / 2
