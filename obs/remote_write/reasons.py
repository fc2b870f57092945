"""Why samples are refused: the short name that the ledger counts, and the sentence that the sender reads."""

from __future__ import annotations

UTF8 = "invalid_utf8"
NAME = "empty_label_name"
REPEATED = "repeated_label"
NO_LABELS = "no_labels"
LABELS = "too_many_labels"
HISTOGRAM = "invalid_histogram"

SENTENCES = {
    UTF8: "a label is not UTF-8",
    NAME: "a label has no name",
    REPEATED: "a label name stands twice in a series",
    NO_LABELS: "the series has no labels",
    LABELS: "the series has more than 256 labels",
    HISTOGRAM: "the histogram's buckets are out of range, or do not fit its spans or custom bounds",
}

ORDER = tuple(SENTENCES)
"""Slots name a reason by its position here."""
