"""The receivers of traces beside OTLP: their paths at the one port, and the ports of their own that a user may open."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from starlette.routing import Route

from obs.collector.limits import BodySizes
from obs.collector.receivers.jaeger.http import PATH as JAEGER
from obs.collector.receivers.jaeger.http import JaegerSpans
from obs.collector.receivers.jaeger.sampling import PATH as SAMPLING
from obs.collector.receivers.jaeger.sampling import Sampling
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.zipkin.http import V2, ZipkinSpans
from obs.config import ReceiversConfig
from obs.serving import sockets
from obs.serving.front import AsgiApp, Prefixed

READ_TOO = (JAEGER, V2)
"""Paths that take spans by POST and answer queries by GET."""


class TraceReceivers:
    """All of them. Binds the ports that the configuration names at once. Raises: ConfigError."""

    def __init__(self, intake: Intake, config: ReceiversConfig, sizes: BodySizes) -> None:
        self._zipkin = ZipkinSpans(intake, sizes)
        self._jaeger = JaegerSpans(intake, sizes)
        self.sampling = Sampling(config.jaeger.sampling.file)
        self._sockets: dict[str, socket.socket] = {}
        self._prefixes: dict[str, str] = {}
        try:
            self._bind("zipkin.listen", config.zipkin.listen, "/zipkin")
            self._bind("jaeger.listen", config.jaeger.listen, "/jaeger")
            self._bind("jaeger.sampling.listen", config.jaeger.sampling.listen, "/jaeger")
        except BaseException:
            self._unbind()
            raise

    def routes(self) -> list[Route]:
        """Paths at the one port that take bodies."""
        return [*self._zipkin.routes(), *self._jaeger.routes()]

    def reads(self) -> list[Route]:
        """Paths at the one port that answer."""
        return [Route(SAMPLING, self.sampling.answer, methods=["GET"])]

    def listening(self, front: AsgiApp) -> Sequence[tuple[AsgiApp, socket.socket]]:
        """Apps with ports of their own: what `front` has below their prefix."""
        return [(Prefixed(front, prefix), self._sockets[key]) for key, prefix in self._prefixes.items()]

    def addresses(self) -> Mapping[str, str]:
        """HOST:PORT of each port that was opened, by the name of its setting."""
        return {key: sockets.address_of(sock) for key, sock in self._sockets.items()}

    def close(self) -> None:
        """Stop taking spans and wait for what is in work."""
        self._zipkin.close()
        self._jaeger.close()
        self._unbind()

    def _bind(self, key: str, address: str | None, prefix: str) -> None:
        if address is not None:
            self._sockets[key] = sockets.listen(address, f"receivers.{key}")
            self._prefixes[key] = prefix

    def _unbind(self) -> None:
        for sock in self._sockets.values():
            sock.close()
