"""`alertmanagers` and `alert_relabel_configs` of a prometheus.yml, checked whole.

Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#alertmanager_config
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from obs.collector.receivers.scrape.config import (
    DnsDiscovery,
    DockerDiscovery,
    Duration,
    FileDiscovery,
    HttpClient,
    HttpDiscovery,
    Relabel,
    StaticTargets,
    explain,
)
from obs.collector.receivers.scrape.relabel import Rule, relabeled
from obs.errors import ConfigError
from obs.model.labels import Labels, make_labels

KEYS = ("alertmanagers", "alert_relabel_configs")
"""What `alerting` holds in a prometheus.yml; its other keys are those of an alertmanager.yml."""

API = "/api/v2/alerts"


class Alertmanagers(HttpClient):
    """One entry of `alertmanagers`: where some are found, and how they are spoken to."""

    scheme: Literal["http", "https"] = "http"
    path_prefix: str = "/"
    timeout: Duration = 10.0
    api_version: Literal["v2"] = "v2"
    relabel_configs: list[Relabel] = Field(default_factory=list)
    alert_relabel_configs: list[Relabel] = Field(default_factory=list)
    static_configs: list[StaticTargets] = Field(default_factory=list)
    file_sd_configs: list[FileDiscovery] = Field(default_factory=list)
    http_sd_configs: list[HttpDiscovery] = Field(default_factory=list)
    dns_sd_configs: list[DnsDiscovery] = Field(default_factory=list)
    docker_sd_configs: list[DockerDiscovery] = Field(default_factory=list)

    @property
    def path(self) -> str:
        """Where alerts are posted to."""
        return f"/{self.path_prefix.strip('/')}{API}" if self.path_prefix.strip("/") else API


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    alertmanagers: list[Alertmanagers] = []
    alert_relabel_configs: list[Relabel] = []


@dataclass(frozen=True, slots=True)
class Relaying:
    """Other Alertmanagers, and what alerts go through before they are told to any."""

    alertmanagers: tuple[Alertmanagers, ...] = ()
    rules: tuple[Rule, ...] = ()

    def relabeled(self, labels: Labels) -> Labels | None:
        """An alert's labels as others see them; None: it is told to nobody."""
        return relabeled_alert(labels, self.rules)


def relabeled_alert(labels: Labels, rules: Iterable[Rule]) -> Labels | None:
    """An alert's labels after some rules; None where they drop it or leave nothing."""
    rules = tuple(rules)
    if not rules:
        return labels
    found = relabeled(labels, rules)
    return (make_labels(found) or None) if found is not None else None


def parse(alerting: Mapping[str, Any]) -> Relaying:
    """What `alerting` says of other Alertmanagers. Raises: ConfigError with the key's path."""
    given = {key: alerting[key] or [] for key in KEYS if key in alerting}
    try:
        found = _Keys.model_validate(given)
    except ValidationError as e:
        raise ConfigError("\n".join(explain("alerting", error) for error in e.errors())) from None
    return Relaying(tuple(found.alertmanagers), tuple(rule.rule() for rule in found.alert_relabel_configs))


def without(alerting: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of `alerting`: the configuration of obs's own Alertmanager."""
    return {key: value for key, value in alerting.items() if key not in KEYS}
