"""What is said of a configuration key that is not known: what obs has in its place, or which known one is meant.

In: the pydantic model and the path that pydantic tells. Out: the end of a sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel

_TARGETS = "/api/v1/targets tells the last error of each target"
_UTF8 = "names may have any letters here"

IN_PLACE = {
    "remote_write": "obs sends to no other server; have senders write to both",
    "remote_read": "obs reads from no other server; take its samples in by 'obs import'",
    "storage": "retention is metrics.retention here, and samples of any time are taken in any order",
    "otlp": "OTLP is always received, and attributes of resources are labels of target_info",
    "tracing": "obs keeps its own traces, by self.trace_ratio",
    "runtime": "leave it out",
    "scrape_config_files": "write the jobs under scrape_configs",
    "query_log_file": "obs traces its own requests, by self.trace_ratio",
    "scrape_failure_log_file": _TARGETS,
    "metric_name_validation_scheme": _UTF8,
    "metric_name_escaping_scheme": _UTF8,
    "native_histogram_bucket_limit": "native histograms are kept as they come",
    "native_histogram_min_bucket_factor": "native histograms are kept as they come",
    "convert_classic_histograms_to_nhcb": "classic histograms stay classic",
    "oauth2": "use authorization with a credentials_file that something else renews",
    "proxy_from_environment": "write it as proxy_url",
    "no_proxy": "leave proxy_url out of the jobs that need none",
}
"""Keys of a prometheus.yml that have no counterpart of the same name, and what to do about each."""


def unknown(model: type[BaseModel], path: Sequence[str | int]) -> str:
    """Why the key at `path`, from `model` on, cannot be used, and what to write."""
    name, known = str(path[-1]), _known_keys(model, path[:-1])
    if name in IN_PLACE:
        return f"it is Prometheus's, and not obs's; {IN_PLACE[name]}"
    if name.endswith("_sd_configs"):
        found = ", ".join(key for key in known if key.endswith("_sd_configs"))
        return f"targets are not found in this way yet; known ones: {found}" if found else "it is not known"
    close = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"it is not known{hint}; known keys: {', '.join(known)}"


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    inner: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int) or inner is None:
            continue
        field = next((f for name, f in inner.model_fields.items() if (f.alias or name) == part), None)
        inner = None if field is None else _section(field.annotation)
    return [] if inner is None else sorted(f.alias or name for name, f in inner.model_fields.items())


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation as `Model`, `list[Model]`, `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section(inner))), None)
