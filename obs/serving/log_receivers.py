"""The receivers of logs beside OTLP: their paths at the one port, and the ports of their own that a user may open."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from obs.collector.limits import BodySizes
from obs.collector.receivers.elasticsearch import http as elasticsearch
from obs.collector.receivers.elasticsearch.http import Elasticsearch
from obs.collector.receivers.fluent.server import Fluent
from obs.collector.receivers.loki.http import LokiPush
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.splunk.http import SplunkHec
from obs.collector.receivers.syslog.server import Syslog
from obs.config import ReceiversConfig, TlsListenConfig
from obs.errors import ConfigError
from obs.serving import sockets
from obs.serving.front import AsgiApp


class LogReceivers:
    """All of them. Binds the ports that the configuration names at once. Raises: ConfigError."""

    def __init__(self, intake: Intake, config: ReceiversConfig, sizes: BodySizes) -> None:
        self._loki = LokiPush(intake, sizes)
        self._elasticsearch = Elasticsearch(intake, sizes)
        self._splunk = SplunkHec(intake, config.splunk_hec.tokens, sizes)
        self._fluent = Fluent(intake, config.fluent.shared_key)
        self._syslog = Syslog(intake)
        self._sockets: dict[str, socket.socket] = {}
        try:
            self._bind("elasticsearch.listen", config.elasticsearch.listen)
            self._bind("splunk_hec.listen", config.splunk_hec.listen)
            self._bind("fluent.listen", config.fluent.listen)
            self._bind("syslog.tcp", config.syslog.tcp)
            self._bind("syslog.udp", config.syslog.udp, socket.SOCK_DGRAM)
            self._bind("syslog.tls", config.syslog.tls.listen)
            self._syslog_tls = None if config.syslog.tls.listen is None else tls_context(config.syslog.tls)
        except BaseException:
            self._unbind()
            raise

    def routes(self) -> list[Route]:
        """Paths at the one port that take bodies."""
        return self._loki.routes()

    def apps(self) -> Mapping[str, AsgiApp]:
        """Apps at the one port, by the first part of their paths."""
        mounted = Starlette(routes=[Mount(elasticsearch.PREFIX, app=self._elasticsearch.app)])
        return {elasticsearch.PREFIX.strip("/"): mounted, "services": self._splunk.app}

    def listening(self) -> Sequence[tuple[AsgiApp, socket.socket]]:
        """Apps with HTTP ports of their own."""
        apps = {"elasticsearch.listen": self._elasticsearch.app, "splunk_hec.listen": self._splunk.app}
        return [(app, self._sockets[key]) for key, app in apps.items() if key in self._sockets]

    def start(self) -> None:
        """Serve the ports that are not HTTP."""
        if "fluent.listen" in self._sockets:
            self._fluent.start(self._sockets["fluent.listen"])
        tcp, udp, tls = (self._sockets.get(f"syslog.{kind}") for kind in ("tcp", "udp", "tls"))
        if tcp or udp or tls:
            self._syslog.start(tcp, udp, tls, self._syslog_tls)

    def addresses(self) -> Mapping[str, str]:
        """HOST:PORT of each port that was opened, by the name of its setting."""
        return {key: sockets.address_of(sock) for key, sock in self._sockets.items()}

    def close(self) -> None:
        """Stop taking logs and wait for what is in work."""
        for receiver in (self._syslog, self._fluent, self._loki, self._elasticsearch, self._splunk):
            receiver.close()
        self._unbind()

    def _bind(self, key: str, address: str | None, kind: int = socket.SOCK_STREAM) -> None:
        if address is not None:
            self._sockets[key] = sockets.listen(address, f"receivers.{key}", kind)

    def _unbind(self) -> None:
        for sock in self._sockets.values():
            sock.close()


def tls_context(config: TlsListenConfig) -> ssl.SSLContext:
    """What a server speaks TLS with. Raises: ConfigError where its files cannot be read."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.cert_file, config.key_file or None)
        if config.client_ca_file:
            context.load_verify_locations(config.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as e:  # SSLError is one
        raise ConfigError(
            f"receivers.syslog.tls: cannot use certificate {config.cert_file!r} with key {config.key_file!r} and "
            f"authority {config.client_ca_file!r}: {e.strerror or e}; name PEM files that can be read"
        ) from None
    return context
