"""Configuration: a YAML file, overridden by the command line, checked whole before anything starts.

Every key has a default; unknown keys are refused with the known ones named. Sizes are bytes or `10GB`, times
seconds or `30d`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from obs.config_keys import unknown
from obs.config_values import Delay, Duration, LabelValue, Size, cause
from obs.errors import ConfigError
from obs.model.resource import NAMING_ATTRIBUTES
from obs.tracestore.limits import FLUSH_BYTES

_NAMED_BY_USERS = ("labels", "params", "filters")  # of scrape jobs: what is in them may be called as a setting is


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _given_keys(cls, values: Any) -> Any:
        if values is None:  # `logs:` with nothing under it
            return {}
        if isinstance(values, (dict, cls)):
            return values
        raise ValueError("this section holds keys: write them below it, indented")


class Retention(_Section):
    """How long and how much a store keeps; whichever limit is reached first removes the oldest."""

    age: Duration | None = 30 * 86400.0
    size: Size | None = None


class StoreConfig(_Section):
    """One store."""

    retention: Retention = Retention()
    flush_rows: Annotated[int, Field(gt=0)] = 4_000_000
    flush_bytes: Size = 64 << 20
    flush_age: Duration = 300.0
    memory_limit: Size = 512 << 20


class StreamRetentionConfig(_Section):
    """Records of a LogQL selector, with filters where needed, that go before those of the store."""

    query: str
    age: Duration


class LogsConfig(StoreConfig):
    """The log store."""

    flush_bytes: Size = (
        96 << 20
    )  # at 100,000 records a second memory stays near 600 MB; what is large is not merged again
    retention_by_stream: list[StreamRetentionConfig] = []
    stream_attributes: list[str] = list(NAMING_ATTRIBUTES)  # of the resource; those without a dot name streams anyway


class TracesConfig(StoreConfig):
    """The trace store."""

    flush_bytes: Size = FLUSH_BYTES


class TsdbConfig(_Section):
    """How many series metrics may have (new ones past a limit are dropped, known ones go on); what is used of them."""

    max_series_per_metric: Annotated[int, Field(gt=0)] = 200_000
    max_series: Annotated[int, Field(gt=0, le=1 << 30)] = 5_000_000
    type_and_unit_labels: bool = False
    use_start_timestamps: bool = False


class Limits(_Section):
    """What a sender may ask for."""

    body: Annotated[Size, Field(lt=2**31)] = 64 << 20  # gRPC counts in 32 bits
    inflated_body: Size = 256 << 20
    in_flight: Size = 512 << 20


class Wal(_Section):
    """When the WAL is synced: on a timer (`interval`), or before each answer (`always`)."""

    fsync: Literal["interval", "always"] = "interval"
    fsync_interval: Duration = 1.0


class ListenConfig(_Section):
    """A port of a receiver's own, HOST:PORT; none where it is not set."""

    listen: str | None = None


class SplunkConfig(ListenConfig):
    """Splunk's HTTP event collector."""

    tokens: list[str] = []  # that may send; none: everybody may


class FluentConfig(ListenConfig):
    """Fluentd's forward protocol."""

    shared_key: str = ""


class TlsListenConfig(ListenConfig):
    """A port that speaks TLS; with `client_ca_file` senders must show a certificate of that authority."""

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""


class SyslogConfig(_Section):
    """Syslog, HOST:PORT of each transport."""

    tcp: str | None = None
    udp: str | None = None
    tls: TlsListenConfig = TlsListenConfig()


class SamplingConfig(ListenConfig):
    """Jaeger's remote sampling."""

    file: str | None = None  # Jaeger's JSON of strategies; without one, everybody is told Jaeger's own default


class JaegerConfig(ListenConfig):
    """Jaeger's Thrift over HTTP."""

    sampling: SamplingConfig = SamplingConfig()


