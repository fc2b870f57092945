"""What metrics are, as several senders describe them."""

from __future__ import annotations

from obs.model.schema import METADATA
from obs.otlp.draft import batch
from obs.tsdb.metadata import Description, MetadataRegistry

GAUGE, OLDER = Description("gauge", "", "Open."), Description("gauge", "", "Was.")
NOTHING = Description("unknown", "", "")


def test_the_latest_comes_first_and_what_says_nothing_last() -> None:
    registry = MetadataRegistry()
    for d in (OLDER, GAUGE, NOTHING):
        registry.add(batch(METADATA, ["m"], [d.type], [d.unit], [d.help]))
    assert registry.of("m") == registry.of() == {"m": [GAUGE, OLDER, NOTHING]}
