"""Jaeger's strategies: what a service is told, and what is said of a faulty file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from obs.collector.receivers.jaeger.sampling import Sampling
from obs.errors import ConfigError

FILE = {
    "default_strategy": {
        "type": "probabilistic", "param": 0.5,
        "operation_strategies": [{"operation": "/health", "type": "probabilistic", "param": 0.0}],
    },
    "service_strategies": [
        {"service": "web", "type": "probabilistic", "param": 0.8, "operation_strategies": [
            {"operation": "op1", "type": "probabilistic", "param": 0.2},
            {"operation": "op2", "type": "ratelimiting", "param": 5},
        ]},
        {"service": "cart", "type": "ratelimiting", "param": 5},
    ],
}  # fmt: skip


def asked(file: Path | None, query: str) -> tuple[int, str]:
    sampling = Sampling(str(file) if file else None)
    client = TestClient(Starlette(routes=[Route("/sampling", sampling.answer)]))
    answer = client.get(f"/sampling?{query}")
    return answer.status_code, answer.text


def operations(default: float, **rates: float) -> str:
    each = ",".join(
        f'{{"operation":"{name}","probabilisticSampling":{{"samplingRate":{rate}}}}}' for name, rate in rates.items()
    )
    return (
        f'"operationSampling":{{"defaultSamplingProbability":{default},"defaultLowerBoundTracesPerSecond":0,'
        f'"perOperationStrategies":[{each}],"defaultUpperBoundTracesPerSecond":0}}'
    )


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("service=web", '{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.8},'
         + operations(0.8, **{"/health": 0.0, "op1": 0.2, "op2": 0.8}) + "}"),
        ("service=cart", '{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":5},'
         + operations(0.001, **{"/health": 0.0}) + "}"),
        ("service=other", '{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.5},'
         + operations(0.5, **{"/health": 0.0}) + "}"),
    ],
)  # fmt: skip
def test_a_service_is_told_its_strategy(tmp_path: Path, query: str, text: str) -> None:
    file = tmp_path / "strategies.json"
    file.write_text(json.dumps(FILE))
    assert asked(file, query) == (200, text)


def test_without_a_file_the_default_is_jaegers() -> None:
    assert asked(None, "service=x") == (
        200, '{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.001}}',
    )  # fmt: skip


@pytest.mark.parametrize("query", ["", "service=a&service=b"])
def test_a_request_for_no_service_is_refused(query: str) -> None:
    assert asked(None, query) == (400, "'service' parameter must be provided once\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot parse"),
        ('{"default_strategy": {"type": "adaptive"}}', "default_strategy.type"),
        ('{"service_strategies": [{"param": 1}]}', "service_strategies.0.service"),
        ('{"service_strategies": [{"service": "a", "param": -1}]}', "service_strategies.0.param"),
    ],
)
def test_a_faulty_file_is_told(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "strategies.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as error:
        Sampling(str(file))
    assert str(error.value).startswith("receivers.jaeger.sampling.file: cannot ")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        Sampling(str(tmp_path / "absent.json"))
