"""A recording rule at one time: its vector becomes samples under the rule's name."""

from __future__ import annotations

from collections.abc import Sequence

from obs.alertmanager.rules.model import Rule
from obs.errors import UserError
from obs.model.labels import METRIC_NAME, Labels, make_labels
from obs.model.ports import VectorSample

Sample = tuple[Labels, int, float]


def record(rule: Rule, vector: Sequence[VectorSample], t_ms: int, limit: int = 0) -> list[Sample]:
    """The samples to store. Raises: UserError where two elements end under the same labels, or over the limit."""
    if limit and len(vector) > limit:
        raise UserError(f"cannot record {rule.record!r}: {len(vector)} elements, over its group's limit {limit}")
    samples: dict[Labels, Sample] = {}
    for element in vector:
        labels = make_labels({**dict(element.labels), **dict(rule.labels), METRIC_NAME: rule.record})
        if labels in samples:
            raise UserError(
                f"cannot record {rule.record!r}: two elements have the same labels {dict(labels)} after its labels "
                "were set; keep a label that tells them apart"
            )
        samples[labels] = (labels, t_ms, element.value)
    return list(samples.values())
