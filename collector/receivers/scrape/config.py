"""`scrape_configs` as Prometheus writes them, checked whole; unknown keys are refused with the known ones named.

Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)  # fmt: skip

from obs.collector.receivers.scrape.relabel import ACTIONS, Rule
from obs.config_keys import unknown
from obs.config_values import cause
from obs.errors import ConfigError
from obs.model.durations import duration_text
from obs.model.regex import compiled

_TIMES = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_SIZES = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def seconds(value: Any) -> Any:
    """Seconds of `1m30s`; what is no duration is returned for the type check to refuse."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", value) if isinstance(value, str) else []
    if not parts or "".join(n + u for n, u in parts) != value:
        return 0.0 if value == "0" else value if isinstance(value, str) else f"{value}"
    return sum(int(n) * _TIMES[u] for n, u in parts)


def nbytes(value: Any) -> Any:
    """Bytes of `10MB`; what is no size is returned for the type check to refuse."""
    found = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", str(value))
    return int(found[1]) * _SIZES[found[2]] if found and found[2] in _SIZES else value


_Shown = PlainSerializer(lambda value: duration_text(round(value * 1000)), str, when_used="json")
Duration = Annotated[float, BeforeValidator(seconds), Field(gt=0), _Shown]
Size = Annotated[int, BeforeValidator(nbytes), Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Protocol = Literal[
    "PrometheusProto", "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4"
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Relabel(_Section):
    """A relabeling rule as it is written."""

    source_labels: list[str] = []
    separator: str = ";"
    regex: str = "(.*)"
    modulus: Count = 0
    target_label: str = ""
    replacement: str = "$1"
    action: str = "replace"

    @model_validator(mode="after")
    def _complete(self) -> Relabel:
        action = self.action.lower()
        if action not in ACTIONS:
            raise ValueError(f"unknown relabel action {self.action!r}; known actions: {', '.join(sorted(ACTIONS))}")
        needs_target = action in ("replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal")
        if needs_target and not self.target_label:
            raise ValueError(f"the {action} action needs a target_label")
        if action == "hashmod" and not self.modulus:
            raise ValueError("the hashmod action needs a modulus above zero")
        compiled(self.regex)
        return self

    def rule(self) -> Rule:
        """The rule."""
        regex = compiled(self.regex)
        source = tuple(self.source_labels)
        return Rule(
            self.action.lower(), source, self.separator, regex, self.modulus, self.target_label, self.replacement
        )


class BasicAuth(_Section):
    """A user and a password, perhaps from files."""

    username: str = ""
    username_file: str = ""
    password: str = ""
    password_file: str = ""


class Authorization(_Section):
    """An Authorization header."""

    type: str = "Bearer"
    credentials: str = ""
    credentials_file: str = ""


class Tls(_Section):
    """How TLS is spoken."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


class HttpClient(_Section):
    """What every HTTP request of a job or a discovery may be told."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    bearer_token: str = ""
    bearer_token_file: str = ""
    tls_config: Tls | None = None
    follow_redirects: bool = True
    enable_http2: bool = True  # accepted; HTTP/1.1 is spoken
    proxy_url: str = ""
    http_headers: dict[str, dict[str, list[str]]] = {}


class StaticTargets(_Section):
    """Targets written out."""

    targets: list[str]
    labels: dict[str, str] = {}


class FileDiscovery(_Section):
    """Targets in YAML or JSON files, named by globs."""

    files: list[str]
    refresh_interval: Duration = 5.0  # files are looked at this often; Prometheus is told of changes


class HttpDiscovery(HttpClient):
    """Targets that a URL gives as JSON."""

    url: str
    refresh_interval: Duration = 60.0


class DnsDiscovery(_Section):
    """Targets that a name server knows."""

    names: list[str]
    type: Literal["SRV", "A", "AAAA", "MX", "NS"] = "SRV"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    refresh_interval: Duration = 30.0


class DockerDiscovery(_Section):
    """Containers of a Docker daemon."""

    host: str
    port: Annotated[int, Field(ge=0, le=65535)] = 80
    host_networking_host: str = "localhost"
    match_first_network: bool = True
    refresh_interval: Duration = 60.0
    filters: list[dict[str, Any]] = []


class Job(HttpClient):
    """One entry of `scrape_configs`."""

    job_name: Annotated[str, Field(min_length=1)]
    scrape_interval: Duration = 60.0
    scrape_timeout: Duration | None = None
    metrics_path: str = "/metrics"
    scheme: Literal["http", "https"] = "http"
    params: dict[str, list[str]] = {}
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps_staleness: bool = False
    enable_compression: bool = True
    scrape_protocols: list[Protocol] = []  # empty: text, with protobuf first for native histograms
    fallback_scrape_protocol: Protocol | Literal[""] = ""
    scrape_classic_histograms: bool = False
    always_scrape_classic_histograms: bool = False
    scrape_native_histograms: bool = False
    sample_limit: Count = 0
    target_limit: Count = 0
    label_limit: Count = 0
    label_name_length_limit: Count = 0
    label_value_length_limit: Count = 0
    keep_dropped_targets: Count = 0
    body_size_limit: Size = 0
    relabel_configs: list[Relabel] = []
    metric_relabel_configs: list[Relabel] = []
    static_configs: list[StaticTargets] = []
    file_sd_configs: list[FileDiscovery] = []
    http_sd_configs: list[HttpDiscovery] = []
    dns_sd_configs: list[DnsDiscovery] = []
    docker_sd_configs: list[DockerDiscovery] = []

    @property
    def timeout_s(self) -> float:
        """The timeout, never over the interval."""
        return self.scrape_timeout or min(10.0, self.scrape_interval)


def parse(entries: Sequence[Any], shared: Mapping[str, Any] = MappingProxyType({})) -> tuple[Job, ...]:
    """Jobs of `scrape_configs`; `shared`: what each starts from. Raises: ConfigError with the key's path."""
    jobs: list[Job] = []
    for number, values in enumerate(entries):
        where = f"scrape_configs.{number}"
        if not isinstance(values, dict):
            raise ConfigError(f"{where}: cannot use {values!r}: a scrape config holds keys, job_name among them")
        try:
            job = Job.model_validate({**shared, **values})
        except ValidationError as e:
            raise ConfigError("\n".join(explain(where, error) for error in e.errors())) from None
        if job.scrape_timeout is not None and "scrape_timeout" not in values:  # the shared one gives way
            job = job.model_copy(update={"scrape_timeout": min(job.scrape_timeout, job.scrape_interval)})
        if job.timeout_s > job.scrape_interval:
            raise ConfigError(f"{where}.scrape_timeout: cannot use it: it is over the scrape_interval; lower it")
        if job.job_name in (known.job_name for known in jobs):
            raise ConfigError(f"{where}.job_name: cannot use {job.job_name!r}: another job has it; name jobs apart")
        jobs.append(job)
    return tuple(jobs)


def explain(where: str, error: Any) -> str:
    """An error of a check, with the path of its key below `where`."""
    key = ".".join([where, *map(str, error["loc"])])
    if error["type"] == "extra_forbidden":
        return f"{key}: cannot use this key: {unknown(Job, error['loc'])}"
    return f"{key}: cannot use {error.get('input')!r}: {cause(error)}"
