"""Targets: what a discovery gives, relabeled into what is scraped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import urlencode

from obs.collector.receivers.scrape.config import Job, seconds
from obs.collector.receivers.scrape.relabel import relabeled
from obs.model.durations import duration_text
from obs.model.labels import Labels, make_labels

Group = tuple[Mapping[str, str], ...]
"""Targets of one source as label sets; each has `__address__`."""

_PARAM = "__param_"


@dataclass(frozen=True, slots=True)
class Target:
    """What is scraped. Two of equal `labels` and `url` are one and the same."""

    job: Job
    url: str
    labels: Labels
    discovered: Labels
    interval_s: float
    timeout_s: float

    @property
    def key(self) -> tuple[str, str, Labels]:
        """What makes it this target."""
        return self.job.job_name, self.url, self.labels

    @property
    def offset_s(self) -> float:
        """When in its interval it is scraped, so that targets spread over it."""
        digest = blake2b(repr((self.url, self.labels)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") / 2**64 * self.interval_s


@dataclass(frozen=True, slots=True)
class Dropped:
    """A target that relabeling drops."""

    job: str
    discovered: Labels


def targets_of(job: Job, groups: Iterable[Group]) -> tuple[list[Target], list[Dropped]]:
    """The targets of a job, each once, and those that are dropped."""
    rules = [rule.rule() for rule in job.relabel_configs]
    found: dict[tuple[str, str, Labels], Target] = {}
    dropped: list[Dropped] = []
    for group in groups:
        for given in group:
            discovered = _discovered(job, given)
            labels = relabeled(discovered.items(), rules)
            target = None if labels is None else _target(job, labels, make_labels(discovered))
            if target is None:
                dropped.append(Dropped(job.job_name, make_labels(discovered)))
            else:
                found.setdefault(target.key, target)
    return list(found.values()), dropped


def _discovered(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    own = {
        "job": job.job_name,
        "__scheme__": job.scheme,
        "__metrics_path__": job.metrics_path,
        "__scrape_interval__": duration_text(round(job.scrape_interval * 1000)),
        "__scrape_timeout__": duration_text(round(job.timeout_s * 1000)),
        **{_PARAM + name: values[0] for name, values in job.params.items() if values},
    }
    return {**own, **given}


def _target(job: Job, labels: Mapping[str, str], discovered: Labels) -> Target | None:
    """None where there is no address."""
    address = labels.get("__address__", "")
    if not address:
        return None
    params = {name: list(values) for name, values in job.params.items()}
    for name, value in labels.items():
        if name.startswith(_PARAM):
            params[name.removeprefix(_PARAM)] = [value, *params.get(name.removeprefix(_PARAM), [])[1:]]
    query = urlencode(params, doseq=True)
    path = labels.get("__metrics_path__", job.metrics_path)
    url = f"{labels.get('__scheme__', job.scheme)}://{address}{path if path.startswith('/') else '/' + path}"
    shown = {name: value for name, value in labels.items() if not name.startswith("__")}
    shown.setdefault("instance", address)
    interval, timeout = (seconds(labels.get(name, "")) for name in ("__scrape_interval__", "__scrape_timeout__"))
    interval_s = interval if isinstance(interval, float) and interval > 0 else job.scrape_interval
    timeout_s = timeout if isinstance(timeout, float) and timeout > 0 else job.timeout_s
    return Target(
        job,
        url + (f"?{query}" if query else ""),
        make_labels(shown),
        discovered,
        interval_s,
        min(timeout_s, interval_s),
    )
