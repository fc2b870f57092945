"""Jaeger's own client against obs: its spans over Thrift with tags, logs and references, and its remote sampler."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaeger_client.thrift as jaeger_thrift
import opentracing
import pytest
import tornado.gen
import tornado.ioloop
from jaeger_client import ConstSampler, Tracer
from jaeger_client.local_agent_net import LocalAgentHTTP
from jaeger_client.reporter import InMemoryReporter
from jaeger_client.sampler import AdaptiveSampler, ProbabilisticSampler, RemoteControlledSampler
from log_senders import post
from obs_process import ObsProcess
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.THttpClient import THttpClient

CONFIG = """
receivers:
  jaeger:
    listen: "127.0.0.1:0"
    sampling: {{listen: "127.0.0.1:0", file: "{file}"}}
"""


@pytest.fixture(scope="module")
def strategies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("strategies") / "strategies.json"
    file.write_text('{"service_strategies": [{"service": "cart", "type": "probabilistic", "param": 0.25}]}')
    return file


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory, strategies: Path) -> Iterator[ObsProcess]:
    folder = tmp_path_factory.mktemp("jaeger")
    config = folder / "obs.yml"
    config.write_text(CONFIG.format(file=strategies))
    with ObsProcess(folder / "data", "--config", str(config), ports=2) as process:
        yield process
        assert "Traceback" not in process.errors()


def report(obs: ObsProcess, tracer: Tracer, spans: list[Any]) -> None:
    """What the client's reporter does, over HTTP."""
    process = jaeger_thrift.make_process(tracer.service_name, tracer.tags, tracer.max_tag_value_length)
    batch = jaeger_thrift.make_jaeger_batch(spans, process)
    transport = THttpClient(f"http://{obs.receivers['jaeger']}/api/traces")
    transport.setCustomHeaders({"Content-Type": "application/x-thrift"})
    batch.write(TBinaryProtocol(transport))
    transport.flush()
    assert transport.code == 202


def test_spans_of_the_client_are_found_with_all_they_carry(obs: ObsProcess) -> None:
    reporter = InMemoryReporter()
    tracer = Tracer("cart", reporter, ConstSampler(True), tags={"zone": "eu-1"}, generate_128bit_trace_id=True)
    root = tracer.start_span("add")
    root.set_tag("span.kind", "server").set_tag("http.status_code", 500).set_tag("ratio", 0.5).set_tag("error", True)
    root.log_kv({"event": "retry", "attempt": 2})
    after = tracer.start_span("sweep", references=opentracing.follows_from(root.context))
    for span in (after, root):
        span.finish()
    report(obs, tracer, reporter.get_spans())
    path = f"/api/traces/{root.trace_id:032x}"
    (found,) = json.loads(obs.client.transport.raw(f"/jaeger{path}", []))["data"]
    spans = {span["operationName"]: span for span in found["spans"]}
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in spans["add"]["tags"]}
    assert tags["http.status_code"] == ("int64", 500)
    assert tags["ratio"] == ("float64", 0.5)
    assert tags["error"] == ("bool", True)
    assert tags["span.kind"] == ("string", "server")
    (log,) = spans["add"]["logs"]
    assert {(f["key"], f["value"]) for f in log["fields"]} == {("event", "retry"), ("attempt", 2)}
    assert spans["sweep"]["references"][0]["spanID"] == f"{root.span_id:016x}"
    (process,) = found["processes"].values()
    assert process["serviceName"] == "cart"
    assert {tag["key"]: tag["value"] for tag in process["tags"]}["zone"] == "eu-1"
    with urllib.request.urlopen(f"http://{obs.receivers['jaeger']}{path}", timeout=60) as answer:
        assert json.loads(answer.read())["data"] == [found]


class Seen(RemoteControlledSampler):
    """The sampler, which tells whether it was answered."""

    answered = False

    def _update_sampler(self, response: Any) -> None:
        super()._update_sampler(response)
        self.answered = True


def polled(address: str, service: str) -> Seen:
    """The client's sampler once it asked."""
    loop = tornado.ioloop.IOLoop()
    channel = LocalAgentHTTP(*address.split(":"))
    channel.io_loop = loop
    sampler = Seen(channel, service, sampling_refresh_interval=0.1)
    try:
        for _ in range(200):
            loop.run_sync(lambda: tornado.gen.sleep(0.02))
            if sampler.answered:
                break
        return sampler
    finally:
        sampler.close()
        loop.close(all_fds=True)


def test_the_clients_sampler_is_told_its_rate_and_again_after_a_reload(obs: ObsProcess, strategies: Path) -> None:
    address = obs.receivers["jaeger.sampling"]
    sampler = polled(address, "cart").sampler
    assert isinstance(sampler, ProbabilisticSampler)
    assert sampler.rate == 0.25
    whole = strategies.read_text()
    strategies.write_text("{")
    assert post(obs.url, "/-/reload", b"", {})[0] == 400
    assert polled(address, "cart").sampler.rate == 0.25
    told = json.loads(whole)
    told["service_strategies"][0]["operation_strategies"] = [{"operation": "add", "param": 0.75}]
    strategies.write_text(json.dumps(told))
    assert post(obs.url, "/-/reload", b"", {})[0] == 200
    sampler = polled(obs.receivers["jaeger.sampling"], "cart").sampler
    assert isinstance(sampler, AdaptiveSampler)
    assert sampler.samplers["add"].rate == 0.75
    raw = obs.client.transport.raw("/jaeger/sampling", [("service", "unknown")])
    assert json.loads(raw)["probabilisticSampling"] == {"samplingRate": 0.001}
