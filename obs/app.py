"""The wiring: configuration → rooms, fitted into each other's ports, started in order, stopped in reverse.

The only module that knows every room. `App(config).run()` is `obs up`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from obs import warm
from obs.alertmanager import api as alerts_api
from obs.alertmanager.service import AlertService
from obs.alertrelay import AlertRelay
from obs.collector.ledger import Ledger
from obs.collector.limits import BodySizes
from obs.collector.pipeline import Pipeline, Processor
from obs.collector.processors.cut import Cut
from obs.collector.processors.redact import Redaction, Rule
from obs.collector.receivers.otlp.grpc_server import OtlpGrpc
from obs.collector.receivers.otlp.http import OtlpHttp
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.push import api as push_api
from obs.collector.receivers.push.receiver import Push
from obs.collector.receivers.remote_write.http import RemoteWrite
from obs.collector.receivers.scrape import api as targets_api
from obs.collector.receivers.scrape.config import Job
from obs.collector.receivers.scrape.receiver import Scraper
from obs.columnar.options import EngineOptions
from obs.config import Config, ProcessorsConfig, StoreConfig, TsdbConfig, host_port
from obs.errors import ConfigError, QueryError
from obs.live_config import LiveConfig, relaying
from obs.logstore import api as logs_api
from obs.logstore.delete_requests import DeleteRequests
from obs.logstore.limits import MERGE_BYTES
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore
from obs.logstore.stream_retention import StreamRetention, StreamRetentions
from obs.model.batch import Batch, Signal
from obs.model.clock import SYSTEM_CLOCK, Clock
from obs.model.ports import Consumer, Evaluator, Store
from obs.serving import control, faults, own_metrics, own_traces, sockets
from obs.serving.agent_process import AgentProcess
from obs.serving.data_folder import DataFolder
from obs.serving.front import Front, not_found
from obs.serving.log_receivers import LogReceivers
from obs.serving.server import Listener, serve
from obs.serving.span_processors import SpanProcessors
from obs.serving.status import Status
from obs.serving.trace_receivers import READ_TOO, TraceReceivers
from obs.sql import api as sql_api
from obs.sql.engine import SqlEngine
from obs.tracestore import api as traces_api
from obs.tracestore import grpc_jaeger
from obs.tracestore.store import TraceStore
from obs.tsdb import api as metrics_api
from obs.tsdb.api_query import handlers as query_handlers
from obs.tsdb.limits import StoreLimits
from obs.tsdb.params import selector
from obs.tsdb.promql import PromQL, QueryOptions
from obs.tsdb.store import MetricStore
from obs.ui import app as ui
from obs.version import __version__

KERNELS_WAIT_S = 3.0
"""How long readiness waits for compiled kernels to load from disk. It never waits for a compiler."""

QUIET_S = 20.0
"""The UI loads ahead of its first page after so long with less than a tenth of a core in use."""

log = logging.getLogger("obs.app")


def make_stores(config: Config, clock: Clock = SYSTEM_CLOCK) -> tuple[MetricStore, LogStore, TraceStore]:
    """The three stores of a data folder, not yet opened."""
    folder = config.data
    return (
        MetricStore(folder / "metrics", _engine_options(config, config.metrics), clock, _store_limits(config.tsdb)),
        LogStore(folder / "logs", _log_options(config), clock, config.logs.stream_attributes),
        TraceStore(folder / "traces", _engine_options(config, config.traces), clock),
    )


def _store_limits(tsdb: TsdbConfig) -> StoreLimits:
    return StoreLimits(max_series=tsdb.max_series, max_series_per_metric=tsdb.max_series_per_metric)


def _query_options(config: Config) -> QueryOptions:
    return QueryOptions(
        use_starts=config.tsdb.use_start_timestamps,
        typed=config.tsdb.type_and_unit_labels,
        subquery_step_ms=round(config.global_.evaluation_interval * 1000),
    )


def _engine_options(config: Config, store: StoreConfig) -> EngineOptions:
    return EngineOptions(
        flush_rows=store.flush_rows,
        flush_bytes=_flush_bytes(store),
        flush_age_s=store.flush_age,
        memory_limit_bytes=store.memory_limit,
        retention_age_s=store.retention.age,
        retention_bytes=store.retention.size,
        fsync=config.wal.fsync,
        fsync_interval_s=config.wal.fsync_interval,
    )


def _log_options(config: Config) -> EngineOptions:
    """The same for logs, whose blocks are large from the first."""
    return replace(_engine_options(config, config.logs), compact_max_bytes=MERGE_BYTES)


def _flush_bytes(store: StoreConfig) -> int:
    """As configured; the default where a configured memory limit has room for it, else that limit."""
    return store.flush_bytes if "flush_bytes" in store.model_fields_set else min(store.flush_bytes, store.memory_limit)


def _processors(config: ProcessorsConfig) -> Sequence[Processor]:
    """What the configuration asks for, in the order in which it is done. Raises: ConfigError."""
    found: list[Processor] = []
    if config.max_line is not None:
        found.append(Cut(config.max_line))
    if config.redact.patterns or config.redact.regexes:
        found.append(Redaction(config.redact.patterns, [Rule(r.regex, r.replace) for r in config.redact.regexes]))
    return found


class App:
    """One obs server. The constructor takes the data folder and binds the addresses; `run` serves until told to stop.

    Raises: ConfigError where the folder, an address or a file cannot be used.
    """

    def __init__(self, config: Config, clock: Clock = SYSTEM_CLOCK, reread: Callable[[], Config] | None = None) -> None:
        self.config = config
        self._live = LiveConfig(config, reread, clock)
        self._clock = clock
        self._started_ns = clock.now_ns()
        self._folder = DataFolder(config.data)
        self._closers: list[Callable[[], object]] = [self._folder.release]
        try:
            self._bind()
            self._make_stores()
            self._make_intake()
            self._make_queries()
            self._make_alerts()
            self._make_status()
            self._make_http()
        except BaseException:
            self.close()
            raise

    def run(self, ready: Callable[[App], None] = lambda _: None) -> None:
        """Start everything, call `ready`, serve until SIGTERM or SIGINT, stop everything."""
        try:
            self._start()
            listeners = [Listener(self._front, self._http_socket), Listener(self._otlp_front, self._otlp_socket)]
            listeners += [Listener(app, sock) for app, sock in self._log_receivers.listening()]
            listeners += [Listener(app, sock) for app, sock in self._trace_receivers.listening(self._front)]
            serve(listeners, partial(self._on_serving, ready))
        finally:
            self.close()

    def close(self) -> None:
        """Stop what was started, the newest first; safe to call twice."""
        while self._closers:
            closer = self._closers.pop()
            try:
                closer()
            except Exception:
                log.exception("stopping failed in part; going on")

    def consume(self, signal: Signal, batch: Batch, receiver: str) -> None:
        """Store a batch that obs itself made, and enter it in the ledger."""
        stored = self.pipeline.consume(batch)
        self.ledger.record(signal, receiver, stored.batch.items, stored.dropped)

    # --- making the parts, in the order in which they need each other ---

    def _bind(self) -> None:
        self._http_socket = sockets.listen(self.config.listen, "listen")
        self._closers.append(self._http_socket.close)
        self._otlp_socket = sockets.listen(self.config.otlp_http, "otlp_http")
        self._closers.append(self._otlp_socket.close)
        self.address = sockets.address_of(self._http_socket)
        self.url = f"http://{self.address}"
        self.otlp_http = f"http://{sockets.address_of(self._otlp_socket)}"
        self.otlp_grpc = self.config.otlp_grpc

    @property
    def receivers(self) -> Mapping[str, str]:
        """HOST:PORT of each port of a receiver's own, by the name of its setting."""
        return {**self._log_receivers.addresses(), **self._trace_receivers.addresses()}

    def _make_stores(self) -> None:
        self.metrics, self.logs, self.traces = make_stores(self.config, self._clock)
        self._consumers: Mapping[Signal, Consumer] = {
            Signal.METRICS: self.metrics,
            Signal.LOGS: self.logs,
            Signal.TRACES: self.traces,
        }
        self.stores: Mapping[Signal, Store] = {
            Signal.METRICS: self.metrics,
            Signal.LOGS: self.logs,
            Signal.TRACES: self.traces,
        }

    def _make_intake(self) -> None:
        limits = self.config.limits
        sizes = BodySizes(limits.body, limits.inflated_body)
        self.ledger = Ledger()
        processors = _processors(self.config.processors)
        derived = partial(self.consume, Signal.METRICS)
        self._spans = SpanProcessors(self.config, self.traces, derived, self.ledger, self._clock)
        self.traces.holder = self._spans.holder
        consumers = {**self._consumers, Signal.TRACES: self._spans.consumer}
        self.pipeline = Pipeline(consumers, processors, max_in_flight_bytes=limits.in_flight)
        self.intake = Intake(self.pipeline, self.ledger, self.config.tsdb.type_and_unit_labels)
        self._otlp_grpc = OtlpGrpc(self.intake, limits.body, queries=grpc_jaeger.services(self.traces))
        self._otlp_http = OtlpHttp(self.intake, sizes)
        self._remote_write = RemoteWrite(self.intake, sizes)
        self._log_receivers = LogReceivers(self.intake, self.config.receivers, sizes)
        self._closers.append(self._log_receivers.close)
        self._trace_receivers = TraceReceivers(self.intake, self.config.receivers, sizes)
        self._closers.append(self._trace_receivers.close)
        self._push = Push(self.intake, self._clock, self.config.data / "push")
        self._scraper = Scraper(self.intake, self._clock, Path())

    def _make_queries(self) -> None:
        self.promql = PromQL(self.metrics, _query_options(self.config), self.metrics.changes)
        self.logql = LogQL(self.logs)
        self._log_deletes = DeleteRequests(self.logs, self.config.data / "logs-deletes.json")
        self._log_retention = self._retention_by_stream()
        sql = self.config.sql
        sources = (self.metrics, self.logs, self.traces)
        self.sql = SqlEngine(sources, self.config.data, sql.memory, sql.timeout)

    def _retention_by_stream(self) -> StreamRetentions:
        rules = [StreamRetention(rule.query, rule.age) for rule in self.config.logs.retention_by_stream]
        try:
            return StreamRetentions(self.logs, rules)
        except QueryError as e:
            raise ConfigError(f"logs.retention_by_stream: {e}") from None

    def _make_alerts(self) -> None:
        options = self._live.alert_options(self.config.data / "alerts", self.url)
        evaluators: Mapping[str, Evaluator] = {"promql": self.promql, "logql": self.logql}
        store = partial(self.consume, Signal.METRICS, receiver="rules")
        self._relay = AlertRelay(self._clock, Path())
        self.alerts = AlertService(options, evaluators, self._check_query, store, self._clock, self._relay)

    def _check_query(self, language: str, query: str) -> None:
        {"promql": self.promql.check, "logql": self.logql.check}[language](query)

    def _make_status(self) -> None:
        config = self.config
        self._agent = AgentProcess(config.data / "agent", config.agent.interval, config.agent.logs)
        self.status = Status(self.stores, self.ledger, self._agent, self._started_ns, self._clock)
        self._registry = own_metrics.registry(
            self.ledger, self.stores, [self.status, self._relay, *self._spans.collectors()]
        )
        interval_s = config.self_.metrics_interval
        self._own_metrics = own_metrics.OwnMetrics(
            self._registry, self.pipeline, self.ledger, self.address, interval_s, self._clock
        )
        self._tracing = own_traces.tracer_provider(self.intake, self.address, config.self_.trace_ratio)

    def _reload(self) -> str:
        """Read configuration, rule files and sampling strategies again. Raises: ConfigError."""
        return self._live.reload(self._use)

    def _use(self, config: Config, jobs: Sequence[Job]) -> None:
        """Read everything first: what cannot be read is refused before anything has changed."""
        use_sampling = self._trace_receivers.sampling.prepared()
        use_alerts = self.alerts.prepared(self._live.alert_options(self.config.data / "alerts", self.url, config))
        relayed = relaying(config)
        self._scraper.apply(jobs)
        self.promql.set_subquery_step(round(config.global_.evaluation_interval * 1000))
        use_alerts()
        self._relay.apply(relayed)
        use_sampling()

    def _compact(self) -> int:
        return sum(store.engine.compact() for store in (self.metrics, self.logs, self.traces))

    def _make_http(self) -> None:
        api = FastAPI(
            title="obs", version=__version__, docs_url="/api/docs", redoc_url=None, openapi_url="/api/openapi.json"
        )
        faults.install(api)
        api.include_router(control.router(self.status, self._registry, self.stores, self._reload, self._compact))
        api.include_router(
            metrics_api.router(
                self.metrics,
                self.promql,
                version=__version__,
                started_ns=self._started_ns,
                settings=metrics_api.Settings(self._live.text, self._live.external_labels, lambda: self._live.reloaded),
            )
        )
        api.include_router(
            targets_api.router(self._scraper, partial(selector, parameter="match_target"), self._live.job_text)
        )
        api.include_router(push_api.router(self._push, self.config.limits.body))
        api.include_router(logs_api.router(self.logs, self.logql, self._log_deletes))
        api.include_router(traces_api.router(self.traces))
        api.include_router(alerts_api.router(self.alerts, selector))
        api.include_router(sql_api.router(self.sql))
        api.router.routes.extend(self._trace_receivers.reads())
        own_traces.instrument(api, self._tracing)
        self._ui = ui.mount(api, self.url, start=False)
        routes = [*self._otlp_http.routes(), *self._remote_write.routes()]
        routes += [*self._log_receivers.routes(), *self._trace_receivers.routes()]
        self._front = Front(
            routes, api, self._log_receivers.apps(), READ_TOO,
            {**self._otlp_http.takers(), **self._remote_write.takers()},
            query_handlers(self.promql), own_traces.Draw(self.config.self_.trace_ratio),
        )  # fmt: skip
        self._otlp_front = Front(self._otlp_http.routes(), not_found, takers=self._otlp_http.takers())

    # --- starting them ---

    def _start(self) -> None:
        warm.start()
        for store in self.stores.values():
            store.open()
            self._closers.append(store.close)
        self._closers.append(self._spans.close)
        self._spans.start()
        self._closers.append(self.sql.close)
        self._closers.append(self._otlp_http.close)
        self._closers.append(self._remote_write.close)
        self._closers.append(self._otlp_grpc.close)
        self._log_receivers.start()
        self._closers.append(self._log_receivers.close)
        self._closers.append(self._trace_receivers.close)
        host, _ = host_port(self.config.otlp_grpc, "otlp_grpc")
        self.otlp_grpc = f"{host}:{self._otlp_grpc.start(self.config.otlp_grpc)}"
        self._closers.append(self._tracing.shutdown)
        self._push.start()
        self._closers.append(self._push.close)
        self._scraper.apply(self._live.jobs)
        self._closers.append(self._scraper.close)
        self._log_retention.start()
        self._closers.append(self._log_retention.close)
        self._own_metrics.start()
        self._closers.append(self._own_metrics.close)
        self._relay.apply(relaying(self.config))
        self._closers.append(self._relay.close)
        self.alerts.start()
        self._closers.append(self.alerts.close)
        warm.wait_if_compiled(KERNELS_WAIT_S)

    def _on_serving(self, ready: Callable[[App], None]) -> None:
        """Called once requests are answered: what may come later than readiness starts here."""
        self.status.ready = True
        if self.config.agent.enabled:
            self._agent.start(self.otlp_grpc)
            self._closers.append(self._agent.close)
        threading.Thread(target=self._load_ui, name="load-ui-later", daemon=True).start()
        ready(self)

    def _load_ui(self) -> None:
        """Kernels first, then in a quiet moment: telemetry is waiting, while a page request loads the UI by itself."""
        warm.start().join()
        used = -QUIET_S
        while time.process_time() - used >= QUIET_S / 10:
            used = time.process_time()
            time.sleep(QUIET_S)
        self._ui.start()
