"""Routing: an alert's labels → the nodes of the tree that take it, and the group it belongs to in each."""

from __future__ import annotations

from collections.abc import Mapping

from obs.alertmanager.config import Route, quoted
from obs.model.labels import Labels, make_labels


def routes_for(root: Route, labels: Mapping[str, str]) -> list[Route]:
    """The deepest nodes that match, in the tree's order; the root takes what no child does."""
    if not all(m.matches(labels.get(m.name, "")) for m in root.matchers):
        return []
    found: list[Route] = []
    for child in root.routes:
        taken = routes_for(child, labels)
        found += taken
        if taken and not child.proceed:
            break
    return found or [root]


def group_labels(route: Route, labels: Labels) -> Labels:
    """The labels that an alert's group shares; `...` groups by every label."""
    if "..." in route.group_by:
        return labels
    return make_labels((k, v) for k, v in labels if k in route.group_by)


def group_key(route: Route, labels: Labels) -> str:
    """What a receiver knows a group by, written as Alertmanager writes it: the route's path, then labels."""
    pairs = ", ".join(f"{k}={quoted(v)}" for k, v in labels)
    return f"{route.key}:{{{pairs}}}"
