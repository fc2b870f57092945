"""Names for series, as short as they can be told apart by. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

METRIC_NAME = "__name__"


def full_name(labels: Mapping[str, str]) -> str:
    """`metric{a="b"}`, as a selector that picks just this series."""
    pairs = ",".join(f'{k}="{_escaped(v)}"' for k, v in sorted(labels.items()) if k != METRIC_NAME)
    name = labels.get(METRIC_NAME, "")
    return f"{name}{{{pairs}}}" if pairs or not name else name


def short_names(series: Sequence[Mapping[str, str]], fallback: str = "value") -> list[str]:
    """What distinguishes each series from the others: the labels whose values differ among them."""
    if len(series) == 1:
        return [_one(series[0], fallback)]
    keys = sorted({key for labels in series for key in labels})
    differing = [key for key in keys if len({labels.get(key) for labels in series}) > 1]
    return [_distinct(labels, differing) or fallback for labels in series]


def _one(labels: Mapping[str, str], fallback: str) -> str:
    return full_name(labels) if labels else fallback


def _distinct(labels: Mapping[str, str], keys: Sequence[str]) -> str:
    """The metric's name if it differs, then the values; with their names where there are several."""
    name = labels.get(METRIC_NAME, "") if METRIC_NAME in keys else ""
    others = [(key, labels[key]) for key in keys if key != METRIC_NAME and labels.get(key)]
    values = others[0][1] if len(others) == 1 else ", ".join(f"{k}={v}" for k, v in others)
    return " ".join(part for part in (name, values) if part)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def quoted(value: str) -> str:
    """A value as a string literal of PromQL and LogQL."""
    return f'"{_escaped(value)}"'
