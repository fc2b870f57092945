"""Jaeger's remote sampling: what share of its traces a service should keep, from a file of strategies.

`GET /sampling?service=` answers as Jaeger does. The file is Jaeger's own format.
Source: jaegertracing.io/docs, "Sampling", "File-based sampling configuration"; jaeger-idl, proto/api_v2/sampling.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from obs.errors import ConfigError

PATH = "/jaeger/sampling"

DEFAULT_PROBABILITY = 0.001
"""Jaeger's own, where nothing is said of a service."""

Json = dict[str, Any]


class OperationStrategy(BaseModel):
    """What is said of one operation."""

    operation: str
    type: Literal["probabilistic", "ratelimiting"] = "probabilistic"
    param: Annotated[float, Field(ge=0)] = DEFAULT_PROBABILITY


class Strategy(BaseModel):
    """What is said of one service, or of all others."""

    type: Literal["probabilistic", "ratelimiting"] = "probabilistic"
    param: Annotated[float, Field(ge=0)] = DEFAULT_PROBABILITY
    operation_strategies: list[OperationStrategy] = []


class ServiceStrategy(Strategy):
    """What is said of a service by its name."""

    service: str


class Strategies(BaseModel):
    """The file."""

    default_strategy: Strategy | None = None
    service_strategies: list[ServiceStrategy] = []


class Sampling:
    """The endpoint; `prepared` reads the file again. Raises: ConfigError."""

    def __init__(self, file: str | None) -> None:
        self._file = file
        self.prepared()()

    def prepared(self) -> Callable[[], None]:
        """Read the file; what is returned takes it over and cannot fail. Raises: ConfigError."""
        strategies = Strategies() if self._file is None else read(Path(self._file))
        general = strategies.default_strategy or Strategy()
        default = orjson.dumps(answer(general, general))
        named = strategies.service_strategies
        services: Mapping[str, bytes] = {s.service: orjson.dumps(answer(s, general)) for s in named}

        def use() -> None:
            self._default, self._services = default, services

        return use

    async def answer(self, request: Request) -> Response:
        """The strategy of a service, as Jaeger's JSON."""
        services = request.query_params.getlist("service")
        if len(services) != 1:
            return PlainTextResponse("'service' parameter must be provided once\n", 400)
        return Response(self._services.get(services[0], self._default), media_type="application/json")


def read(file: Path) -> Strategies:
    """The strategies of a file. Raises: ConfigError."""
    key = "receivers.jaeger.sampling.file"
    try:
        return Strategies.model_validate(orjson.loads(file.read_bytes()))
    except OSError as e:
        raise ConfigError(f"{key}: cannot read {str(file)!r}: {e.strerror}; name a readable JSON file") from None
    except orjson.JSONDecodeError as e:
        raise ConfigError(f"{key}: cannot parse {str(file)!r}: {e}") from None
    except ValidationError as e:
        fault = e.errors()[0]
        path = ".".join(str(part) for part in fault["loc"])
        raise ConfigError(f"{key}: cannot use {path or 'the whole'} of {str(file)!r}: {fault['msg']}") from None


def answer(strategy: Strategy, general: Strategy) -> Json:
    """A SamplingStrategyResponse; operations of the general strategy hold for each service that names them not."""
    probabilistic = strategy.type == "probabilistic"
    found: Json = {"strategyType": "PROBABILISTIC" if probabilistic else "RATE_LIMITING"}
    if probabilistic:
        found["probabilisticSampling"] = {"samplingRate": strategy.param}
    else:
        found["rateLimitingSampling"] = {"maxTracesPerSecond": int(strategy.param)}
    operations = {o.operation: o for o in (*general.operation_strategies, *strategy.operation_strategies)}
    if operations:
        rate = strategy.param if probabilistic else DEFAULT_PROBABILITY
        found["operationSampling"] = {
            "defaultSamplingProbability": rate,
            "defaultLowerBoundTracesPerSecond": 0,
            "perOperationStrategies": [_operation(o, rate) for o in operations.values()],
            "defaultUpperBoundTracesPerSecond": 0,
        }
    return found


def _operation(given: OperationStrategy, otherwise: float) -> Json:
    """An operation's part: only a probability can be said of one, as with Jaeger."""
    rate = given.param if given.type == "probabilistic" else otherwise
    return {"operation": given.operation, "probabilisticSampling": {"samplingRate": rate}}