class ReceiversConfig(_Section):
    """Ports of protocols of their own; the HTTP ones are served at `listen` too."""

    elasticsearch: ListenConfig = ListenConfig()
    splunk_hec: SplunkConfig = SplunkConfig()
    fluent: FluentConfig = FluentConfig()
    syslog: SyslogConfig = SyslogConfig()
    zipkin: ListenConfig = ListenConfig()
    jaeger: JaegerConfig = JaegerConfig()


class RegexConfig(_Section):
    """A regex of RE2, and what takes the place of what it matches."""

    regex: str
    replace: str = "***"


class RedactConfig(_Section):
    """What is taken out of log records before they are stored."""

    patterns: list[str] = []
    regexes: list[RegexConfig] = []


class DerivedConfig(_Section):
    """Metrics that are derived from spans."""

    enabled: bool = False
    interval: Annotated[Duration, Field(ge=1)] = 15.0
    histograms: list[Literal["classic", "native"]] = ["classic"]
    buckets: list[Annotated[float, Field(gt=0)]] | None = None  # seconds, rising; None: those of the names


class SpanMetricsConfig(DerivedConfig):
    """Calls and durations of spans."""

    names: Literal["tempo", "otel"] = "tempo"
    dimensions: list[str] = []  # attributes, of the span before the resource
    max_span_names: Annotated[int, Field(gt=0)] = 500  # of each service
    max_series: Annotated[int, Field(gt=0)] = 20_000  # label sets; each is as many series as it has buckets, and five


class ServiceGraphConfig(DerivedConfig):
    """Requests between services."""

    wait: Duration = 10.0
    max_pending: Annotated[int, Field(gt=0)] = 100_000  # spans that wait for their other side
    max_series: Annotated[int, Field(gt=0)] = 10_000


class TailSamplingConfig(_Section):
    """Which traces are kept; all, where there is no policy."""

    policies: list[Any] = []  # those of the OpenTelemetry Collector; checked by the processor
    decision_wait: Annotated[Duration, Field(ge=0.1)] = 10.0
    memory: Annotated[Size, Field(ge=1 << 20)] = 256 << 20
    remembered: Annotated[int, Field(gt=0)] = 500_000  # decided traces, for spans that come late


class ProcessorsConfig(_Section):
    """What is done to telemetry between its receiver and its store."""

    redact: RedactConfig = RedactConfig()
    max_line: Size | None = None  # bytes of a record's body that are kept; the rest is cut, with a mark
    span_metrics: SpanMetricsConfig = SpanMetricsConfig()
    service_graph: ServiceGraphConfig = ServiceGraphConfig()
    tail_sampling: TailSamplingConfig = TailSamplingConfig()


class AgentConfig(_Section):
    """The node agent that `obs up` starts beside the server."""

    enabled: bool = True
    interval: Duration = 10.0
    logs: list[str] = []


class SelfConfig(_Section):
    """What obs reports of itself, into its own stores."""

    metrics_interval: Duration = 10.0
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1


class SqlConfig(_Section):
    """Limits of one SQL query."""

    memory: Annotated[Size, Field(ge=10**6)] = 1 << 30
    timeout: Duration = 30.0


class GlobalConfig(_Section):
    """Prometheus's `global`: of rules, of the world outside, and what jobs start from that say nothing of it."""

    scrape_interval: Duration = 60.0
    scrape_timeout: Duration = 10.0
    evaluation_interval: Duration = 60.0
    rule_query_offset: Delay = 0.0
    external_labels: dict[str, LabelValue] = {}
    scrape_protocols: list[str] = []
    scrape_native_histograms: bool = False
    always_scrape_classic_histograms: bool = False
    body_size_limit: int | str = 0
    sample_limit: Annotated[int, Field(ge=0)] = 0
    target_limit: Annotated[int, Field(ge=0)] = 0
    label_limit: Annotated[int, Field(ge=0)] = 0
    label_name_length_limit: Annotated[int, Field(ge=0)] = 0
    label_value_length_limit: Annotated[int, Field(ge=0)] = 0
    keep_dropped_targets: Annotated[int, Field(ge=0)] = 0


