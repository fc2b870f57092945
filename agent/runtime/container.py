"""A container as the agent knows it, and the labels that say so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from obs.agent.limits import CONTAINER_LABELS_MAX, LABEL_VALUE_CHARS_MAX
from obs.agent.sample import LabelPairs


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of one container; only the id and the runtime are sure to be."""

    id: str
    runtime: str
    name: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    started_s: float = 0.0
    log_path: str = ""

    @property
    def service(self) -> str:
        """What its logs are called by: compose service, Kubernetes container, own name, short id."""
        known = self.labels.get("com.docker.compose.service") or self.labels.get("io.kubernetes.container.name")
        return known or self.name or self.id[:12]


def container_labels(container: Container | None) -> LabelPairs:
    """cAdvisor's labels of a container beside `id`; nothing for a cgroup that is none."""
    if container is None:
        return ()
    pairs = [("name", container.name or container.id[:12]), ("container_id", container.id)]
    if container.image:
        pairs.append(("image", container.image))
    for key, value in sorted(container.labels.items())[:CONTAINER_LABELS_MAX]:
        pairs.append(("container_label_" + re.sub(r"[^a-zA-Z0-9_]", "_", key), value[:LABEL_VALUE_CHARS_MAX]))
    return tuple(dict(pairs).items())
