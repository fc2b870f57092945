"""The configuration as it is now: a reload changes what is scraped, rules, alerting and external labels, nothing else.

In: what `obs up` was started with, and how to read it again. Out: settings by name, and all of it as YAML.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from obs.alertmanager.config import shown as shown_alerting
from obs.alertmanager.rules.model import GroupDefaults
from obs.alertmanager.service import AlertOptions
from obs.alertrelay import Relaying
from obs.alertrelay import parse as parse_relaying
from obs.alertrelay.config import KEYS as OF_PROMETHEUS
from obs.alertrelay.config import without as own_alerting
from obs.collector.receivers.scrape.config import Job
from obs.collector.receivers.scrape.config import parse as scrape_jobs
from obs.config import Config, GlobalConfig
from obs.errors import ObsError
from obs.model.clock import Clock
from obs.model.durations import duration_text
from obs.tsdb.status import Reloaded

RELOADED = ("external_labels", "global_", "scrape_configs", "rule_files", "alerting")
"""The settings that a reload takes over; for others obs is to be started again."""

SECRETS = ("password", "credentials", "bearer_token", "shared_key", "tokens", "secrets")
"""Keys whose values are shown to nobody."""

_OF_RULES = ("evaluation_interval", "rule_query_offset", "external_labels")

log = logging.getLogger("obs.config")


def jobs_of(config: Config) -> tuple[Job, ...]:
    """What is scraped. Raises: ConfigError."""
    return scrape_jobs(config.scrape_configs, _shared(config.global_))


def _shared(shared: GlobalConfig) -> dict[str, Any]:
    """What every job starts from: what `global` says of scraping, as a job would write it."""
    given = {name: getattr(shared, name) for name in sorted(shared.model_fields_set) if name not in _OF_RULES}
    times = ("scrape_interval", "scrape_timeout")
    return {k: duration_text(round(v * 1000)) if k in times else v for k, v in given.items() if v is not None}


class LiveConfig:
    """Holds the configuration of a running server."""

    def __init__(self, config: Config, reread: Callable[[], Config] | None, clock: Clock) -> None:
        """Raises: ConfigError, where what is scraped cannot be used."""
        self.config, self.jobs = config, jobs_of(config)
        self.reloaded = Reloaded()
        self._reread, self._clock = reread, clock
        self._reloading = threading.Lock()

    def external_labels(self) -> Mapping[str, str]:
        """The labels that everything has outside of this server."""
        return external_labels(self.config)

    def alert_options(self, folder: Path, url: str, config: Config | None = None) -> AlertOptions:
        """What the alert pipeline is configured with."""
        config = config or self.config
        shared = config.global_
        defaults = GroupDefaults(shared.evaluation_interval, shared.rule_query_offset)
        return AlertOptions(
            folder, config.rule_files, own_alerting(config.alerting), url, external_labels(config), defaults,
            relaying(config).relabeled,
        )  # fmt: skip

    def reload(self, use: Callable[[Config, Sequence[Job]], None]) -> str:
        """Read everything again; `use` takes it over, or raises. Returns: what to tell who asked for it.

        Raises: ConfigError, and all stays as it was.
        """
        with self._reloading:
            try:
                fresh = self.config if self._reread is None else self._reread()
                jobs = jobs_of(fresh)
                use(fresh, jobs)
            except ObsError:
                self.reloaded = Reloaded(False, self.reloaded.at_ns)
                raise
            told = self._what_stays(fresh)
            self.config = self.config.model_copy(update={name: getattr(fresh, name) for name in RELOADED})
            self.jobs = jobs
            self.reloaded = Reloaded(True, self._clock.now_ns())
            return told

    def job_text(self, job: Job) -> str:
        """A scrape job as YAML, defaults filled in, secrets hidden."""
        return yaml.safe_dump(_of_job(job), sort_keys=False, allow_unicode=True)

    def _what_stays(self, fresh: Config) -> str:
        """`reloaded`, and which settings have changed that a reload does not take over."""
        others = (name for name in Config.model_fields if name not in RELOADED)
        changed = [name for name in others if getattr(fresh, name) != getattr(self.config, name)]
        if not changed:
            return "reloaded"
        told = f"reloaded; but a change of {', '.join(changed)} needs obs to be started again"
        log.warning("%s", told)
        return told

    def text(self) -> str:
        """All of it as YAML, defaults filled in, secrets hidden."""
        values = _hidden(self.config.model_dump(mode="json", by_alias=True))
        values["external_labels"], values["global"]["external_labels"] = {}, dict(self.external_labels())
        shared = self.config.global_
        values["global"]["scrape_timeout"] = _shown_s(min(shared.scrape_timeout, shared.scrape_interval))
        values["scrape_configs"] = [_of_job(job) for job in self.jobs]
        own = shown_alerting(own_alerting(self.config.alerting))
        values["alerting"] = {**own, **{k: v for k, v in values["alerting"].items() if k in OF_PROMETHEUS}}
        order = ("global", "rule_files", "scrape_configs", "alerting")
        return yaml.safe_dump({**{k: values[k] for k in order}, **values}, sort_keys=False, allow_unicode=True)


def relaying(config: Config) -> Relaying:
    """Who else is told of alerts. Raises: ConfigError."""
    return parse_relaying(config.alerting)


def external_labels(config: Config) -> Mapping[str, str]:
    """Those of `global`, and those beside it."""
    return {**config.external_labels, **config.global_.external_labels}


def _of_job(job: Job) -> dict[str, Any]:
    values = _hidden(job.model_dump(mode="json", exclude_none=True))
    values["scrape_timeout"] = _shown_s(job.timeout_s)
    return {"job_name": job.job_name, **_without_empty(values)}


def _shown_s(seconds: float) -> str:
    return duration_text(round(seconds * 1000))


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v not in ("", [], {})}


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _secret(v) if k in SECRETS else _hidden(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    return re.sub(r"(://[^/@:\s]*):[^/@\s]+@", r"\1:xxxxx@", value) if isinstance(value, str) else value


def _secret(value: Any) -> Any:
    if isinstance(value, list):
        return ["<secret>"] * len(value)
    return "<secret>" if value else value