class Config(_Section):
    """Everything `obs up` can be told."""

    data: Path = Path("obs-data")
    listen: str = "127.0.0.1:9600"
    otlp_grpc: str = "127.0.0.1:4317"
    otlp_http: str = "127.0.0.1:4318"
    metrics: StoreConfig = StoreConfig()
    tsdb: TsdbConfig = TsdbConfig()
    logs: LogsConfig = LogsConfig()
    traces: TracesConfig = TracesConfig()
    limits: Limits = Limits()
    wal: Wal = Wal()
    agent: AgentConfig = AgentConfig()
    self_: Annotated[SelfConfig, Field(alias="self")] = SelfConfig()
    processors: ProcessorsConfig = ProcessorsConfig()
    receivers: ReceiversConfig = ReceiversConfig()
    sql: SqlConfig = SqlConfig()
    external_labels: dict[str, LabelValue] = {}  # as those of `global`
    global_: Annotated[GlobalConfig, Field(alias="global")] = GlobalConfig()
    scrape_configs: list[Any] = []  # Prometheus's own; checked by the receiver
    rule_files: list[str] = []
    alerting: dict[str, Any] = {}  # Alertmanager's own configuration, and Prometheus's `alertmanagers`


def load(path: Path | None, overrides: Mapping[str, Any]) -> Config:
    """The configuration of a file (None: defaults) with `overrides` (None values are ignored) on top.

    Raises: ConfigError naming the key's path and, for an unknown key, the known ones.
    """
    values = _read(path) if path else {}
    for key, value in overrides.items():
        if value is not None:
            _set(values, key.split("."), value)
    try:
        config = Config.model_validate(values)
        return config if path is None else _rooted(config, path.parent)
    except ValidationError as e:
        raise ConfigError("\n".join(_explain(error, path) for error in e.errors())) from None


def _rooted(config: Config, folder: Path) -> Config:
    """With the files that its parts name relative to the configuration's folder, as Prometheus has them."""
    rules = [str(folder / pattern) for pattern in config.rule_files]
    others = {key: _files(value, folder) for key, value in config.alerting.items() if key == "alertmanagers"}
    jobs = _files(config.scrape_configs, folder)
    alerting = {**config.alerting, **others}
    return config.model_copy(update={"rule_files": rules, "scrape_configs": jobs, "alerting": alerting})


def _files(value: Any, folder: Path, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: v if k in _NAMED_BY_USERS else _files(v, folder, str(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_files(each, folder, key) for each in value]
    names_file = isinstance(value, str) and value and (key == "files" or key.endswith("_file"))
    return str(folder / value) if names_file else value


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"cannot read configuration {str(path)!r}: {e.strerror}; name a readable YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfigError(f"cannot parse configuration {str(path)!r}: {_fault(e)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"cannot use configuration {str(path)!r}: it holds a {type(values).__name__}, not keys")
    return values


def _fault(error: Exception) -> str:
    """Where YAML breaks and why, in one line."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark, within = error.problem_mark, f"{error.context}: " if error.context else ""
    return f"{mark.line + 1}:{mark.column + 1}: {within}{error.problem}"


def _set(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        if values.get(key) is None:
            values[key] = {}
        values = values[key]
        if not isinstance(values, dict):  # told when the whole is checked
            return
    values[path[-1]] = value


def _explain(error: Mapping[str, Any], file: Path | None) -> str:
    path = [str(part) for part in error["loc"]]
    key, where = ".".join(path), f" in {str(file)!r}" if file else ""
    if error["type"] != "extra_forbidden":
        return f"{key}: cannot use {error.get('input')!r}{where}: {cause(error)}"
    return f"{key}: cannot use this key{where}: {unknown(Config, error['loc'])}"


def host_port(value: str, key: str) -> tuple[str, int]:
    """`HOST:PORT`, `[V6]:PORT`, `:PORT` or `PORT` taken apart. Raises: ConfigError."""
    host, _, port = value.rpartition(":")
    host = host.strip("[]") or ("0.0.0.0" if value.startswith(":") else "127.0.0.1")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"{key}: cannot use address {value!r}: the port is not a number up to 65535; write HOST:PORT")
    return host, int(port)
